/** Resampling as nodes: the taps of src/transform/resample.ts as matrices, for sizes known only at run time. */
import type { Arithmetic } from "./arithmetic.js";
import type { Preprocess } from "./preprocess.js";

/** The taps of transform/resample.ts as a matrix `[outputs, inputs]`, for an axis that may run backwards. */
export function tapsMatrix(
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
