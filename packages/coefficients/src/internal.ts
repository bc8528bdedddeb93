/** What sibling packages use of this one. Not for others: it may change in any release. */

export type { Band } from "./jpeg/decode.js";
export { type Instance, type Program, program, reserve } from "./jpeg/program.js";
export {
  type BandOptions,
  findRowStarts,
  MAX_PIXELS,
  type Needed,
  readBands,
  readRows,
} from "./jpeg/read.js";
export type { RowRange, RowStart } from "./jpeg/row-starts.js";
export { copyMeans, type SmoothRow, smoothed, smootherOf } from "./jpeg/smoothing.js";
export { isKept, MAX_FREQUENCIES } from "./transform/frequency.js";
export { toWholeBlocks } from "./transform/images.js";
export { cosine } from "./transform/tensors.js";
