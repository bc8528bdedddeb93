import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_TABLE,
  isKept,
  TransformError,
  ZIGZAG,
} from "../packages/coefficients/src/transform/frequency.js";
import { compress, decompress } from "../packages/coefficients/src/transform/images.js";
import { B, C, Ci, D, D_n, J, Ji, S, Si, Z } from "../packages/coefficients/src/transform/tensors.js";
import { largestDifference, uniform } from "./reference/arrays.js";

/** The notebook's `z` and `q`, as printed there. */
const z = [
  [0, 1, 5, 6, 14, 15, 27, 28],
  [2, 4, 7, 13, 16, 26, 29, 42],
  [3, 8, 12, 17, 25, 30, 41, 43],
  [9, 11, 18, 24, 31, 40, 44, 53],
  [10, 19, 23, 32, 39, 45, 52, 54],
  [20, 22, 33, 38, 46, 51, 55, 60],
  [21, 34, 37, 47, 50, 56, 59, 61],
  [35, 36, 48, 49, 57, 58, 62, 63],
];
// biome-ignore format: eight rows, as in the notebook
const q = [
   8, 16, 16, 19, 16, 19, 22, 22, 22, 22, 22, 22, 26, 24, 26, 27,
  27, 27, 26, 26, 26, 26, 27, 27, 27, 29, 29, 29, 34, 34, 34, 29,
  29, 29, 27, 27, 29, 29, 32, 32, 34, 34, 37, 38, 37, 35, 35, 34,
  35, 38, 38, 40, 40, 40, 48, 48, 46, 46, 56, 56, 58, 69, 69, 83,
];

/** `[8, 8, 8, 8]` (i j alpha beta): the notebook's `D_n`, and with n = 14 its `D`. */
function notebookD(n: number): number[] {
  const A = (alpha: number) => (alpha === 0 ? 1 / Math.sqrt(2) : 1);
  const D = new Array<number>(4096).fill(0);
  for (let i = 0; i < 8; i++)
    for (let j = 0; j < 8; j++)
      for (let alpha = 0; alpha < 8; alpha++)
        for (let beta = 0; beta < 8; beta++)
          if (alpha + beta <= n) {
            const x = Math.cos(((2 * i + 1) * alpha * Math.PI) / 16);
            const y = Math.cos(((2 * j + 1) * beta * Math.PI) / 16);
            D[((i * 8 + j) * 8 + alpha) * 8 + beta] = 0.25 * A(alpha) * A(beta) * x * y;
          }
  return D;
}

/** `[8, 8, 64]` (i j k): the notebook's `C`, or with `q` in place of `1 / q` its `C_i`. */
function notebookC(entry: (k: number) => number, n = 14): number[] {
  const D = notebookD(n);
  const C = new Array<number>(4096).fill(0);
  for (let pixel = 0; pixel < 64; pixel++)
    for (let alpha = 0; alpha < 8; alpha++)
      for (let beta = 0; beta < 8; beta++) {
        const k = z[alpha]?.[beta] as number;
        C[64 * pixel + k] = (D[pixel * 64 + alpha * 8 + beta] as number) * entry(k);
      }
  return C;
}

/** `[height, width, X, Y, 64]` (s r x y k): `J`, or `J_i` with its axes in this order, by the loops of the notebook's `B`. */
function notebookJ(height: number, width: number, entry: (k: number) => number): Float64Array {
  const C = notebookC(entry);
  const [X, Y] = [height / 8, width / 8];
  const J = new Float64Array(height * width * X * Y * 64);
  for (let s = 0; s < height; s++)
    for (let r = 0; r < width; r++)
      for (let x = 0; x < X; x++)
        for (let y = 0; y < Y; y++)
          for (let i = 0; i < 8; i++)
            for (let j = 0; j < 8; j++)
              if (x * 8 + i === s && y * 8 + j === r)
                for (let k = 0; k < 64; k++)
                  J[(((s * width + r) * X + x) * Y + y) * 64 + k] = C[(i * 8 + j) * 64 + k] as number;
  return J;
}

/** `[rows, columns]` transposed. */
const transposed = (matrix: Float64Array, columns: number) =>
  matrix.map((_, at) => {
    const rows = matrix.length / columns;
    return matrix[(at % rows) * columns + Math.floor(at / rows)] as number;
  });

/** `y[c] = Σ_r x[r] matrix[r c]` */
function apply(x: ArrayLike<number>, matrix: Float64Array): Float64Array {
  const columns = matrix.length / x.length;
  const y = new Float64Array(columns);
  for (let r = 0; r < x.length; r++)
    for (let c = 0; c < columns; c++)
      y[c] = (y[c] as number) + (x[r] as number) * (matrix[r * columns + c] as number);
  return y;
}

