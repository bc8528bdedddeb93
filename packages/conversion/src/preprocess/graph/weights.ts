/** The weights of a filter as nodes, for the rows of ../filters.ts. Sizes are known only at run time. */
import type { Arithmetic } from "./arithmetic.js";
import type { Axis } from "./geometry.js";

/** The outputs and pixels that weights are between. */
export interface Places {
  /** Numbers of pixels of the resized image, int64 `[runs, outputs, 1]`. */
  output: string;
  /** Numbers of pixels of the image before, int64 `[runs, 1, taps]`. */
  pixel: string;
  axis: Axis;
  isAntialiased: boolean;
}

/**
 * Gives weights `[runs, outputs, taps]`, float32, which need not add up to 1. Outputs beyond the resized image can have any
 * weights, even NaN.
 */
export type WeightNodes = (m: Arithmetic, places: Places) => string;

/** The weights of a filter that is a function of |x|. */
export const byDistance =
  (weight: (m: Arithmetic, x: string) => string): WeightNodes =>
  (m, { output, pixel, axis: { ratio, origin }, isAntialiased }) => {
    const { real } = m;
    const centre = real.add(real.mul(real.add(m.toReal(output), 0.5), ratio), origin);
    const offset = real.sub(real.add(m.toReal(pixel), 0.5), centre);
    return weight(m, m.g.node("Abs", [isAntialiased ? real.div(offset, real.max(ratio, 1)) : offset]));
  };

/** The weights of the box. A pixel is often on its edge, so all is float64, in the order of ../taps.ts. */
export const inBox: WeightNodes = (m, { output, pixel, axis }) => {
  const { double, int, g } = m;
  const wider = double.max(exactRatio(m, axis), 1);
  const centre = exactCentre(m, output, axis);
  const reach = double.mul(wider, 0.5);
  const first = m.toInt(double.add(double.sub(centre, reach), 0.5));
  const last = m.toInt(double.add(double.add(centre, reach), 0.5));
  const isNear = m.all(int.less(int.sub(first, 1), pixel), int.less(pixel, last));
  const x = double.mul(double.add(double.sub(m.toDouble(pixel), centre), 0.5), double.div(1, wider));
  return m.toReal(m.all(isNear, double.less(-0.5, x), g.node("Not", [double.less(0.5, x)])));
};

/** 1 for the pixel that the output's centre is in. */
export const isCentre: WeightNodes = (m, { output, pixel, axis }) => {
  const { int } = m;
  const { bounds, pixels, resized } = axis;
  const centre = bounds
    ? int.min(m.toInt(exactCentre(m, output, axis)), int.sub(bounds.high, 1))
    : int.div(int.mul(int.add(int.mul(output, 2), 1), pixels), int.mul(resized, 2));
  return m.toReal(int.equal(centre, pixel));
};

/** Pixels for each resized one, in float64. */
const exactRatio = (m: Arithmetic, { extent, resized }: Axis): string =>
  m.double.div(m.toDouble(extent), m.toDouble(resized));

/** The centre of an output, in float64. */
function exactCentre(m: Arithmetic, output: string, axis: Axis): string {
  const { double } = m;
  const inner = double.mul(double.add(m.toDouble(output), 0.5), exactRatio(m, axis));
  return double.add(m.toDouble(axis.origin), inner);
}
