export { JpegDomainError } from "./errors.js";
export { JpegError, JpegImageError, UnsupportedJpegError } from "./jpeg/errors.js";
export type {
  ColorSpace,
  JpegComponent,
  JpegDamage,
  JpegImage,
  JpegScan,
  JpegSegment,
} from "./jpeg/image.js";
export { releasePool } from "./jpeg/pool.js";
export { type EstimatedQuality, estimateQuality, qualityTable, type TableRole } from "./jpeg/quality.js";
export {
  type HeaderComponent,
  type JpegHeader,
  type ReadOptions,
  readCoefficients,
  readHeader,
} from "./jpeg/read.js";
export { progressiveScript, type Scan, sequentialScript } from "./jpeg/scan-script.js";
export { type ComponentSummary, type JpegSummary, summarizeJpeg } from "./jpeg/summary.js";
export { type WriteOptions, writeCoefficients } from "./jpeg/write.js";
export {
  type EncodeOptions,
  encodeJpeg,
  type PixelPlanes,
  type Plane,
  planesFromPixels,
  type Subsampling,
} from "./transform/encode.js";