const OTHER_TABLE = Array.from({ length: 64 }, (_, k) => 1 + ((k * 37) % 99));
const SIZES = [
  [32, 32],
  [16, 16],
  [8, 8],
  [16, 24],
  [40, 8],
] as const;

describe("the transform tensors", () => {
  test("D and D_n are the notebook's", () => {
    expect(D().shape).toEqual([8, 8, 8, 8]);
    expect(largestDifference(D().data, notebookD(14))).toBeLessThan(1e-15);
    for (let n = 0; n <= 14; n++) expect(largestDifference(D_n(n).data, notebookD(n))).toBeLessThan(1e-15);
  });

  test("D is orthogonal, from both sides", () => {
    const { data } = D();
    const back = transposed(data, 64);
    for (let row = 0; row < 64; row++) {
      const unit = Array.from({ length: 64 }, (_, i) => Number(i === row));
      expect(largestDifference(apply(data.subarray(64 * row, 64 * row + 64), back), unit)).toBeLessThan(
        1e-14,
      );
      expect(largestDifference(apply(back.subarray(64 * row, 64 * row + 64), data), unit)).toBeLessThan(
        1e-14,
      );
    }
  });

  test("D_n is a projection that keeps (n+1)(n+2)/2 frequencies up to n = 7, 64 of 64 at n = 14", () => {
    const rank = (n: number) => {
      const { data } = D_n(n);
      // The kept columns are orthonormal, so the sum of squares counts them.
      return data.reduce((sum, value) => sum + value * value, 0);
    };
    const ranks = [1, 3, 6, 10, 15, 21, 28, 36, 43, 49, 54, 58, 61, 63, 64];
    for (const [n, expected] of ranks.entries()) expect(rank(n)).toBeCloseTo(expected, 10);
    for (const [n, expected] of ranks.entries())
      expect(Array.from({ length: 64 }, (_, k) => k).filter((k) => isKept(k, n)).length).toBe(expected);
  });

  test("Z is the notebook's zigzag", () => {
    const { data, shape } = Z();
    expect(shape).toEqual([8, 8, 64]);
    for (let alpha = 0; alpha < 8; alpha++)
      for (let beta = 0; beta < 8; beta++) {
        const gamma = z[alpha]?.[beta] as number;
        expect(ZIGZAG[gamma]).toBe(8 * alpha + beta);
        for (let other = 0; other < 64; other++)
          expect(data[(alpha * 8 + beta) * 64 + other]).toBe(other === gamma ? 1 : 0);
      }
  });

  test("the default table is the notebook's, and S Si = 1 for any table", () => {
    expect(DEFAULT_TABLE).toEqual(q);
    for (const table of [undefined, OTHER_TABLE]) {
      const [divide, multiply] = [S(table), Si(table)];
      expect([divide.shape, multiply.shape]).toEqual([
        [64, 64],
        [64, 64],
      ]);
      for (let gamma = 0; gamma < 64; gamma++)
        for (let k = 0; k < 64; k++) {
          const entry = gamma === k ? ((table ?? q)[k] as number) : 0;
          expect(multiply.data[64 * gamma + k]).toBe(entry);
          expect(divide.data[64 * gamma + k]).toBe(gamma === k ? 1 / entry : 0);
        }
      for (let gamma = 0; gamma < 64; gamma++) {
        const row = apply(divide.data.subarray(64 * gamma, 64 * gamma + 64), multiply.data);
        const unit = Array.from(row, (_, k) => Number(k === gamma));
        expect(largestDifference(row, unit)).toBeLessThan(1e-15);
      }
    }
  });

  test("B puts pixel (8x + i, 8y + j) at (i, j) of block (x, y)", () => {
    const { data, shape } = B(16, 24);
    expect(shape).toEqual([16, 24, 2, 3, 8, 8]);
    let at = 0;
    let ones = 0;
    for (let s = 0; s < 16; s++)
      for (let r = 0; r < 24; r++)
        for (let x = 0; x < 2; x++)
          for (let y = 0; y < 3; y++)
            for (let i = 0; i < 8; i++)
              for (let j = 0; j < 8; j++) {
                const one = x * 8 + i === s && y * 8 + j === r;
                ones += Number(one);
                if (data[at++] !== Number(one)) expect.fail(`B[${s} ${r} ${x} ${y} ${i} ${j}]`);
              }
    expect(ones).toBe(16 * 24);
  });

  test("C and Ci are the notebook's, for every n and another table", () => {
    for (const table of [q, OTHER_TABLE])
      for (const n of [0, 1, 6, 10, 14]) {
        const divide = notebookC((k) => 1 / (table[k] as number), n);
        const multiply = notebookC((k) => table[k] as number, n);
        expect(largestDifference(C(table, n).data, divide)).toBeLessThan(1e-15);
        expect(largestDifference(Ci(table, n).data, multiply)).toBeLessThan(1e-13);
      }
    expect(C()).toEqual(C(q, 14));
    expect(Ci()).toEqual(Ci(q, 14));
  });

  test.each(SIZES)("J and Ji of %ix%i are the notebook's", (height, width) => {
    const compression = J(height, width);
    const decompression = Ji(height, width);
    expect(compression.shape).toEqual([height, width, height / 8, width / 8, 64]);
    expect(decompression.shape).toEqual([height / 8, width / 8, 64, height, width]);
    const pixels = height * width;
    expect(
      largestDifference(
        compression.data,
        notebookJ(height, width, (k) => 1 / (q[k] as number)),
      ),
    ).toBeLessThan(1e-15);
    const expected = transposed(
      notebookJ(height, width, (k) => q[k] as number),
      pixels,
    );
    expect(largestDifference(decompression.data, expected)).toBeLessThan(1e-13);
  });

  test("Ji after J is the identity, and J after Ji", () => {
    for (const table of [undefined, OTHER_TABLE]) {
      const [compression, decompression] = [J(16, 24, table).data, Ji(16, 24, table).data];
      const pixels = 16 * 24;
      for (let row = 0; row < pixels; row += 7) {
        const unit = Array.from({ length: pixels }, (_, i) => Number(i === row));
        const there = apply(unit, compression);
        expect(largestDifference(apply(there, decompression), unit)).toBeLessThan(1e-13);
        expect(largestDifference(apply(apply(unit, decompression), compression), unit)).toBeLessThan(1e-13);
      }
    }
  });
});

