/** Resampling as nodes: the taps of filters.ts, for sizes known only at run time. */
import { FILTERS } from "../filters.js";
import type { Preprocess, Resample } from "../preprocess.js";
import type { Arithmetic } from "./arithmetic.js";
import { type Axis, firstTap, type Outputs } from "./geometry.js";

/** Farther than any filter reaches. */
const BEYOND = 1e9;

/**
 * Resamples axis 1 of `planes [C, pixels, N]`, which holds the window in the order of ./samples.ts, to
 * `[C, outputs, N]`. Outputs are made in runs, each from the few pixels that it takes part of.
 */
export function resampled(
  m: Arithmetic,
  planes: string,
  channels: number,
  axis: Axis,
  { each, runs }: Outputs,
  { resample }: Preprocess,
): string {
  const { int, g } = m;
  const { pixels, zero, sign, unit, units } = axis;
  const starts = Array.from({ length: runs }, (_, run) => run * each);
  const first = firstTap(m, int.add(g.ints(starts, [runs, 1]), axis.from), axis);
  const pixel = int.add(first, m.range(axis.taps));

  const inWindow = int.add(zero, int.mul(sign, int.min(pixel, int.sub(pixels, 1))));
  const place = int.add(int.mul(int.mod(inWindow, unit), units), int.div(inWindow, unit));
  const gathered = m.toReal(m.gather(planes, place, 1));

  const outputs = g.ints(
    Array.from({ length: runs * each }, (_, x) => x),
    [runs, each, 1],
  );
  const weights = tapWeights(m, resample, int.add(outputs, axis.from), m.shape(pixel, runs, 1, -1), axis);
  return m.shape(g.node("MatMul", [weights, gathered]), channels, runs * each, -1);
}

/**
 * The weight `[runs, outputs, taps]` of each pixel in each output; those beyond the image have none. Outputs beyond the
 * resized image have any weights, even such as are no numbers.
 */
function tapWeights(m: Arithmetic, resample: Resample, output: string, pixel: string, axis: Axis): string {
  const { int, real, g } = m;
  const { pixels, resized, ratio, taps, origin, bounds } = axis;
  const isThere = bounds
    ? m.all(int.less(pixel, bounds.high), int.less(int.sub(bounds.low, 1), pixel))
    : int.less(pixel, pixels);
  if (resample === "nearest") {
    const centre = bounds
      ? int.min(m.toInt(exactCentre(m, output, axis)), int.sub(bounds.high, 1))
      : int.div(int.mul(int.add(int.mul(output, 2), 1), pixels), int.mul(resized, 2));
    return m.toReal(int.equal(centre, int.where(isThere, pixel, -1)));
  }
  if (resample === "box") {
    const weights = real.where(isThere, m.toReal(inBox(m, output, pixel, axis)), 0);
    return real.div(weights, g.node("MatMul", [weights, m.shape(m.ones(taps), -1, 1)]));
  }
  const centre = real.add(real.mul(real.add(m.toReal(output), 0.5), ratio), origin);
  const place = real.where(isThere, real.add(m.toReal(pixel), 0.5), BEYOND);
  const distance = g.node("Abs", [real.div(real.sub(place, centre), real.max(ratio, 1))]);
  const weights = filter(m, resample, distance);
  return real.div(weights, g.node("MatMul", [weights, m.shape(m.ones(taps), -1, 1)]));
}

/** Scaled pixels for each resized one, in float64. */
const exactRatio = (m: Arithmetic, { extent, resized }: Axis): string =>
  m.double.div(m.toDouble(extent), m.toDouble(resized));

/** The centre of an output, in float64. */
function exactCentre(m: Arithmetic, output: string, axis: Axis): string {
  const { double } = m;
  const inner = double.mul(double.add(m.toDouble(output), 0.5), exactRatio(m, axis));
  return double.add(m.toDouble(axis.origin), inner);
}

/**
 * Whether a pixel is in the box of an output. Often one lies on its edge: then the last digit decides, so that all is
 * float64 here, in the order of filters.ts.
 */
function inBox(m: Arithmetic, output: string, pixel: string, axis: Axis): string {
  const { double, int, g } = m;
  const { support } = FILTERS.box;
  const wider = double.max(exactRatio(m, axis), 1);
  const centre = exactCentre(m, output, axis);
  const reach = double.mul(wider, support);
  const first = m.toInt(double.add(double.sub(centre, reach), 0.5));
  const last = m.toInt(double.add(double.add(centre, reach), 0.5));
  const isNear = m.all(int.less(int.sub(first, 1), pixel), int.less(pixel, last));
  const x = double.mul(double.add(double.sub(m.toDouble(pixel), centre), 0.5), double.div(1, wider));
  return m.all(isNear, double.less(-support, x), g.node("Not", [double.less(support, x)]));
}

/** The filters of filters.ts, of |x|. */
function filter(m: Arithmetic, name: Exclude<Resample, "nearest" | "box">, x: string): string {
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
  if (name === "hamming") {
    const window = real.add(real.mul(g.node("Cos", [real.mul(x, Math.PI)]), 0.46), 0.54);
    return real.where(real.less(x, 1), real.mul(sinc(x), window), 0);
  }
  return real.where(real.less(x, 3), real.mul(sinc(x), sinc(real.div(x, 3))), 0);
}
