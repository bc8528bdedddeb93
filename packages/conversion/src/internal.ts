/** What sibling packages use of this one. Not for others: it may change in any release. */

export { spatialMultiplyAdds } from "./convert/convert.js";
export { gigabytes, loadingBytes } from "./convert/cost.js";
export { findImage, type ImageInput } from "./convert/image-input.js";
export { isSized, type Planes, type Size } from "./convert/layers.js";
export { formatRelu, INPUTS, type InputName, PLAN_NAMES, parseRelu } from "./convert/options.js";
export { type OtherInput, otherInputs, repeated } from "./convert/other-inputs.js";
export { planeSize } from "./convert/plane-size.js";
export { preparationFor, toldSteps } from "./convert/preparation.js";
export { approximations, countsOf, NO_MAP, REENTERS } from "./convert/report.js";
export { type ModelSummary, summarizeModel } from "./convert/summary.js";
export { type BatchedOutput, batchedOutputs } from "./onnx/batch.js";
export { Budget, budgetOf } from "./onnx/budget.js";
export { makeNode } from "./onnx/builder.js";
export { foldConstants } from "./onnx/fold.js";
export {
  describe,
  entryOf,
  floatAttribute,
  floats,
  intAttribute,
  intsAttribute,
  numbers,
  ruleFor,
  volume,
} from "./onnx/graph.js";
export { GraphIndex } from "./onnx/graph-index.js";
export { fromHalf } from "./onnx/half.js";
export { inferShapes } from "./onnx/infer.js";
export { freshNames } from "./onnx/subgraph.js";
export { kindOfType } from "./onnx/values.js";
export { readWindow, type Window } from "./onnx/window.js";
export { RESAMPLES } from "./preprocess/filters.js";
export { geometry } from "./preprocess/geometry.js";
export { jobOf } from "./preprocess/job.js";
export { CHANNELS, CROP_ROUNDINGS } from "./preprocess/preprocess.js";
