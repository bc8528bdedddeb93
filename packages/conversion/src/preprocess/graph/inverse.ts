/**
 * Coefficients → pixels of one component as nodes: ../reference/inverse.ts for a scale and sampling known only at run
 * time. Samples and pixels are bytes less 128. Along an axis of n units with p pixels each, pixel i is at place
 * `n · (i % p) + ⌊i / p⌋`: pixels with the same number in their units are neighbours.
 */
import { ZIGZAG } from "@jpeg-domain/coefficients";
import { BASES } from "../basis.js";
import { coefficientsFor, type ScaledComponent, scaledLayout } from "../scaling.js";
import type { Arithmetic } from "./arithmetic.js";
import { either } from "./branch.js";
import { type Axes, type Axis, axisOf, type Window } from "./geometry.js";
import { upsampled } from "./upsample.js";

/** `a(i, α)` of ../basis.ts for every number of points, one below the other: `[105, 8]`, 0 if α is left out. */
const STACKED = BASES.flat().flatMap((row) => [...row, ...Array(8 - row.length).fill(0)]);

/** Where the basis of N points begins in it. */
const STARTS = BASES.map((_, points) => (points * (points - 1)) / 2);

/** How many coefficients N points need. */
const NEEDED = [0, ...STARTS.slice(1).map((_, at) => coefficientsFor(at + 1))];

/** Added to a sample so that halves are rounded up; otherwise too little to matter. */
const HALF_UP = 1 / 1024;

/** The half waves of frequency k: down the file's columns, then along its rows. */
const WAVES = [...ZIGZAG.map((place) => place >> 3), ...ZIGZAG.map((place) => place & 7)];

/** How many times the scale's points a component has, which saves upsampling: ../scaling.ts. */
function doubled(largest: number, own: number, scale: number): number {
  const components = [largest, own].map((factor) => ({
    horizontalSampling: factor,
    verticalSampling: factor,
  }));
  const layout = scaledLayout({ width: 8, height: 8, colorSpace: "ycbcr", components }, scale);
  return (layout.components[1] as ScaledComponent).points / scale;
}

/** What the sampling factors of an axis allow, at `5 · largest + own`, and what the scale does. */
const BY_SAMPLING = Array.from({ length: 25 }, (_, at) => doubled(Math.floor(at / 5), at % 5, 2));
const BY_SCALE = Array.from({ length: 9 }, (_, scale) => doubled(4, 1, Math.max(1, scale)));

/** The layout of all components. Row c is that of component c. */
export interface Layout {
  window: Window;
  axes: Axes;
  /** int64 `[3, 2]`: vertical, horizontal. */
  sampling: string;
  /** int64 `[3, 1]`: of the inverse transform. */
  points: string;
  /** int64 `[3, 1]`: where their basis begins in {@link STACKED}. */
  start: string;
  /** int64 `[3, 2]`: samples of a unit. */
  perUnit: string;
  /** bool `[3, 1]`: there are more pixels than samples. */
  isFewer: string;
  /** int64 `[3, 1]`: how many coefficients the inverse transform uses. */
  needed: string;
  /** int64 `[1]`: how many there are of each block. */
  count: string;
  /** float32 `[3, 64]` */
  tables: string;
  /** How many half waves each frequency has, down and across the upright image: int64 `[64]` each. */
  waves: [down: string, across: string];
}

interface Inputs {
  blocks: string;
  sampling: string;
  quantization: string;
}

/** ../scaling.ts for all components. */
export function layoutOf(m: Arithmetic, { blocks, sampling, quantization }: Inputs, window: Window): Layout {
  const { int, g } = m;
  const { scale, largest, unit } = window;
  const axes: Axes = [axisOf(m, window, 0), axisOf(m, window, 1)];
  const bySampling = m.gather(g.ints(BY_SAMPLING), int.add(int.mul(largest, 5), sampling), 0);
  const byScale = m.gather(g.ints(BY_SCALE), scale, 0);
  const points = int.mul(int.min(int.min(m.column(bySampling, 0), m.column(bySampling, 1)), byScale), scale);
  const perUnit = int.mul(sampling, points);
  const isFewer = int.less(perUnit, unit);
  const along = ({ index }: Axis) => m.shape(m.gather(g.ints(WAVES, [2, 64]), index, 0), -1);
  return {
    window,
    axes,
    sampling,
    points,
    start: m.gather(g.ints(STARTS), points, 0),
    perUnit,
    isFewer: m.any(m.column(isFewer, 0), m.column(isFewer, 1)),
    needed: m.gather(g.ints(NEEDED), points, 0),
    count: m.at(g.node("Shape", [blocks]), 2),
    tables: m.toReal(quantization),
    waves: [along(axes[0]), along(axes[1])],
  };
}

