/**
 * Networks trained on pixels, converted so that they take JPEG coefficients. No Node API.
 *
 * Everything else in this package is internal and may change in any release.
 */
// biome-ignore-all assist/source/organizeImports: in the order of what a reader looks for

// Conversion: a network trained on pixels → a network on JPEG coefficients.
export { type Converted, convert, convertGraph } from "./convert/convert.js";
export { type Metadata, readMetadata, readPreprocess, writePreprocess } from "./convert/metadata.js";
export { ConvertError } from "./convert/errors.js";
export type { InputValues } from "./convert/other-inputs.js";
export type { ConvertOptions, PlanName, Relu } from "./convert/options.js";
export type { Cost } from "./convert/cost.js";
export type { Domain, NodeReport } from "./convert/report.js";

// Preprocessing: a file's bytes → planes, coefficients → feeds of a converted graph.
export { JPEG_INPUTS } from "./preprocess/graph/planes.js";
export { type Filled, type FillOptions, fillPlanes, Preprocessor } from "./preprocess/preprocessor.js";
export { feedsOf, type TensorClass } from "./preprocess/feeds.js";

// Running a spatial or converted model on JPEG files, and the preprocessing for it.
export {
  type Area,
  type CropRounding,
  checkPreprocess,
  type Pad,
  type PlaneSize,
  type Preprocess,
  TORCHVISION,
} from "./preprocess/preprocess.js";
export type { Resample } from "./preprocess/filters.js";
export { PreprocessError } from "./preprocess/errors.js";
export { parsePreprocessorConfig } from "./preprocess/processors/config.js";

// ONNX files as typed graphs.
export type { ExternalFiles } from "./onnx/external.js";
export { type ReadOnnxOptions, readOnnx, writeOnnx } from "./onnx/file.js";
export {
  type Attribute,
  type Constant,
  type Dimension,
  type ElementType,
  type Graph,
  type Node,
  type NumericArray,
  OnnxError,
  type ValueInfo,
} from "./onnx/graph.js";
