/**
 * Coefficients → pixels of one component as nodes: src/transform/pixels.ts, for a scale and sampling known only at run
 * time. Samples and pixels are bytes less 128. Along an axis of n units of p pixels, place `n · (i % p) + ⌊i / p⌋` holds
 * pixel i: so what belongs together in all units lies together.
 */
import { type ElementType, float32 } from "../onnx/graph.js";
import { ZIGZAG } from "../transform/frequency.js";
import { scaledBasis } from "../transform/pixels.js";
import type { Arithmetic } from "./arithmetic.js";
import { changedIf } from "./entrance-branch.js";
import type { Axis, Window } from "./entrance-window.js";

/** Points in an inverse transform are at most 14, which is scale 7/8 doubled. */
const POINTS = Array.from({ length: 14 }, (_, i) => i + 1);

/** `a(i, α)` of transform/pixels.ts for every number of points, one below the other: `[105, 8]`, 0 where α is left out. */
const BASES = POINTS.flatMap(scaledBasis).flatMap((row) => [...row, ...Array(8 - row.length).fill(0)]);

/** Where those of N points begin. */
const STARTS = [0, ...POINTS.map((points) => (points * (points - 1)) / 2)];

/** How often a component can be doubled: by sampling factors (5 · largest + own), and by scale. Its points are at most 14. */
const DOUBLED = Array.from({ length: 25 }, (_, at) => {
  const ratio = Math.floor(at / 5) / (at % 5);
  return ratio % 4 === 0 ? 4 : ratio % 2 === 0 ? 2 : 1;
});
const MOST_DOUBLED = [1, 1, 4, 4, 2, 2, 2, 2, 1];

/** One component's part in the window. */
export interface Component {
  /** int16 `[blocks down, blocks across, K]` */
  blocks: string;
  /** float32 `[64]` */
  table: string;
  /** int64 `[2]`: vertical, horizontal. */
  sampling: string;
}

/** A component's pixels in the window, `[across, down]`: see {@link roundedProduct} for their type. */
export function componentPixels(
  m: Arithmetic,
  component: Component,
  window: Window,
  axes: [down: Axis, across: Axis],
  size: string,
): string {
  const { int } = m;
  const { scale, largest, unit } = window;
  const { sampling } = component;
  const ratio = int.add(int.mul(largest, 5), sampling);
  const doubled = int.least(m.gather(m.g.ints(DOUBLED), ratio, 0));
  const points = int.mul(scale, int.min(doubled, m.gather(m.g.ints(MOST_DOUBLED), scale, 0)));
  const perUnit = int.mul(sampling, points);
  const samples = componentSamples(m, component, points, perUnit, axes);
  const isFewer = int.less(perUnit, unit);
  return changedIf(m.g, m.any(m.at(isFewer, 0), m.at(isFewer, 1)), samples, byteType(m), () =>
    upsampled(m, samples, { perUnit, unit, largest, size }, axes),
  );
}

/** The inverse transform of the window's blocks, `[samples across, samples down]`. */
function componentSamples(
  m: Arithmetic,
  { blocks, table, sampling }: Component,
  points: string,
  perUnit: string,
  [down, across]: [Axis, Axis],
): string {
  const { int, g } = m;
  const count = m.at(g.node("Shape", [blocks]), 2);
  const dims = m.at(g.node("Shape", [blocks]), 0, 1);
  const strides = g.node("Concat", [m.at(dims, 1), g.ints([1])], { axis: 0 });
  // Blocks that the file leaves out hold no pixels; of a grayscale file's chroma the one there is stands for all.
  const places = (axis: Axis) => {
    const own = m.gather(sampling, axis.index, 0);
    const first = int.mul(int.add(m.range(axis.units), axis.firstUnit), own);
    const all = int.add(m.shape(m.range(own), -1, 1), first);
    const last = int.sub(m.gather(dims, axis.index, 0), 1);
    return { own, at: int.mul(int.min(all, last), m.gather(strides, axis.index, 0)) };
  };
  const [rows, columns] = [places(down), places(across)];
  const chosen = int.add(m.shape(columns.at, -1, 1), m.shape(rows.at, 1, -1));
  const values = m.toReal(m.gather(m.shape(blocks, -1, count), m.shape(chosen, -1), 0));

  const k = m.range(count);
  const basis = m.gather(
    g.constant("bases", float32(BASES, [BASES.length / 8, 8])),
    int.add(m.range(points), m.gather(g.ints(STARTS), points, 0)),
    0,
  );
  const frequencies = m.gather(
    g.ints([...ZIGZAG.map((place) => place >> 3), ...ZIGZAG.map((place) => place & 7)], [2, 64]),
    k,
    1,
  );
  const along = (axis: Axis) => m.gather(basis, m.shape(m.gather(frequencies, axis.index, 0), -1), 1);
  const scaled = m.real.mul(along(across), m.gather(table, k, 0));
  const inverse = m.real.mul(m.shape(scaled, points, 1, count), m.shape(along(down), 1, points, count));
  const product = roundedProduct(m, m.shape(inverse, -1, count), values, { transB: 1 });

  const apart = m.shape(product, points, points, columns.own, across.units, rows.own, down.units);
  const ordered = g.node("Transpose", [apart], { perm: [2, 0, 3, 4, 1, 5] });
  const wide = int.mul(m.gather(perUnit, across.index, 0), across.units);
  return m.shape(ordered, wide, -1);
}

interface Upsampling {
  /** `[2]`: of a unit. */
  perUnit: string;
  unit: string;
  largest: string;
  size: string;
}