describe("compress and decompress", () => {
  test.each(SIZES)("agree with the notebook's dense J and J_i on %ix%i", (height, width) => {
    const pixels = height * width;
    for (const table of [q, OTHER_TABLE]) {
      const compression = notebookJ(height, width, (k) => 1 / (table[k] as number));
      const decompression = transposed(
        notebookJ(height, width, (k) => table[k] as number),
        pixels,
      );
      const planes = uniform(height + width, 2 * 3 * pixels, -3, 3);
      const shape = [2, 3, height, width];
      const packed = compress(planes, shape, { table });
      expect(packed.shape).toEqual([2, 3, height / 8, width / 8, 64]);
      const unpacked = decompress({ data: planes, shape: packed.shape }, { table });
      expect(unpacked.shape).toEqual(shape);
      const most = Math.max(...table);
      for (let plane = 0; plane < 6; plane++) {
        const part = planes.subarray(plane * pixels, (plane + 1) * pixels);
        const range = [plane * pixels, (plane + 1) * pixels] as const;
        expect(largestDifference(packed.data.subarray(...range), apply(part, compression))).toBeLessThan(
          2e-6,
        );
        const relative =
          largestDifference(unpacked.data.subarray(...range), apply(part, decompression)) / most;
        expect(relative).toBeLessThan(2e-6);
      }
    }
  });

  test("with the default table k = 0 is the block's mean", () => {
    const planes = uniform(5, 2 * 16 * 24, 0, 255);
    const { data } = compress(planes, [2, 1, 16, 24]);
    for (let n = 0; n < 2; n++)
      for (let x = 0; x < 2; x++)
        for (let y = 0; y < 3; y++) {
          let sum = 0;
          for (let i = 0; i < 8; i++)
            for (let j = 0; j < 8; j++) sum += planes[(n * 16 + 8 * x + i) * 24 + 8 * y + j] as number;
          expect(data[((n * 2 + x) * 3 + y) * 64]).toBeCloseTo(sum / 64, 4);
        }
  });

  /** Planes of whole blocks with a table; float32 values of one magnitude. */
  const images = fc
    .record({
      n: fc.integer({ min: 0, max: 3 }),
      c: fc.integer({ min: 1, max: 3 }),
      rows: fc.integer({ min: 1, max: 4 }),
      columns: fc.integer({ min: 1, max: 4 }),
      table: fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 64, maxLength: 64 }),
      seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
      scale: fc.constantFrom(1e-3, 1, 255),
    })
    .map(({ n, c, rows, columns, table, seed, scale }) => ({
      shape: [n, c, 8 * rows, 8 * columns],
      planes: uniform(seed, n * c * rows * columns * 64, -scale, scale),
      table,
      scale,
    }));

  test("are each other's inverse", () => {
    fc.assert(
      fc.property(images, ({ planes, shape, table, scale }) => {
        const before = planes.slice();
        const packed = compress(planes, shape, { table });
        const back = decompress(packed, { table });
        expect(back.shape).toEqual(shape);
        expect(largestDifference(back.data, planes)).toBeLessThanOrEqual(1e-6 * scale);
        expect(planes).toEqual(before);
        const again = compress(back.data, back.shape, { table });
        expect(largestDifference(again.data, packed.data)).toBeLessThanOrEqual(8e-6 * scale);
      }),
    );
  });

  test("keep the energy of each block: the DCT is orthonormal", () => {
    fc.assert(
      fc.property(images, ({ planes, shape, table }) => {
        const { data } = compress(planes, shape, { table });
        const energy = (values: Float32Array, weigh: (i: number) => number) =>
          values.reduce((sum, value, i) => sum + (value * weigh(i)) ** 2, 0);
        const pixels = energy(planes, () => 1);
        const coefficients = energy(data, (i) => table[i % 64] as number);
        expect(Math.abs(coefficients - pixels)).toBeLessThanOrEqual(1e-5 * pixels);
      }),
    );
  });

  test("treat each block separately: one changed pixel changes only its own block", () => {
    const planes = uniform(9, 2 * 2 * 16 * 24);
    const shape = [2, 2, 16, 24];
    const before = compress(planes, shape).data;
    for (const [plane, s, r] of [
      [0, 0, 0],
      [1, 7, 8],
      [2, 8, 7],
      [3, 15, 23],
    ] as const) {
      const changed = planes.slice();
      changed[(plane * 16 + s) * 24 + r] = 9;
      const after = compress(changed, shape).data;
      const blocks = new Set<number>();
      after.forEach((value, at) => {
        if (value !== before[at]) blocks.add(Math.floor(at / 64));
      });
      expect([...blocks]).toEqual([(plane * 2 + (s >> 3)) * 3 + (r >> 3)]);
    }
  });
});

