/** Whether photographs, resized and cropped, can come out at what a network takes. */
import { ConvertError } from "./errors.js";
import { isSized, type Planes } from "./layers.js";
import type { Preprocess } from "./preprocess.js";

/**
 * Refuses a part of the resized image that is larger than any resized image: it accepts no file.
 * @param network What takes the part: of its own size, where the preprocessing has no crop.
 * @throws {ConvertError}
 */
export function checkCrop({ resize, crop }: Preprocess, network: Planes): void {
  if (resize === undefined) return;
  const isFree = "shortestEdge" in resize;
  const part = crop ?? (isFree && isSized(network) ? network : undefined);
  if (part === undefined) return;
  const { height, width } = part;
  const isLarger = isFree
    ? Math.min(height, width) > resize.shortestEdge
    : height > resize.height || width > resize.width;
  if (isLarger)
    throw new ConvertError(
      `the preprocessing is ${toldResize(resize)}, then the middle ${height}x${width}, which is larger`,
    );
}

export const toldResize = (resize: NonNullable<Preprocess["resize"]>): string =>
  "height" in resize
    ? `resize to ${resize.height}x${resize.width}`
    : `resize the shortest edge to ${resize.shortestEdge}`;
