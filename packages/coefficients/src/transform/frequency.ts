/**
 * The 64 spatial frequencies of a block in zigzag order, and the default quantisation table.
 *
 * Frequency k stands for the pair (alpha, beta): alpha counts half waves down a block's column, beta along its row.
 * Source: ITU-T T.81, figure A.6; notebook, `Z()`.
 */
import { JpegDomainError } from "../errors.js";

/** The transform cannot do what was asked. */
export class TransformError extends JpegDomainError {
  override name = "TransformError";
}

/** `ZIGZAG[k] = 8 * alpha + beta`: goes along the anti-diagonals alpha + beta = 0, 1, …, 14, and turns at each end. */
export const ZIGZAG: readonly number[] = Array.from({ length: 15 }, (_, sum) => {
  const down = Array.from({ length: 8 }, (_, alpha) => alpha).filter((a) => sum - a >= 0 && sum - a < 8);
  const order = sum % 2 === 0 ? down.reverse() : down;
  return order.map((alpha) => 8 * alpha + (sum - alpha));
}).flat();

/** Whether frequency `k` (zigzag) is among the spatial frequencies n, i.e. alpha + beta <= n. */
export function isKept(k: number, n: number): boolean {
  const place = ZIGZAG[k] as number;
  return (place >> 3) + (place & 7) <= n;
}

/** The largest alpha + beta: n = 14 keeps every frequency. */
export const MAX_FREQUENCIES = 14;

/**
 * The notebook's quantisation table `q`, zigzag order. `q[0] = 8` makes k = 0 the block's mean, because the
 * orthonormal DCT's first coefficient is 8 times the mean.
 */
export const DEFAULT_TABLE: readonly number[] = [
  8, 16, 16, 19, 16, 19, 22, 22, 22, 22, 22, 22, 26, 24, 26, 27, 27, 27, 26, 26, 26, 26, 27, 27, 27, 29, 29,
  29, 34, 34, 34, 29, 29, 29, 27, 27, 29, 29, 32, 32, 34, 34, 37, 38, 37, 35, 35, 34, 35, 38, 38, 40, 40, 40,
  48, 48, 46, 46, 56, 56, 58, 69, 69, 83,
];

/** @throws {TransformError} unless `table` is 64 positive finite numbers. */
export function checkTable(table: ArrayLike<number>): void {
  if (table.length !== 64)
    throw new TransformError(
      `the quantisation table has ${table.length} entries, expected 64 in zigzag order`,
    );
  const bad = Array.from(table).findIndex((q) => !(q > 0 && Number.isFinite(q)));
  if (bad >= 0)
    throw new TransformError(
      `the quantisation table's entry ${bad} is ${table[bad]}, expected a positive number`,
    );
}
