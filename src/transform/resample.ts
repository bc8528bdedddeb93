/**
 * Resampling as PIL does it (Pillow, src/libImaging/Resample.c, precompute_coeffs): output x is the mean of the inputs
 * around its centre, weighed by a filter that is as many times wider as the image shrinks.
 *
 *   centre = (x + 1/2) · inputs / outputs,   w[i] ~ filter((i + 1/2 - centre) / max(1, inputs / outputs)),   Σ w = 1
 */

export type Filter = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** Weights of one axis: output `x` is `Σ_t weights[x · count + t] · input[first[x] + t]`. */
export interface Taps {
  first: Int32Array;
  /** For every output the same; weights beyond its support are 0, and stay within the inputs where there are enough. */
  count: number;
  weights: Float64Array;
}

export const FILTERS: Record<Exclude<Filter, "nearest">, [support: number, at: (x: number) => number]> = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  // Keys' cubic with a = -1/2.
  bicubic: [2, (x) => cubic(Math.abs(x))],
  lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

const cubic = (x: number) =>
  x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The taps of outputs `from` to `from + length` of an axis of `inputs` that becomes `outputs` long. */
export function taps(filter: Filter, inputs: number, outputs: number, from = 0, length = outputs): Taps {
  const scale = inputs / outputs;
  const rows = Array.from({ length }, (_, x) => {
    const centre = (from + x + 0.5) * scale;
    if (filter === "nearest") return { first: Math.min(inputs - 1, Math.floor(centre)), weights: [1] };
    const [support, at] = FILTERS[filter];
    const wider = Math.max(1, scale);
    const first = Math.max(0, Math.trunc(centre - support * wider + 0.5));
    const last = Math.min(inputs, Math.trunc(centre + support * wider + 0.5));
    const weights = Array.from({ length: last - first }, (_, i) => at((first + i + 0.5 - centre) / wider));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
  const count = Math.max(0, ...rows.map(({ weights }) => weights.length));
  const result = { first: new Int32Array(length), count, weights: new Float64Array(length * count) };
  rows.forEach(({ first, weights }, x) => {
    // At the far edge the window moves back, so that it stays among the inputs.
    const moved = Math.max(0, Math.min(first, inputs - count));
    result.first[x] = moved;
    result.weights.set(weights, x * count + first - moved);
  });
  return result;
}

/** The same taps for the axis read backwards. */
export function mirrored({ first, count, weights }: Taps, inputs: number): Taps {
  const length = first.length;
  const result = { first: new Int32Array(length), count, weights: new Float64Array(weights.length) };
  for (let x = 0; x < length; x++) {
    const from = length - 1 - x;
    result.first[x] = Math.max(0, inputs - count - (first[from] as number));
    for (let t = 0; t < count; t++)
      result.weights[x * count + t] = weights[from * count + count - 1 - t] as number;
  }
  return result;
}
