/**
 * A component's samples → the image's pixels, by libjpeg's triangle (jdsample.c): pixel x lies a quarter of a sample beside
 * the centre of its own sample, and takes 3/4 of that and 1/4 of the neighbour on that side. Halves are rounded up for one
 * of two pixels and down for the other.
 */

import type { Area } from "../preprocess.js";
import type { ScaledComponent } from "../scaling.js";

/** @returns `[height, width]` of the image */
export function upsample(
  plane: Float64Array,
  scaled: ScaledComponent,
  { width, height }: Area,
): Float64Array {
  const { expandX, expandY, fancy } = scaled;
  const columns = neighbours(width, scaled.width, expandX, fancy);
  const rows = neighbours(height, scaled.height, expandY, fancy);
  const result = new Float64Array(width * height);
  const at = (row: number, column: number) => plane[row * scaled.width + column] as number;
  rows.forEach(([row, otherRow, v], y) => {
    columns.forEach(([column, otherColumn, h], x) => {
      const mean =
        (1 - v) * ((1 - h) * at(row, column) + h * at(row, otherColumn)) +
        v * ((1 - h) * at(otherRow, column) + h * at(otherRow, otherColumn));
      result[y * width + x] = fancy ? Math.floor(mean + rounding(expandX, expandY, x, y)) : mean;
    });
  });
  return result;
}

/** What libjpeg adds before it cuts off: in sixteenths if both axes are doubled, else in quarters. */
function rounding(expandX: number, expandY: number, x: number, y: number): number {
  if (expandX === 2 && expandY === 2) return x % 2 === 0 ? 8 / 16 : 7 / 16;
  return (expandX === 2 ? x : y) % 2 === 0 ? 1 / 4 : 2 / 4;
}

/** For each pixel of an axis: its sample, the next one on its side, and the weight of that. */
function neighbours(
  length: number,
  samples: number,
  expand: number,
  fancy: boolean,
): [own: number, other: number, weight: number][] {
  return Array.from({ length }, (_, x) => {
    const own = Math.min(samples - 1, Math.floor(x / expand));
    const other = Math.min(samples - 1, Math.max(0, x % 2 === 0 ? own - 1 : own + 1));
    return [own, other, fancy && expand === 2 ? 0.25 : 0];
  });
}
