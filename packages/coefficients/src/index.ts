/**
 * JPEG files as quantised coefficients, and back; images as coefficient tensors. No dependencies, and no Node API.
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
export type { JpegBytes, ReadOn } from "./jpeg/beginning.js";
export {
  type ByteBlob,
  type ByteSource,
  type ByteStream,
  type NeededOptions,
  readNeeded,
} from "./jpeg/needed.js";
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

// The transform: pixels ⇄ coefficient tensors, and the transform tensors in the notebook's letters.
export { DEFAULT_TABLE, TransformError, ZIGZAG } from "./transform/frequency.js";
export { compress, decompress, type TransformOptions } from "./transform/images.js";
export type { Tensor } from "./transform/tensors.js";
export {
  type EncodeOptions,
  encodeJpeg,
  type PixelPlanes,
  type Plane,
  planesFromPixels,
  type Subsampling,
} from "./transform/encode.js";

// The base of all errors that are thrown on purpose. Each part lists its own errors above.
export { JpegDomainError } from "./errors.js";
