/**
 * The entrance as nodes: a file's quantised coefficients → the network's planes, as ./planes.ts defines it, for any size
 * and sampling. Everything that depends on the file is computed in the graph, from its size, sampling and orientation.
 */
import type { GraphBuilder } from "../onnx/builder.js";
import { float32 } from "../onnx/graph.js";
import { ZIGZAG } from "../transform/frequency.js";
import { Arithmetic } from "./arithmetic.js";
import { LUMA } from "./planes.js";
import { channelCount, type Preprocess } from "./preprocess.js";

/**
 * The inputs of a graph that takes JPEG files, for one file in each call. They are the same for every network:
 *
 *   y, cb, cr      int16 [blocksHigh, blocksWide, K]  quantised coefficients, zigzag order, K ≤ 64 of each block
 *   quantization   int32 [3, 64]                      the components' tables, zigzag order
 *   sampling       int64 [3, 2]                       the components' vertical and horizontal sampling factors
 *   size           int64 [2]                          height and width in pixels, as in the frame header
 *   orientation    int64 [1]                          of EXIF, 1 to 8; 1 where the file has none
 *   rgb            int64 [1]                          1 where the components are red, green and blue, else 0
 *
 * A grayscale file has one block of zeros `[1, 1, K]` for cb and cr, tables of ones, and the sampling of y.
 */
export const JPEG_INPUTS = [
  "y",
  "cb",
  "cr",
  "quantization",
  "sampling",
  "size",
  "orientation",
  "rgb",
] as const;

/** Zigzag frequencies' alpha and beta, and the product of their factors in `a(i, α) a(j, β)`: see transform/pixels.ts. */
const ALPHA = ZIGZAG.map((place) => place >> 3);
const BETA = ZIGZAG.map((place) => place & 7);
const FACTOR = ZIGZAG.map(
  (_, k) => (ALPHA[k] === 0 ? Math.SQRT1_2 / 2 : 0.5) * (BETA[k] === 0 ? Math.SQRT1_2 / 2 : 0.5),
);

