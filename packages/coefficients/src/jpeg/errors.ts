import { JpegDomainError } from "../errors.js";
import { markerName } from "./markers.js";

/** A JPEG file that is damaged, cut off, too large, or no JPEG file at all. */
export class JpegError extends JpegDomainError {
  override name = "JpegError";

  constructor(
    message: string,
    /** The byte at which it went wrong, counted from the start of the file. */
    readonly offset: number,
    /** The marker whose segment or scan it is in, such as `0xda`. */
    readonly marker?: number,
  ) {
    super(message);
  }
}

/** A JPEG file of a kind this package does not read: lossless, hierarchical, 12 bits a sample. */
export class UnsupportedJpegError extends JpegError {
  override name = "UnsupportedJpegError";
}

/** The error for a place in a file that does not hold what it should. */
export function unexpected(
  offset: number,
  marker: number | undefined,
  found: string,
  expected: string,
): JpegError {
  const where = marker === undefined ? "" : `, ${markerName(marker)}`;
  return new JpegError(`byte ${offset}${where}: found ${found}, expected ${expected}`, offset, marker);
}

/** An image, or a choice of how to write it, that a JPEG file cannot hold. */
export class JpegImageError extends JpegDomainError {
  override name = "JpegImageError";

  constructor(
    message: string,
    /** The component it is about, its place in the image's list. */
    readonly component?: number,
  ) {
    super(message);
  }
}
