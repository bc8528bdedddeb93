/**
 * Training of ONNX models on pixels, and the notebook's network.
 *
 * Everything else in this package is internal and may change in any release.
 */
// biome-ignore-all assist/source/organizeImports: in the order of what a reader looks for

// Training on pixels, and the notebook's network.
export { resnet } from "./networks/resnet.js";
export { CheckpointError, type HistoryEntry } from "./train/checkpoint.js";
export {
  type ScheduleName,
  TRAINING,
  type TrainingHooks,
  type TrainingOptions,
  type TrainingResult,
  train,
} from "./train/loop.js";
export { TrainingError } from "./train/rule.js";
export type { Samples } from "./train/samples.js";