/** src/jpeg/scaling.ts for all components at once, int64 (bool where it begins with `is`): `[2]` for both axes, or `[3, 2]`. */
interface Layout {
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

/**
 * Adds the entrance to `g`, and returns the planes `[C, height · width]`.
 * @param out What the network takes, where resize and crop do not say.
 */
export function entranceGraph(
  g: GraphBuilder,
  preprocess: Preprocess,
  out: { height: number; width: number },
): string {
  const m = new Arithmetic(g);
  const coefficients = ["y", "cb", "cr"].map((name) =>
    g.input(name, "int16", [`${name}_blocks_high`, `${name}_blocks_wide`, "coefficients"]),
  );
  const tables = m.toReal(g.input("quantization", "int32", [3, 64]));
  const sampling = g.input("sampling", "int64", [3, 2]);
  const size = g.input("size", "int64", [2]);
  const orientation = g.input("orientation", "int64", [1]);
  const isRgb = m.int.equal(g.input("rgb", "int64", [1]), 1);

  // Geometry (./geometry.ts), upright and then in the file's directions.
  const [fileHeight, fileWidth] = [m.at(size, 0), m.at(size, 1)];
  const isSwapped = m.int.less(4, orientation);
  const upright = {
    height: m.int.where(isSwapped, fileWidth, fileHeight),
    width: m.int.where(isSwapped, fileHeight, fileWidth),
  };
  const resized = resizedSize(m, preprocess, upright);
  const crop = {
    top: m.int.div(m.int.sub(resized.height, out.height), 2),
    left: m.int.div(m.int.sub(resized.width, out.width), 2),
  };
  const swap = (a: string | number, b: string | number) => m.int.where(isSwapped, a, b);
  const down = {
    resized: swap(resized.width, resized.height),
    from: swap(crop.left, crop.top),
    length: swap(out.width, out.height),
  };
  const across = {
    resized: swap(resized.height, resized.width),
    from: swap(crop.top, crop.left),
    length: swap(out.height, out.width),
  };
  const needed = (to: string, file: string) => m.int.ceilDiv(m.int.mul(to, 8), file);
  const scale = m.int.min(m.int.max(needed(down.resized, fileHeight), needed(across.resized, fileWidth)), 8);

  const layout = scaledLayouts(m, sampling, size, scale);
  const planes = coefficients.map((blocks, c) =>
    componentPixels(m, blocks, m.shape(m.at(tables, c), 64, 1), layout, c),
  );
  const pixels = colors(m, planes, isRgb, preprocess, layout);

  const flipY = oneOf(m, orientation, [3, 4, 6, 7]);
  const flipX = oneOf(m, orientation, [2, 3, 7, 8]);
  const rows = tapsMatrix(m, preprocess, m.at(layout.pixels, 0), down, flipY);
  const columns = tapsMatrix(m, preprocess, m.at(layout.pixels, 1), across, flipX);
  const resampled = g.node("MatMul", [
    g.node("MatMul", [rows, pixels]),
    g.node("Transpose", [columns], { perm: [1, 0] }),
  ]);
  return normalized(g, turnUpright(m, resampled, channelCount(preprocess), out, isSwapped), preprocess);
}

function resizedSize(
  m: Arithmetic,
  { resize }: Preprocess,
  { height, width }: { height: string; width: string },
): { height: string; width: string } {
  if (resize === undefined) return { height, width };
  const { g } = m;
  if (!("shortestEdge" in resize)) return { height: g.ints([resize.height]), width: g.ints([resize.width]) };
  const edge = resize.shortestEdge;
  const shortest = m.int.min(height, width);
  const side = (length: string) => m.int.div(m.int.mul(length, edge), shortest);
  return { height: side(height), width: side(width) };
}

function scaledLayouts(m: Arithmetic, sampling: string, size: string, scale: string): Layout {
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
function componentPixels(m: Arithmetic, blocks: string, table: string, layout: Layout, c: number): string {
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
function bytes(m: Arithmetic, value: string): string {
  const { g } = m;
  return g.node("Min", [g.node("Max", [g.node("Floor", [value]), g.floats([0])]), g.floats([255])]);
}

/** JFIF's colours in the network's order of channels, as bytes `[C, rows, columns]`. */
function colors(
  m: Arithmetic,
  planes: string[],
  isRgb: string,
  { channels }: Preprocess,
  { pixels }: Layout,
): string {
  const { g } = m;
  const order = channels === "bgr" ? [2, 1, 0] : [0, 1, 2];
  const pick = (rows: number[][]) =>
    channels === "grayscale" ? rows : order.map((c) => rows[c] as number[]);
  const fromYcbcr = pick(
    channels === "grayscale"
      ? [[1, 0, 0]]
      : [
          [1, 0, 1.402],
          [1, -0.344136286, -0.714136286],
          [1, 1.772, 0],
        ],
  );
  const fromRgb = pick(
    channels === "grayscale"
      ? [[...LUMA]]
      : [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ],
  );
  const shift = fromYcbcr.map(([, cb = 0, cr = 0]) => 0.5 - 128 * (cb + cr));
  const dims = [fromYcbcr.length, 3];
  const matrix = m.real.where(isRgb, g.floats(fromRgb.flat(), dims), g.floats(fromYcbcr.flat(), dims));
  const bias = m.real.where(isRgb, 0.5, g.floats(shift, [shift.length, 1]));
  const stacked = g.node(
    "Concat",
    planes.map((plane) => m.shape(plane, 1, -1)),
    { axis: 0 },
  );
  const mixed = bytes(m, m.real.add(g.node("MatMul", [matrix, stacked]), bias));
  return m.shape(mixed, fromYcbcr.length, m.at(pixels, 0), m.at(pixels, 1));
}

function oneOf(m: Arithmetic, orientation: string, values: number[]): string {
  const [first, ...others] = values.map((value) => m.int.equal(orientation, value)) as [string, ...string[]];
  return m.any(first, ...others);
}

/** The taps of transform/resample.ts as a matrix `[outputs, inputs]`, for an axis that may run backwards. */
function tapsMatrix(
  m: Arithmetic,
  { resample }: Preprocess,
  inputs: string,
  { resized, from, length }: { resized: string; from: string; length: string },
  isFlipped: string,
): string {
  const { g } = m;
  const x = m.int.add(m.range(length), from);
  const straight = m.range(inputs);
  const input = m.int.where(isFlipped, m.int.sub(m.int.sub(inputs, 1), straight), straight);
  const twice = m.int.mul(m.int.add(m.int.mul(x, 2), 1), inputs);
  if (resample === "nearest") {
    const nearest = m.shape(m.int.div(twice, m.int.mul(resized, 2)), -1, 1);
    return m.toReal(m.int.equal(nearest, m.shape(input, 1, -1)));
  }
  const centre = m.shape(m.real.div(m.toReal(twice), m.toReal(m.int.mul(resized, 2))), -1, 1);
  const wider = m.real.div(m.toReal(m.int.max(inputs, resized)), m.toReal(resized));
  const offset = m.real.sub(m.shape(m.real.add(m.toReal(input), 0.5), 1, -1), centre);
  const weights = filter(m, resample, g.node("Abs", [m.real.div(offset, wider)]));
  const ones = m.shape(m.real.add(m.real.mul(m.toReal(input), 0), 1), -1, 1);
  return m.real.div(weights, g.node("MatMul", [weights, ones]));
}

/** The filters of transform/resample.ts, of |x|. */
function filter(m: Arithmetic, name: "bilinear" | "bicubic" | "lanczos", x: string): string {
  const { real, g } = m;
  if (name === "bilinear") return g.node("Max", [real.sub(1, x), g.floats([0])]);
  if (name === "bicubic") {
    const square = real.mul(x, x);
    const inner = real.add(real.mul(real.sub(real.mul(x, 1.5), 2.5), square), 1);
    const outer = real.add(real.mul(real.sub(real.mul(real.add(real.mul(x, -0.5), 2.5), x), 4), x), 2);
    return real.where(real.less(x, 1), inner, real.where(real.less(x, 2), outer, 0));
  }
  // sin(t) / t is even, and 1 at 0.
  const sinc = (t: string) => {
    const angle = g.node("Max", [real.mul(t, Math.PI), g.floats([1e-6])]);
    return real.div(g.node("Sin", [angle]), angle);
  };
  return real.where(real.less(x, 3), real.mul(sinc(x), sinc(real.div(x, 3))), 0);
}

/** `[C, rows, columns]` in the file's directions → `[C, height · width]`. */
function turnUpright(
  m: Arithmetic,
  planes: string,
  channels: number,
  { height, width }: { height: number; width: number },
  isSwapped: string,
): string {
  const { g } = m;
  if (height === width) {
    const turned = g.node("Transpose", [planes], { perm: [0, 2, 1] });
    return m.shape(m.real.where(isSwapped, turned, planes), channels, -1);
  }
  const index = (place: (y: number, x: number) => number) => {
    const places = Array.from({ length: height * width }, (_, at) =>
      place(Math.floor(at / width), at % width),
    );
    const data = BigInt64Array.from(places, BigInt);
    return g.constant("upright", { type: "int64", dims: [data.length], data });
  };
  const straight = index((y, x) => y * width + x);
  const swapped = index((y, x) => x * height + y);
  return m.gather(m.shape(planes, channels, -1), m.int.where(isSwapped, swapped, straight), 1);
}

function normalized(g: GraphBuilder, planes: string, { resample, rescale, mean, std }: Preprocess): string {
  const overshoots = resample === "bicubic" || resample === "lanczos";
  const cut = overshoots ? g.node("Min", [g.node("Max", [planes, g.floats([0])]), g.floats([255])]) : planes;
  const factors = std.map((deviation) => rescale / deviation);
  const summands = std.map((deviation, c) => -(mean[c] as number) / deviation);
  const column = (values: number[]) => g.constant("normalize", float32(values, [values.length, 1]));
  return g.node("Add", [g.node("Mul", [cut, column(factors)]), column(summands)]);
}
