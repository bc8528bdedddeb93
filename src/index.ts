export { JpegDomainError } from "./errors.js";
export { releasePool } from "./jpeg/engine.js";
export { JpegError, UnsupportedJpegError } from "./jpeg/errors.js";
export type {
  ColorSpace,
  JpegComponent,
  JpegDamage,
  JpegImage,
  JpegScan,
  JpegSegment,
} from "./jpeg/image.js";
export {
  type HeaderComponent,
  type JpegHeader,
  type ReadOptions,
  readCoefficients,
  readHeader,
} from "./jpeg/read.js";
