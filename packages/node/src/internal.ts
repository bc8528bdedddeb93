/** What sibling packages use of this one. Not for others: it may change in any release. */

export { batcher } from "./runtime/batcher.js";
export { classesOutput, pickClasses } from "./runtime/classes.js";
export { checkMemory, freeBytes } from "./runtime/classifier.js";
export { concatenate, type Score, score } from "./runtime/evaluate.js";
export { describeFailure, fileFailure, sendError } from "./runtime/failure.js";
export { type HelperOptions, type Helpers, openHelpers } from "./runtime/helpers.js";
export { parseLabels } from "./runtime/labels.js";
export { cpuBatch } from "./runtime/model.js";
export { parseModel } from "./runtime/model-files.js";
export { type FoundModel, findModel } from "./runtime/model-folder.js";
export { type Network, type NetworkOptions, openNetwork } from "./runtime/network.js";
export {
  type Fill,
  fillFromFile,
  fromPlanes,
  openPipeline,
  type Pipeline,
  planeLength,
  preprocessorFor,
} from "./runtime/pipeline.js";
export { openPool } from "./runtime/pool.js";
export {
  checkRegular,
  MOST_BYTES,
  OPEN_FLAGS,
  otherKind,
  readRegularFile,
  withRegularFile,
} from "./runtime/read-file.js";
export { openSession, type SessionOptions } from "./runtime/session.js";
export { inOrder } from "./runtime/stream.js";
export type { Reply, Request, WorkerSettings } from "./runtime/worker.js";
export { checkCreatable, targetOf, writeAll, writeAtomically } from "./runtime/write-file.js";
