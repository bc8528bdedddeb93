/** Resampling as nodes: ../taps.ts for sizes known only at run time. */
import { filterOf } from "../filters.js";
import type { Preprocess } from "../preprocess.js";
import type { Arithmetic } from "./arithmetic.js";
import { type Axis, firstTap, type Outputs } from "./geometry.js";

/**
 * Resamples axis 1 of `planes [C, pixels, N]`, the window in the order of ./inverse.ts, to `[C, outputs, N]`. A run of
 * outputs is made of the few pixels that it needs.
 */
export function resampled(
  m: Arithmetic,
  planes: string,
  channels: number,
  axis: Axis,
  { each, runs }: Outputs,
  preprocess: Preprocess,
): string {
  const { int, real, g } = m;
  const { zero, sign, unit, units, from } = axis;
  const { antialiased: isAntialiased, support, nodes } = filterOf(preprocess);
  const starts = Array.from({ length: runs }, (_, run) => run * each);
  const first = firstTap(m, int.add(g.ints(starts, [runs, 1]), from), axis);
  // A filter that is not antialiased repeats the edge's pixel beyond it.
  const before = isAntialiased ? 0 : Math.ceil(support);
  const pixel = before
    ? int.add(int.sub(first, before), m.range(int.add(axis.taps, before)))
    : int.add(first, m.range(axis.taps));
  const end = axis.bounds?.high ?? axis.pixels;
  const held = int.min(before ? int.max(pixel, first) : pixel, int.sub(end, 1));

  const inWindow = int.add(zero, int.mul(sign, held));
  const place = int.add(int.mul(int.mod(inWindow, unit), units), int.div(inWindow, unit));
  const gathered = m.toReal(m.gather(planes, place, 1));

  const outputs = g.ints(
    Array.from({ length: runs * each }, (_, x) => x),
    [runs, each, 1],
  );
  const row = m.shape(pixel, runs, 1, -1);
  const all = nodes(m, { output: int.add(outputs, from), pixel: row, axis, isAntialiased });
  const weights = isAntialiased ? real.where(isThere(m, row, axis), all, 0) : all;
  const ones = m.shape(m.ones(before ? int.add(axis.taps, before) : axis.taps), -1, 1);
  const shares = real.div(weights, g.node("MatMul", [weights, ones]));
  return m.shape(g.node("MatMul", [shares, gathered]), channels, runs * each, -1);
}

const isThere = (m: Arithmetic, pixel: string, { bounds, pixels }: Axis): string =>
  bounds
    ? m.all(m.int.less(pixel, bounds.high), m.int.less(m.int.sub(bounds.low, 1), pixel))
    : m.int.less(pixel, pixels);
