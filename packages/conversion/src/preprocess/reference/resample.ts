/** The pixels → the crop of the resized image, clamped to the levels that there are. */
import type { Taps } from "../taps.js";

/** @param width Of a row of `plane`. */
export function resample(plane: Float64Array, width: number, rows: Taps, columns: Taps): Float64Array {
  const [h, w] = [rows.first.length, columns.first.length];
  const result = new Float64Array(h * w);
  const line = new Float64Array(width);
  for (let y = 0; y < h; y++) {
    line.fill(0);
    for (let t = 0; t < rows.count; t++) {
      const weight = rows.weights[y * rows.count + t] as number;
      const at = ((rows.first[y] as number) + t) * width;
      for (let x = 0; x < width; x++) line[x] = (line[x] as number) + weight * (plane[at + x] as number);
    }
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let t = 0; t < columns.count; t++)
        sum +=
          (columns.weights[x * columns.count + t] as number) *
          (line[(columns.first[x] as number) + t] as number);
      result[y * w + x] = Math.min(255, Math.max(0, sum));
    }
  }
  return result;
}