/** Libjpeg's triangle where one axis or both are doubled, and repetition elsewhere. */
function upsampled(
  m: Arithmetic,
  samples: string,
  { perUnit, unit, largest, size }: Upsampling,
  [down, across]: [Axis, Axis],
): string {
  const { int, real, g } = m;
  // Of a unit's 8 · largest full pixels `perUnit` samples are left.
  const length = int.ceilDiv(int.mul(size, perUnit), int.mul(largest, 8));
  const isDoubled = int.equal(unit, int.mul(perUnit, 2));
  const isWhole = int.equal(unit, perUnit);
  const isWide = int.less(2, m.at(length, 1));
  const isBoth = m.all(m.at(isDoubled, 0), m.at(isDoubled, 1), isWide);
  const isAcross = m.all(m.at(isWhole, 0), m.at(isDoubled, 1), isWide);
  const isDown = m.all(m.at(isDoubled, 0), m.at(isWhole, 1));
  const [isFancyDown, isFancyAcross] = [m.any(isBoth, isDown), m.any(isBoth, isAcross)];

  const pair = (first: string, second: string) => g.node("Concat", [first, second], { axis: 0 });
  const share = pair(real.where(isFancyDown, 1 / 4, 0), real.where(isFancyAcross, 1 / 4, 0));
  // What libjpeg adds before it cuts off: rounding to the nearest is that of half a sixteenth less than 1/2 below.
  const even = pair(real.where(isDown, 1 / 4, 0), real.where(isBoth, 8 / 16, real.where(isAcross, 1 / 4, 0)));
  const odd = pair(real.where(isDown, 2 / 4, 0), real.where(isBoth, 7 / 16, real.where(isAcross, 2 / 4, 0)));
  const along = (plane: string, axis: Axis, shift: number) => {
    const of = (value: string) => m.gather(value, axis.index, 0);
    const last = int.sub(of(length), 1);
    return stretched(m, plane, axis, {
      ...{ perUnit: of(perUnit), last, share: of(share) },
      ...{ even: real.add(of(even), shift), odd: real.add(of(odd), shift) },
    });
  };
  const turn = (plane: string) => g.node("Transpose", [plane], { perm: [1, 0] });
  const wide = turn(along(m.toReal(samples), across, 0));
  return rounded(m, turn(along(wide, down, 1 / 32 - 1 / 2)));
}

interface Stretch {
  /** Samples of a unit. */
  perUnit: string;
  /** The last sample. */
  last: string;
  /** The weight of the neighbour that is nearer to a pixel. */
  share: string;
  /** What is added to even and to odd pixels. */
  even: string;
  odd: string;
}

/** Upsamples the axis that lies first: each unit's samples, with one before and one after, by one matrix for all units. */
function stretched(
  m: Arithmetic,
  plane: string,
  { unit, units, firstUnit }: Axis,
  { perUnit, last, share, even, odd }: Stretch,
): string {
  const { int, real, g } = m;
  const inner = m.shape(m.range(int.add(perUnit, 2)), -1, 1);
  const place = int.sub(int.add(int.mul(m.range(units), perUnit), inner), 1);
  const held = int.min(int.sub(last, int.mul(firstUnit, perUnit)), int.sub(int.mul(units, perUnit), 1));
  const sample = int.max(int.min(place, held), 0);
  const index = int.add(int.mul(int.mod(sample, perUnit), units), int.div(sample, perUnit));

  const pixel = m.shape(m.range(unit), -1, 1);
  const isOdd = int.equal(int.mod(pixel, 2), 1);
  const own = int.add(int.div(int.mul(pixel, perUnit), unit), 1);
  const other = int.add(own, int.where(isOdd, 1, -1));
  const across = m.shape(inner, 1, -1);
  const weights = real.where(
    int.equal(across, own),
    real.sub(1, share),
    real.where(int.equal(across, other), share, 0),
  );
  const rows = m.shape(m.gather(plane, index, 0), int.add(perUnit, 2), -1);
  const product = g.node("Gemm", [weights, rows, real.where(isOdd, odd, even)]);
  return m.shape(product, int.mul(unit, units), -1);
}

/** Since this operator set `QuantizeLinear` rounds and cuts numbers to bytes in one pass. */
const QUANTIZE_OPSET = 10;

const hasBytes = ({ g }: Arithmetic) => (g.graph.opsets.get("") ?? 0) >= QUANTIZE_OPSET;

/** Of signed bytes in the graph; before {@link QUANTIZE_OPSET} they are whole floats. */
const byteType = (m: Arithmetic): ElementType => (hasBytes(m) ? "int8" : "float32");

/** To the nearest signed byte. */
function rounded(m: Arithmetic, value: string): string {
  const { g, real } = m;
  if (!hasBytes(m)) {
    const whole = g.node("Floor", [real.add(value, 0.5)]);
    return g.node("Min", [g.node("Max", [whole, g.floats([-128])]), g.floats([127])]);
  }
  const zero = g.constant("zero", { type: "int8", dims: [], data: Int8Array.of(0) });
  return g.node("QuantizeLinear", [value, g.floats([1], []), zero]);
}

/** What a half is raised by, so that it is rounded up: far less than what bytes are told apart by. */
const HALF_UP = 1 / 1024;

/** The product of two matrices as signed bytes, halves rounded up. */
export function roundedProduct(
  m: Arithmetic,
  a: string,
  b: string,
  attributes: { transB?: number } = {},
): string {
  return rounded(m, m.g.node("Gemm", [a, b, m.g.floats([HALF_UP])], attributes));
}
