/** Coefficients → pixels of one component as nodes: src/transform/pixels.ts, for a scale and sampling known only at run time. */
import { ZIGZAG } from "../transform/frequency.js";
import type { Arithmetic } from "./arithmetic.js";

/** Zigzag frequencies' alpha and beta, and the product of their factors in `a(i, α) a(j, β)`: see transform/pixels.ts. */
const ALPHA = ZIGZAG.map((place) => place >> 3);
const BETA = ZIGZAG.map((place) => place & 7);
const FACTOR = ZIGZAG.map(
  (_, k) => (ALPHA[k] === 0 ? Math.SQRT1_2 / 2 : 0.5) * (BETA[k] === 0 ? Math.SQRT1_2 / 2 : 0.5),
);

/** src/jpeg/scaling.ts for all components at once, int64 (bool where it begins with `is`): `[2]` for both axes, or `[3, 2]`. */
export interface Layout {
  /** The scaled image, rows and columns. */
  pixels: string;
  /** `[3, 1]` */
  points: string;
  /** The samples there are. */
  samples: string;
  /** Pixels for each sample, as a fraction. */
  numerator: string;
  denominator: string;
  /** `[3]`: the triangle's cases. */
  isBoth: string;
  isDownOnly: string;
  isAcrossOnly: string;
}

export function scaledLayouts(m: Arithmetic, sampling: string, size: string, scale: string): Layout {
  const { int } = m;
  const [first, second, third] = [0, 1, 2].map((c) => m.at(sampling, c)) as [string, string, string];
  const largest = m.shape(int.max(int.max(first, second), third), 2);
  const numerator = int.mul(largest, scale);
  // Sampling factors are at most 4, so that two doublings are the most.
  let points: string = int.add(m.shape(int.mul(m.column(sampling, 0), 0), 3, 1), scale);
  for (let doubling = 0; doubling < 2; doubling++) {
    const fits = int.divides(numerator, int.mul(int.mul(points, 2), sampling));
    const [down, across] = [0, 1].map((axis) => m.shape(m.column(fits, axis), 3, 1)) as [string, string];
    const doubles = m.all(int.less(1, scale), int.less(points, 8), down, across);
    points = int.where(doubles, int.mul(points, 2), points);
  }
  const denominator = int.mul(sampling, points);
  const samples = int.ceilDiv(int.mul(int.mul(size, sampling), points), int.mul(largest, 8));
  const isDoubled = int.equal(numerator, int.mul(denominator, 2));
  const isWhole = int.equal(numerator, denominator);
  const isWide = int.less(2, m.column(samples, 1));
  return {
    pixels: int.ceilDiv(int.mul(size, scale), 8),
    points,
    samples,
    numerator,
    denominator,
    isBoth: m.all(m.column(isDoubled, 0), m.column(isDoubled, 1), isWide),
    isAcrossOnly: m.all(m.column(isWhole, 0), m.column(isDoubled, 1), isWide),
    isDownOnly: m.all(m.column(isDoubled, 0), m.column(isWhole, 1)),
  };
}

/** A component's pixels `[rows, columns]`: inverse transform and upsampling. */
export function componentPixels(
  m: Arithmetic,
  blocks: string,
  table: string,
  layout: Layout,
  c: number,
): string {
  const { g } = m;
  const points = m.shape(m.at(layout.points, c), 1);
  const [high, wide, count] = [0, 1, 2].map((axis) => m.length(blocks, axis)) as [string, string, string];

  // samples[block, (i, j)] = ⌊coefficients[block, k] M[k, (i, j)] + 128.5⌋, cut to bytes.
  const k = m.range(count);
  const i = m.toReal(m.range(points));
  const cosines = (frequencies: number[]) => {
    const alpha = m.shape(m.gather(g.floats(frequencies), k, 0), -1, 1);
    const angle = m.real.div(
      m.real.mul(m.real.add(m.real.mul(i, 2 * Math.PI), Math.PI), alpha),
      m.real.mul(m.toReal(points), 2),
    );
    const isHeld = m.real.less(alpha, m.toReal(points));
    return m.real.where(isHeld, g.node("Cos", [angle]), 0);
  };
  const weights = m.real.mul(m.gather(table, k, 0), m.shape(m.gather(g.floats(FACTOR), k, 0), -1, 1));
  const vertical = m.shape(m.real.mul(cosines(ALPHA), weights), count, points, 1);
  const horizontal = m.shape(cosines(BETA), count, 1, points);
  const inverse = m.shape(m.real.mul(vertical, horizontal), count, -1);
  const flat = m.shape(m.toReal(blocks), -1, count);
  const samples = bytes(m, m.real.add(g.node("MatMul", [flat, inverse]), 128.5));

  // libjpeg's triangle where one axis or both are doubled, and repetition elsewhere. Rows are gathered fast, columns are
  // not: so columns are stretched while they lie as rows.
  const [isBoth, isDownOnly, isAcrossOnly] = [layout.isBoth, layout.isDownOnly, layout.isAcrossOnly].map(
    (is) => m.at(is, c),
  ) as [string, string, string];
  const ordered = g.node("Transpose", [m.shape(samples, high, wide, points, points)], { perm: [1, 3, 0, 2] });
  const columns = stretch(m, m.shape(ordered, m.int.mul(wide, points), -1), layout, c, 1, {
    isFancy: m.any(isBoth, isAcrossOnly),
    even: m.real.where(isBoth, 8 / 16, m.real.where(isAcrossOnly, 1 / 4, 0)),
    odd: m.real.where(isBoth, 7 / 16, m.real.where(isAcrossOnly, 2 / 4, 0)),
    present: m.int.mul(wide, points),
  });
  const rows = stretch(m, g.node("Transpose", [columns], { perm: [1, 0] }), layout, c, 0, {
    isFancy: m.any(isBoth, isDownOnly),
    even: m.real.where(isDownOnly, 1 / 4, 0),
    odd: m.real.where(isDownOnly, 2 / 4, 0),
    present: m.int.mul(high, points),
  });
  return g.node("Floor", [rows]);
}

interface Stretch {
  isFancy: string;
  /** What libjpeg adds before it cuts off. */
  even: string;
  odd: string;
  /** Samples in the blocks at hand. */
  present: string;
}

/** Upsamples an axis that lies first. */
function stretch(
  m: Arithmetic,
  plane: string,
  layout: Layout,
  c: number,
  axis: 0 | 1,
  { isFancy, even, odd, present }: Stretch,
): string {
  const of = (value: string) => m.at(m.shape(m.at(value, c), 2), axis);
  const x = m.range(m.at(layout.pixels, axis));
  const isOdd = m.not(m.int.divides(x, 2));
  const last = m.int.sub(m.int.min(of(layout.samples), present), 1);
  const own = m.int.min(m.int.div(m.int.mul(x, of(layout.denominator)), m.at(layout.numerator, axis)), last);
  const other = m.int.max(m.int.min(m.int.add(own, m.int.where(isOdd, 1, -1)), last), 0);
  const share = m.real.where(isFancy, 1 / 4, 0);
  return m.real.add(
    m.real.add(
      m.real.mul(m.gather(plane, own, 0), m.real.sub(1, share)),
      m.real.mul(m.gather(plane, other, 0), share),
    ),
    m.shape(m.real.where(isOdd, odd, even), -1, 1),
  );
}

/** Of numbers to which 1/2 is added already. */
export function bytes(m: Arithmetic, value: string): string {
  const { g } = m;
  return g.node("Min", [g.node("Max", [g.node("Floor", [value]), g.floats([0])]), g.floats([255])]);
}
