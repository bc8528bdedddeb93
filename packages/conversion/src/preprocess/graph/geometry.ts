/**
 * Where the network's pixels are in a file, as nodes: ../geometry.ts and ../scaling.ts for one file in each call. Vectors
 * `[2]` are for the file's two axes, down and across.
 */
import { float64 } from "../../onnx/graph.js";
import { MAX_SIDE } from "../fields.js";
import { filterOf } from "../filters.js";
import { canBeSmaller } from "../geometry.js";
import type { Area, Preprocess } from "../preprocess.js";
import type { Arithmetic } from "./arithmetic.js";
import { turnOf } from "./orientation.js";

/** One axis of the upright crop, in runs of outputs that are resampled together. The last run can end beyond it. */
export interface Outputs {
  length: number;
  each: number;
  runs: number;
}

/** The length of a run. Shorter ones gather the same pixels more often, longer ones multiply by more zeros. */
const SHORTEST_RUN = 8;
const LONGEST_RUN = 16;

export function outputsOf(length: number): Outputs {
  let each = Math.min(length, LONGEST_RUN);
  while (length % each !== 0 && each >= SHORTEST_RUN) each--;
  if (length % each !== 0) each = LONGEST_RUN;
  return { length, each, runs: Math.ceil(length / each) };
}

/** Pixels around the crop whose samples upsampling needs. */
const MARGIN = 1;

/** The pixels that are resized, if not all: the first, and the one after the last. */
interface Bounds {
  low: string;
  high: string;
}

/** Each value is int64 `[2]`, unless noted. */
export interface Window {
  /** The file's. */
  size: string;
  /** `[1]` */
  scale: string;
  /** For each axis of the upright image the file's, and the other way round. */
  order: string;
  /** The scaled image. */
  pixels: string;
  /** The image after resizing, and where the crop begins in it, which can be before it. */
  resized: string;
  from: string;
  /** float32: scaled pixels for each resized one, and how many the filter reaches to each side. */
  ratio: string;
  reach: string;
  /** float32: where the part that is resized begins in the scaled image, and its length. */
  origin: string;
  extent: string;
  bounds?: Bounds;
  /** How many pixels a run of outputs needs. */
  taps: string;
  /** Pixel i of the upright image is pixel `zero + sign · i` of the window, in the file's direction. */
  zero: string;
  sign: string;
  /** The largest sampling factors. */
  largest: string;
  /** Pixels of an MCU (a unit), the units of the crop, and the first of them. */
  unit: string;
  units: string;
  firstUnit: string;
}

/** @param sampling The components' factors, `[3, 2]`. */
export function windowOf(
  m: Arithmetic,
  inputs: { size: string; orientation: string; sampling: string },
  preprocess: Preprocess,
  [down, across]: [Outputs, Outputs],
): Window {
  const { int, real, g } = m;
  const { size, orientation, sampling } = inputs;
  const { order, backwards } = turnOf(m, orientation);
  const ofFile = (first: number, second: number) => m.gather(g.ints([first, second]), order, 0);
  const { support, antialiased } = filterOf(preprocess);
  const { precrop } = preprocess;
  const source = precrop && sourcePart(m, precrop, size, ofFile);
  const resized = resizedSize(m, preprocess, source?.length ?? size, ofFile);
  const from = half(m, int.sub(resized, ofFile(down.length, across.length)), preprocess);
  const scale = antialiased
    ? int.min(int.greatest(int.ceilDiv(int.mul(resized, 8), source?.length ?? size)), 8)
    : g.ints([8]);
  const pixels = int.ceilDiv(int.mul(size, scale), 8);

  // In eighths of a pixel: `spanOf` of ../taps.ts.
  const beyond = int.mul(backwards, int.sub(int.mul(pixels, 8), int.mul(size, scale)));
  const begin = source ? int.add(int.mul(source.from, scale), beyond) : beyond;
  const span = int.mul(source?.length ?? size, scale);
  const [origin, extent] = [begin, span].map((eighths) => real.mul(m.toReal(eighths), 1 / 8)) as [
    string,
    string,
  ];
  const bounds = source && {
    low: int.div(begin, 8),
    high: int.ceilDiv(int.add(begin, span), 8),
  };

  const ratio = real.div(extent, m.toReal(resized));
  const reach = antialiased ? real.mul(real.max(ratio, 1), support) : g.floats([support, support]);
  const each = m.toReal(ofFile(down.each - 1, across.each - 1));
  // 3 more, for what is lost where the first tap and this sum become whole numbers.
  const taps = int.add(m.toInt(real.add(real.mul(each, ratio), real.mul(reach, 2))), 3);

  const sign = int.sub(1, int.mul(backwards, 2));
  const fileZero = int.mul(backwards, int.sub(pixels, 1));
  const lastRun = ofFile(down.each * (down.runs - 1), across.each * (across.runs - 1));
  const place = { ratio, reach, origin, ...(bounds && { bounds }) };
  const start = firstTap(m, from, place);
  const end = int.min(int.add(firstTap(m, int.add(from, lastRun), place), taps), pixels);
  const ends = [start, int.sub(end, 1)].map((at) => int.add(fileZero, int.mul(sign, at))) as [string, string];

  const largest = [1, 2].reduce((most, c) => int.max(most, m.row(sampling, c)), m.row(sampling, 0));
  const unit = int.mul(largest, scale);
  const firstUnit = int.div(int.max(int.sub(int.min(...ends), MARGIN), 0), unit);
  const endUnit = int.ceilDiv(int.min(int.add(int.max(...ends), 1 + MARGIN), pixels), unit);
  const units = int.sub(endUnit, firstUnit);
  const zero = int.sub(fileZero, int.mul(firstUnit, unit));
  return {
    ...{ size, scale, order, pixels, resized, from, origin, extent, ratio, reach, taps, zero, sign },
    ...{ largest, unit, units, firstUnit, ...(bounds && { bounds }) },
  };
}