describe("refusals", () => {
  const plane = new Float32Array(64);
  const withTable = (table: number[]) => () => compress(plane, [1, 1, 8, 8], { table });
  test.each<[string, () => unknown, RegExp]>([
    [
      "a height of no whole blocks",
      () => compress(new Float32Array(96), [1, 1, 12, 8]),
      /height of 12 is not a whole number of 8x8 blocks/,
    ],
    [
      "a width of no whole blocks",
      () => compress(new Float32Array(224), [1, 1, 8, 28]),
      /width of 28 is not a whole number of 8x8 blocks/,
    ],
    ["a height of 0", () => compress(new Float32Array(0), [1, 1, 0, 8]), /height of 0/],
    [
      "too few values",
      () => compress(plane, [1, 2, 8, 8]),
      /\[1, 2, 8, 8\] needs 128 values, the array holds 64/,
    ],
    ["too many values", () => compress(plane, [0, 1, 8, 8]), /needs 0 values, the array holds 64/],
    ["a missing axis", () => compress(plane, [1, 8, 8]), /has 3 axes, expected \[N, C, H, W\]/],
    ["a length that is no whole number", () => compress(plane, [1, 0.5, 16, 8]), /holds 0.5, expected whole/],
    ["a negative length", () => compress(plane, [-1, -1, 8, 8]), /holds -1, expected whole lengths/],
    [
      "coefficients without their axis",
      () => decompress({ data: plane, shape: [1, 1, 8, 8] }),
      /has 4 axes, expected \[N, C, X, Y, 64\]/,
    ],
    [
      "blocks of 63",
      () => decompress({ data: new Float32Array(63), shape: [1, 1, 1, 1, 63] }),
      /last axis of shape \[1, 1, 1, 1, 63\] is 63, expected 64/,
    ],
    ["a table of 63", withTable(q.slice(1)), /table has 63 entries, expected 64 in zigzag order/],
    ["a table with a 0", withTable(q.with(5, 0)), /entry 5 is 0, expected a positive number/],
    ["a table with a negative entry", withTable(q.with(63, -2)), /entry 63 is -2, expected a positive/],
    ["a table with NaN", withTable(q.with(1, Number.NaN)), /entry 1 is NaN, expected a positive/],
    ["a table with infinity", withTable(q.with(1, Number.POSITIVE_INFINITY)), /entry 1 is Infinity/],
    ["S of a bad table", () => S([1, 2]), /has 2 entries/],
    ["Ci of a bad table", () => Ci(q.with(0, 0)), /entry 0 is 0/],
    ["J of a bad table", () => J(8, 8, [1]), /has 1 entries/],
    ["B of no whole blocks", () => B(8, 9), /width of 9/],
    ["J of no whole blocks", () => J(20, 8), /height of 20/],
    ["Ji of no size", () => Ji(8, Number.NaN), /width of NaN/],
  ])("%s", (_, attempt, message) => {
    expect(attempt).toThrow(TransformError);
    expect(attempt).toThrow(message);
  });
});
