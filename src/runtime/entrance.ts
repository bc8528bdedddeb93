/** JPEG files into the planes that a network takes: `bytes → coefficients → pixels → planes`. */
import type { Preprocess } from "../convert/preprocess.js";

/** The planes a network takes. */
export interface PlaneSize {
  height: number;
  width: number;
  channels: number;
}

/** What {@link fillPlanes} found and did. */
export interface Filled {
  /** Of the file, before its orientation. */
  width: number;
  height: number;
  /** The inverse transform's size: `scale / 8` of the file's. */
  scale: number;
}

/**
 * Reads a JPEG file and writes the network's planes `[C, H, W]`, preprocessed.
 *
 * @param size What the network takes; the preprocessing must come out at it.
 * @param out At least `channels * height * width` floats; may be a part of a batch.
 * @throws {JpegError} where the file is damaged, or of a kind that is not supported (CMYK)
 * @throws {ConvertError} where the preprocessing of this file does not give `size`
 */
export function fillPlanes(
  _bytes: Uint8Array,
  _preprocess: Preprocess,
  _size: PlaneSize,
  _out: Float32Array,
): Filled {
  throw new Error("not yet");
}
