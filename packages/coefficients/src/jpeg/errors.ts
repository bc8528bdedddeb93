import { JpegDomainError } from "../errors.js";
import { markerName } from "./markers.js";

/** A file is damaged, cut off, too large, or not a JPEG file. */
export class JpegError extends JpegDomainError {
  override name = "JpegError";

  constructor(
    message: string,
    /** The byte where the defect is, counted from the start of the file. */
    readonly offset: number,
    /** The marker of the segment or scan that the byte is in, such as `0xda`. */
    readonly marker?: number,
  ) {
    super(message);
  }
}

/** A JPEG file is of a kind that this package does not read: lossless, hierarchical, 12 bits a sample. */
export class UnsupportedJpegError extends JpegError {
  override name = "UnsupportedJpegError";
}

/** The error for a place in a file that does not hold what is expected. */
export function unexpected(
  offset: number,
  marker: number | undefined,
  found: string,
  expected: string,
): JpegError {
  const where = marker === undefined ? "" : `, ${markerName(marker)}`;
  return new JpegError(`byte ${offset}${where}: found ${found}, expected ${expected}`, offset, marker);
}

/** An image, or an option for writing it, does not fit a JPEG file. */
export class JpegImageError extends JpegDomainError {
  override name = "JpegImageError";

  constructor(
    message: string,
    /** The index of the component that the error is about. */
    readonly component?: number,
  ) {
    super(message);
  }
}
