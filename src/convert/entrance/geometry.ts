/** Where a network's pixels lie in a photograph: `file → upright → resized → crop`. */
import { ConvertError } from "../errors.js";
import type { Area, Preprocess } from "./preprocess.js";

export interface Geometry {
  /** The upright image after resizing. */
  resized: Area;
  /** The part of it that the network sees. */
  crop: Area & { top: number; left: number };
}

/** EXIF orientations 5 to 8 swap rows and columns. */
export const isTransposed = (orientation = 1): boolean => orientation >= 5;

/**
 * @param upright The image's size as a viewer shows it.
 * @throws {ConvertError} where the resized image is smaller than the crop
 */
export function geometry({ resize, crop }: Preprocess, upright: Area): Geometry {
  const { width, height } = upright;
  let resized = upright;
  if (resize !== undefined && "shortestEdge" in resize) {
    // As torchvision and Hugging Face: the longer side is cut to a whole number.
    const shortest = Math.min(width, height);
    const side = (length: number) => Math.trunc((resize.shortestEdge * length) / shortest);
    resized = { width: side(width), height: side(height) };
  } else if (resize !== undefined) resized = resize;
  const kept = crop ?? resized;
  if (kept.height > resized.height || kept.width > resized.width)
    throw new ConvertError(
      `the image is ${resized.width}x${resized.height}${resize ? " after resizing" : ""}, ` +
        `smaller than the crop of ${kept.width}x${kept.height}`,
    );
  const top = (resized.height - kept.height) >> 1;
  const left = (resized.width - kept.width) >> 1;
  return { resized, crop: { top, left, height: kept.height, width: kept.width } };
}

/**
 * The smallest scale s of 1 to 8 at which the inverse transform gives `s / 8` of the file's size and no less than
 * `resized`; 8 where none does.
 * @param file The file's own size, and `resized` in the file's own directions.
 */
export function scaleFor(file: Area, resized: Area): number {
  const scale = Math.max((8 * resized.width) / file.width, (8 * resized.height) / file.height);
  return Math.min(8, Math.ceil(scale));
}
