/**
 * The JPEG transform as tensors, in the notebook's index letters: pixel (s, r) of an image, block (x, y), pixel
 * (i, j) of a block, frequency (alpha, beta), zigzag position gamma, coefficient k.
 *
 *   D[i j alpha beta] = 1/4 A(alpha) A(beta) cos((2i+1) alpha pi / 16) cos((2j+1) beta pi / 16),  A(0) = 1/sqrt 2, else 1
 *   Z[alpha beta gamma] = 1 where gamma is the zigzag position of (alpha, beta)
 *   S[gamma k] = 1 / q[k] and Si[gamma k] = q[k] where gamma = k
 *   B[s r x y i j] = 1 where s = 8x + i and r = 8y + j
 *   C = D Z S,  Ci = D Z Si;   J = B C takes pixels to coefficients,  Ji = B Ci takes them back
 *
 * There is no rounding, so J is linear and Ji J = 1. All values are float64; compute with them, store as float32.
 * Source: notebook, "GPU JPEG codec"; Ehrlich & Davis, ICCV 2019, section 3.
 */
import { checkTable, DEFAULT_TABLE, isKept, MAX_FREQUENCIES, TransformError, ZIGZAG } from "./frequency.js";

/** A dense array in row-major order. */
export interface Tensor<A extends Float32Array | Float64Array = Float32Array> {
  data: A;
  shape: number[];
}
type Double = Tensor<Float64Array>;

const A = (alpha: number) => (alpha === 0 ? Math.SQRT1_2 : 1);

/** The one-dimensional orthonormal DCT: `cosine(i, alpha)`, of which D is the product over rows and columns. */
export const cosine = (i: number, alpha: number): number =>
  0.5 * A(alpha) * Math.cos(((2 * i + 1) * alpha * Math.PI) / 16);

/** Fills a tensor of `shape` from a function of its indices. */
function fill(shape: number[], value: (...index: number[]) => number): Double {
  const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
  const index = shape.map(() => 0);
  for (let at = 0; at < data.length; at++) {
    data[at] = value(...index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { data, shape };
}

/** The DCT, shape `[8, 8, 8, 8]` (i j alpha beta). Orthogonal: its rows over (i, j) are orthonormal. */
export const D = (): Double => D_n(MAX_FREQUENCIES);

/** The DCT of the spatial frequencies alpha + beta <= n alone, shape `[8, 8, 8, 8]`; the others are zero. */
export const D_n = (n: number): Double =>
  fill([8, 8, 8, 8], (i, j, alpha, beta) =>
    (alpha as number) + (beta as number) <= n
      ? cosine(i as number, alpha as number) * cosine(j as number, beta as number)
      : 0,
  );

/** Zigzag, shape `[8, 8, 64]` (alpha beta gamma). */
export const Z = (): Double =>
  fill([8, 8, 64], (alpha, beta, gamma) =>
    Number(ZIGZAG[gamma as number] === 8 * (alpha as number) + (beta as number)),
  );

/** Division by the table, shape `[64, 64]` (gamma k). */
export const S = (table: ArrayLike<number> = DEFAULT_TABLE): Double => diagonal(table, (q) => 1 / q);

/** Multiplication by the table, shape `[64, 64]` (gamma k). */
export const Si = (table: ArrayLike<number> = DEFAULT_TABLE): Double => diagonal(table, (q) => q);

function diagonal(table: ArrayLike<number>, entry: (q: number) => number): Double {
  checkTable(table);
  return fill([64, 64], (gamma, k) => (gamma === k ? entry(table[k as number] as number) : 0));
}

/** Blocking, shape `[height, width, height/8, width/8, 8, 8]` (s r x y i j). */
export function B(height: number, width: number): Double {
  const [X, Y] = blockGrid(height, width);
  return fill([height, width, X, Y, 8, 8], (s, r, x, y, i, j) =>
    Number(s === 8 * (x as number) + (i as number) && r === 8 * (y as number) + (j as number)),
  );
}

/** Compression within one block, shape `[8, 8, 64]` (i j k), of the spatial frequencies alpha + beta <= n. */
export const C = (table: ArrayLike<number> = DEFAULT_TABLE, n = MAX_FREQUENCIES): Double =>
  block(table, n, (q) => 1 / q);

/** Decompression within one block, shape `[8, 8, 64]` (i j k), from the spatial frequencies alpha + beta <= n. */
export const Ci = (table: ArrayLike<number> = DEFAULT_TABLE, n = MAX_FREQUENCIES): Double =>
  block(table, n, (q) => q);

function block(table: ArrayLike<number>, n: number, entry: (q: number) => number): Double {
  checkTable(table);
  return fill([8, 8, 64], (i, j, k) => {
    if (!isKept(k as number, n)) return 0;
    const place = ZIGZAG[k as number] as number;
    return (
      cosine(i as number, place >> 3) * cosine(j as number, place & 7) * entry(table[k as number] as number)
    );
  });
}

/** Compression of a whole image, shape `[height, width, height/8, width/8, 64]` (s r x y k). Dense: 8 (height width)² bytes. */
export function J(height: number, width: number, table: ArrayLike<number> = DEFAULT_TABLE): Double {
  const [X, Y] = blockGrid(height, width);
  const { data } = C(table);
  return fill([height, width, X, Y, 64], (s, r, x, y, k) =>
    (s as number) >> 3 === x && (r as number) >> 3 === y
      ? (data[(((s as number) & 7) * 8 + ((r as number) & 7)) * 64 + (k as number)] as number)
      : 0,
  );
}

/** Decompression of a whole image, shape `[height/8, width/8, 64, height, width]` (x y k s r). Dense: 8 (height width)² bytes. */
export function Ji(height: number, width: number, table: ArrayLike<number> = DEFAULT_TABLE): Double {
  const [X, Y] = blockGrid(height, width);
  const { data } = Ci(table);
  return fill([X, Y, 64, height, width], (x, y, k, s, r) =>
    (s as number) >> 3 === x && (r as number) >> 3 === y
      ? (data[(((s as number) & 7) * 8 + ((r as number) & 7)) * 64 + (k as number)] as number)
      : 0,
  );
}

/**
 * The rows and columns of blocks of an image.
 * @throws {TransformError} unless both sides are positive multiples of 8.
 */
export function blockGrid(height: number, width: number): [rows: number, columns: number] {
  for (const [side, length] of [
    ["height", height],
    ["width", width],
  ] as const)
    if (!(length > 0 && length % 8 === 0))
      throw new TransformError(`an image ${side} of ${length} is not a whole number of 8x8 blocks`);
  return [height / 8, width / 8];
}
