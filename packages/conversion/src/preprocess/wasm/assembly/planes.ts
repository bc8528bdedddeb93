/** Coefficients to a network's planes, one row of blocks after the other. The host (../planes.ts) calls these functions. */
import { finishRow } from "./color";
import { transformBlocks } from "./inverse";
import {
  COMPONENT_BYTES,
  COMPONENT_COUNT,
  COMPONENTS,
  HEIGHT,
  IMAGE,
  NEXT_OUT,
  NEXT_PIXELS,
  OUT_HEIGHT,
  ROW_FIRST,
  ROW_TAPS,
} from "./layout";
import { resampleRow } from "./resample";

/** Transforms the row of blocks that the host has stored, `row` of the component. */
export function transform(index: u32, row: u32): void {
  transformBlocks(COMPONENTS + index * COMPONENT_BYTES, row);
}

/** Makes as much as the samples allow. There are enough for all rows of pixels before `limit`. */
export function advance(limit: u32): void {
  const planes: u32 = load<u32>(IMAGE + COMPONENT_COUNT) == 1 ? 1 : 3;
  const height = load<u32>(IMAGE + HEIGHT);
  const first: usize = load<u32>(IMAGE + ROW_FIRST);
  const taps = load<u32>(IMAGE + ROW_TAPS);
  const outHeight = load<u32>(IMAGE + OUT_HEIGHT);
  let next = load<u32>(IMAGE + NEXT_PIXELS);
  let out = load<u32>(IMAGE + NEXT_OUT);
  while (out < outHeight) {
    const needed = min(height, load<u32>(first + (out << 2)) + taps);
    for (const end = min(needed, limit); next < end; next++) finishRow(next);
    if (next < needed) break;
    resampleRow(out++, planes);
  }
  store<u32>(IMAGE + NEXT_PIXELS, next);
  store<u32>(IMAGE + NEXT_OUT, out);
}
