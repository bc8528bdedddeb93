/**
 * Models run on JPEG files in Node, by onnxruntime-node.
 *
 * Everything else in this package is internal and may change in any release.
 */
// biome-ignore-all assist/source/organizeImports: in the order of what a reader looks for

// Running a spatial or converted model on JPEG files, and the preprocessing for it.
export { type JpegModel, loadModel, type ModelOptions } from "./runtime/model.js";
export type { ModelOutput, OutputInfo, Outputs } from "./runtime/outputs.js";
export type { JpegResult, JpegSource } from "./runtime/pipeline.js";
export { type ClassesOptions, type RankedClass, topClasses } from "./runtime/classes.js";

// Running a spatial or converted classifier on planes.
export { type Classifier, openClassifier } from "./runtime/classifier.js";
export {
  compareLogits,
  type Evaluation,
  type EvaluationOptions,
  evaluate,
  type LabelledPlanes,
} from "./runtime/evaluate.js";
