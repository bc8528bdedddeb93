/** The crop in the file's directions → as a viewer shows it. */
import { flips, isTransposed } from "../orientation.js";
import type { Area } from "../preprocess.js";

/** @param size Of the upright plane. */
export function upright(plane: Float64Array, { width, height }: Area, orientation: number): Float64Array {
  const swapped = isTransposed(orientation);
  const { flipX, flipY } = flips(orientation);
  const [fileWidth, fileHeight] = swapped ? [height, width] : [width, height];
  return plane.map((_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    const [fx, fy] = swapped ? [y, x] : [x, y];
    return plane[
      (flipY ? fileHeight - 1 - fy : fy) * fileWidth + (flipX ? fileWidth - 1 - fx : fx)
    ] as number;
  });
}