/**
 * The pixels of component `c` in the window, bytes `[1, across · down]`.
 * @param blocks int16 `[blocks down, blocks across, K]`
 */
export function componentPixels(m: Arithmetic, blocks: string, c: number, layout: Layout): string {
  const samples = componentSamples(m, blocks, c, layout);
  const { isFewer, perUnit, window, axes } = layout;
  return either(
    m.g,
    m.row(isFewer, c),
    m.byteType,
    () => upsampled(m, samples, m.row(perUnit, c), window, axes),
    () => m.g.node("Identity", [samples]),
  );
}

/** The samples of the window's blocks, bytes `[1, across · down]`. */
function componentSamples(m: Arithmetic, blocks: string, c: number, layout: Layout): string {
  const { g } = m;
  const { axes, count } = layout;
  const [rows, columns] = blockPlaces(m, blocks, m.row(layout.sampling, c), axes);
  const places = m.int.add(m.shape(columns.at, -1, 1), m.shape(rows.at, 1, -1));
  const { chosen, kept } = chosenBlocks(m, blocks, places, m.row(layout.needed, c), count);
  const flat = m.list(-1, kept);
  const coefficients = g.node("Reshape", [m.toReal(chosen), flat]);
  const inverse = g.node("Reshape", [inverseTransform(m, c, layout, kept), flat]);

  // With blocks in rows of the product, all units of a point are a run, and Transpose moves runs fast.
  const product = g.node("Gemm", [inverse, coefficients, g.floats([HALF_UP])], { transB: 1 });
  const points = m.row(layout.points, c);
  const apart = [points, points, columns.perUnit, axes[1].units, rows.perUnit, axes[0].units];
  const samples = m.shape(m.toBytes(product), ...apart);
  return m.shape(g.node("Transpose", [samples], { perm: [2, 0, 3, 4, 1, 5] }), 1, -1);
}

/** From the first `kept` quantised coefficients of a block to its points, `[across, down, kept]`. */
function inverseTransform(m: Arithmetic, c: number, layout: Layout, kept: string): string {
  const { waves, points, start, tables } = layout;
  const k = m.shape(m.range(kept), -1);
  const point = m.int.add(m.range(m.row(points, c)), m.row(start, c));
  const bases = m.g.floats(STACKED, [STACKED.length / 8, 8]);
  const along = (point: string, waves: string) =>
    m.gather(m.gather(bases, point, 0), m.gather(waves, k, 0), 2);
  const across = m.real.mul(along(m.shape(point, -1, 1), waves[1]), m.gather(m.row(tables, c), k, 0));
  return m.real.mul(across, along(point, waves[0]));
}

/** The blocks at `places`, with only the coefficients that are needed, and how many those are. */
function chosenBlocks(
  m: Arithmetic,
  blocks: string,
  places: string,
  needed: string,
  count: string,
): { chosen: string; kept: string } {
  const { g } = m;
  const choose = (all: string, kept: string) => m.gather(m.shape(all, -1, kept), places, 0);
  // Since opset 10 Slice takes limits known at run time.
  if (!m.isSince(10)) return { chosen: choose(blocks, count), kept: count };
  const first = () => g.node("Slice", [blocks, g.ints([0]), needed, g.ints([2])]);
  const chosen = either(
    g,
    m.int.less(needed, count),
    "int16",
    () => choose(first(), needed),
    () => choose(blocks, count),
  );
  return { chosen, kept: m.int.min(needed, count) };
}

interface Places {
  /** Blocks of a unit. */
  perUnit: string;
  /** Where the window's blocks begin, `[blocks of a unit, units]`. */
  at: string;
}

function blockPlaces(m: Arithmetic, blocks: string, sampling: string, axes: Axes): [Places, Places] {
  const { int, g } = m;
  const dims = g.node("Shape", [blocks]);
  const last = int.sub(m.at(dims, 0, 1), 1);
  const strides = m.list(m.at(dims, 1), 1);
  const along = ({ index, unitRow }: Axis): Places => {
    const of = (value: string) => m.gather(value, index, 0);
    const perUnit = of(sampling);
    const all = int.add(int.mul(unitRow, perUnit), m.shape(m.range(perUnit), -1, 1));
    // Blocks that are not in the file have no pixels. A grayscale file has one block of chroma, which stands for all.
    return { perUnit, at: int.mul(int.min(all, of(last)), of(strides)) };
  };
  return [along(axes[0]), along(axes[1])];
}