/** The centre of the image that is cut out first: its first pixel and its length. */
function sourcePart(
  m: Arithmetic,
  { height, width }: Area,
  size: string,
  ofFile: (down: number, across: number) => string,
): { from: string; length: string } {
  const { int, g } = m;
  // In float64, as processors compute it.
  const share = m.gather(g.constant("shares", float64([height, width])), ofFile(0, 1), 0);
  const product = m.double.mul(share, m.toDouble(int.least(size)));
  const length = int.max(m.toInt(product), 1);
  return { from: int.div(int.sub(size, length), 2), length };
}

/** Where the centre begins if `left` pixels are left over: ../geometry.ts. */
function half({ int }: Arithmetic, left: string, preprocess: Preprocess): string {
  const isBeyond = canBeSmaller(preprocess);
  const { cropRounding = "down" } = preprocess;
  const cut = int.div(left, 2);
  // Only for numbers not below 0 division is sure to round down.
  if (cropRounding === "down")
    return isBeyond ? int.sub(int.div(int.add(left, 2 * MAX_SIDE), 2), MAX_SIDE) : cut;
  const inside = cropRounding === "zero" ? cut : int.add(cut, int.mul(int.mod(left, 2), int.mod(cut, 2)));
  if (!isBeyond) return inside;
  return int.where(int.less(left, 0), int.sub(0, int.div(int.sub(0, left), 2)), inside);
}

function resizedSize(
  { int }: Arithmetic,
  { resize }: Preprocess,
  size: string,
  ofFile: (down: number, across: number) => string,
): string {
  if (resize === undefined) return size;
  if (!("shortestEdge" in resize)) return ofFile(resize.height, resize.width);
  return int.div(int.mul(size, resize.shortestEdge), int.least(size));
}

/** The first pixel that outputs `x` need, or one before it. */
export function firstTap(
  m: Arithmetic,
  x: string,
  { ratio, reach, origin, bounds }: Pick<Axis, "ratio" | "reach" | "origin" | "bounds">,
): string {
  const { real, int } = m;
  const centre = real.add(real.mul(real.add(m.toReal(x), 0.5), ratio), origin);
  const first = m.toInt(real.max(real.sub(centre, reach), 0));
  return bounds ? int.max(first, bounds.low) : first;
}

/** One of a window's axes: its values as `[1]`. */
export type Axis = Record<
  Exclude<keyof Window, "size" | "scale" | "order" | "largest" | "bounds">,
  string
> & {
  bounds?: Bounds;
  /** The number of the file's axis. */
  index: string;
  /** The units of the window, `[1, units]`. */
  unitRow: string;
};

export type Axes = [down: Axis, across: Axis];

/** @param upright 0 down, 1 across. */
export function axisOf(m: Arithmetic, window: Window, upright: 0 | 1): Axis {
  const index = m.at(window.order, upright);
  const { size, scale, order, largest, bounds, ...vectors } = window;
  const along = <T extends object>(values: T) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, m.gather(value, index, 0)])) as T;
  const values = along(vectors);
  return {
    ...values,
    ...(bounds && { bounds: along(bounds) }),
    index,
    unitRow: m.int.add(m.range(values.units), values.firstUnit),
  };
}
