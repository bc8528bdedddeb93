/**
 * The public API: convolutional networks that run straight on JPEG coefficients.
 *
 * Everything else in this package is internal and may change in any release.
 */
// biome-ignore-all assist/source/organizeImports: in the order of what a reader looks for

// JPEG files: bytes ⇄ quantised coefficients.
export { JpegError, JpegImageError, UnsupportedJpegError } from "./jpeg/errors.js";
export type {
  ColorSpace,
  JpegComponent,
  JpegDamage,
  JpegImage,
  JpegScan,
  JpegSegment,
  JpegUnfinished,
} from "./jpeg/image.js";
export { releasePool } from "./jpeg/program.js";
export { type EstimatedQuality, estimateQuality, qualityTable, type TableRole } from "./jpeg/quality.js";
export {
  type HeaderComponent,
  type HeaderOptions,
  type JpegHeader,
  type ReadOptions,
  readCoefficients,
  readHeader,
} from "./jpeg/read.js";
export { progressiveScript, type Scan, sequentialScript } from "./jpeg/scan-script.js";
export { type ComponentSummary, type JpegSummary, summarizeJpeg } from "./jpeg/summary.js";
export { type WriteOptions, writeCoefficients } from "./jpeg/write.js";

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

// The transform: pixels ⇄ coefficient tensors, and the transform tensors in the notebook's letters.
export { DEFAULT_TABLE, TransformError, ZIGZAG } from "./transform/frequency.js";
export { compress, decompress, type TransformOptions } from "./transform/images.js";
export { B, C, Ci, D, D_n, J, Ji, S, Si, type Tensor, Z } from "./transform/tensors.js";
export {
  type EncodeOptions,
  encodeJpeg,
  type PixelPlanes,
  type Plane,
  planesFromPixels,
  type Subsampling,
} from "./transform/encode.js";

// Running a spatial or converted model on JPEG files, and the preprocessing for it.
export { type JpegModel, loadModel, type ModelOptions } from "./runtime/model.js";
export type { ModelOutput, OutputInfo, Outputs } from "./runtime/outputs.js";
export type { JpegResult, JpegSource } from "./runtime/pipeline.js";
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

// Data: MNIST, and sets in the same format.
export { IdxError } from "./data/idx.js";
export {
  type ImageSet,
  type LabelledImages,
  labelledPlanes,
  loadImageSet,
  loadSplit,
  planes,
  type Selection,
  type Split,
} from "./data/mnist.js";

// ONNX files as typed graphs.
export { float, GraphBuilder, type PlainAttribute } from "./onnx/builder.js";
export type { ExternalFiles } from "./onnx/external.js";
export { type ReadOnnxOptions, readOnnx, writeOnnx } from "./onnx/file.js";
export {
  type Attribute,
  type Constant,
  type Dimension,
  type ElementType,
  float32,
  type Graph,
  int64,
  type Node,
  type NumericArray,
  OnnxError,
  type ValueInfo,
} from "./onnx/graph.js";

// The base of all errors that are thrown on purpose. Each part lists its own errors above.
export { JpegDomainError } from "./errors.js";
