/** What sibling packages use of this one. Not for others: it may change in any release. */

export { dataOption, MODEL_HELP, positiveInteger, positiveNumber, wholeNumber } from "./arguments.js";
export { type ExperimentName, experimentCommand } from "./experiments.js";
export { readInput, withFile } from "./files.js";
export { INTERRUPTED, interruptible } from "./interrupt.js";
export { lock } from "./lock.js";
export { ANY_KIND, checkOutput, isStandardOutput, KINDS, writeOutput } from "./outputs.js";
export { print, printJson, say } from "./print.js";
export { openProgress, type Progress } from "./progress.js";
export { openBaseline } from "./views/baseline.js";
export { divergingColour, GRID_GREY } from "./views/colours.js";
export {
  columns,
  escapeHtml,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPowerOfTen,
  formatSmall,
} from "./views/format.js";
export { type Contestant, interleave, median } from "./views/measure.js";
export { visibleJson } from "./views/visible.js";
