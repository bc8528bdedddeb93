import type { Job } from "../job.js";
import { flips, isTransposed } from "../orientation.js";

/** Turns the crop's planes upright, and puts them at their place in the network's planes. */
export function turn(made: Float32Array, { geometry, orientation }: Job, out: Float32Array): void {
  const { crop, at: place, planes } = geometry;
  const { height, width } = crop;
  const { flipX, flipY } = flips(orientation);
  // Steps in the file's planes for a step to the right, and down, in the upright ones.
  const swapped = isTransposed(orientation);
  const stride = swapped ? height : width;
  const [fileHeight, fileWidth] = swapped ? [width, height] : [height, width];
  const stepX = flipX ? -1 : 1;
  const stepY = flipY ? -stride : stride;
  const right = swapped ? stepY : stepX;
  const down = swapped ? stepX : stepY;
  const start = (flipX ? fileWidth - 1 : 0) + (flipY ? (fileHeight - 1) * stride : 0);
  const area = height * width;
  const planeArea = planes.height * planes.width;
  for (let plane = 0; plane * area < made.length; plane++)
    for (let y = 0, line = plane * area + start; y < height; y++, line += down) {
      let to = plane * planeArea + (place.top + y) * planes.width + place.left;
      for (let x = 0, at = line; x < width; x++, at += right) out[to++] = made[at] as number;
    }
}
