/**
 * Quantisation tables and the quality scale of the Independent JPEG Group, as `cjpeg -quality` has it:
 *
 *   scale = 5000 / Q (Q < 50), 200 - 2 Q (Q >= 50)
 *   table[k] = (standard[k] scale + 50) / 100, at least 1
 *
 * in whole numbers. Source: T.81, K.1; libjpeg, jcparam.c.
 */
import { JpegImageError } from "./errors.js";

/** T.81, table K.1, zigzag order. */
export const LUMINANCE_TABLE: readonly number[] = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58,
  51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103,
  62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

/** T.81, table K.2, zigzag order. */
export const CHROMINANCE_TABLE: readonly number[] = [
  17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/** The largest entry of an 8-bit table. */
const MAX_BASELINE = 255;
const MAX_ENTRY = 32767;
const MAX_QUALITY = 100;

export type TableRole = "luminance" | "chrominance";

/**
 * The quantisation table of a quality, 64 entries in zigzag order: equal to `cjpeg -quality`'s, or, with `baseline`,
 * to `cjpeg -quality -baseline`'s, which keeps entries to 255. They differ for qualities under 25.
 * @param quality a whole number, 1 to 100.
 * @throws {JpegImageError} if it is not.
 */
export function qualityTable(quality: number, role: TableRole = "luminance", baseline = false): Uint16Array {
  if (!Number.isInteger(quality) || quality < 1 || quality > MAX_QUALITY)
    throw new JpegImageError(`quality ${quality}, expected a whole number from 1 to ${MAX_QUALITY}`);
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const standard = role === "luminance" ? LUMINANCE_TABLE : CHROMINANCE_TABLE;
  const limit = baseline ? MAX_BASELINE : MAX_ENTRY;
  return Uint16Array.from(standard, (entry) =>
    Math.min(limit, Math.max(1, Math.floor((entry * scale + 50) / 100))),
  );
}

export interface EstimatedQuality {
  /** 1 to 100. */
  quality: number;
  /** Whether the tables equal the formula's. If not, this is the nearest quality. */
  exact: boolean;
}

/**
 * The quality with the nearest tables: the least sum of `|entry - formula's| / formula's`. If several qualities are as
 * near, as when all entries are 1 or clamped, it is the highest of them.
 * @param tables the first component's table, then the chrominance's if there is one; 64 entries, zigzag order.
 */
export function estimateQuality(luminance: Uint16Array, chrominance?: Uint16Array): EstimatedQuality {
  let best = { quality: MAX_QUALITY, distance: Number.POSITIVE_INFINITY };
  for (let quality = MAX_QUALITY; quality >= 1; quality--) {
    for (const baseline of [true, false]) {
      let distance = tableDistance(luminance, qualityTable(quality, "luminance", baseline));
      if (chrominance) distance += tableDistance(chrominance, qualityTable(quality, "chrominance", baseline));
      if (distance < best.distance) best = { quality, distance };
    }
  }
  return { quality: best.quality, exact: best.distance === 0 };
}

function tableDistance(found: Uint16Array, expected: Uint16Array): number {
  return found.reduce((sum, entry, k) => {
    const wanted = expected[k] as number;
    return sum + Math.abs(entry - wanted) / wanted;
  }, 0);
}

/** The different quantisation tables of an image, and which of them each component uses. */
export function distinctTables(components: readonly { quantization: Uint16Array }[]): {
  tables: Uint16Array[];
  slots: number[];
} {
  const tables: Uint16Array[] = [];
  const slots = components.map(({ quantization }) => {
    const known = tables.findIndex((table) => table.every((entry, k) => entry === quantization[k]));
    return known >= 0 ? known : tables.push(quantization) - 1;
  });
  return { tables, slots };
}
