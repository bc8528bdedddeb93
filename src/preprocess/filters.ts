/**
 * Resampling as PIL does it (Pillow, src/libImaging/Resample.c, precompute_coeffs): output x is the mean of the inputs
 * around its centre, weighed by a filter that is as many times wider as the image shrinks.
 *
 *   centre = (x + 1/2) · inputs / outputs,   w[i] ~ filter((i + 1/2 - centre) / max(1, inputs / outputs)),   Σ w = 1
 */

export type Filter = "nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos";

/** Weights of one axis: output `x` is `Σ_t weights[x · count + t] · input[first[x] + t]`. */
export interface Taps {
  first: Int32Array;
  /** For every output the same; weights beyond its support are 0, and stay within the inputs where there are enough. */
  count: number;
  weights: Float64Array;
}

interface FilterRow {
  support: number;
  at: (x: number) => number;
  /** Whether results may lie beyond the inputs. */
  overshoots: boolean;
}

export const FILTERS: Record<Exclude<Filter, "nearest">, FilterRow> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0), overshoots: false },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)), overshoots: false },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0),
    overshoots: false,
  },
  // Keys' cubic with a = -1/2.
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x)), overshoots: true },
  lanczos: { support: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0), overshoots: true },
};

const cubic = (x: number) =>
  x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** A part of an axis, which may begin or end within an input. */
export interface Span {
  start: number;
  length: number;
  /** The inputs that it has part of: the first, and the one after the last. */
  low: number;
  high: number;
}

/**
 * The part `from … from + length` of an axis of `of` pixels, at `scale / 8` of its size: its last input may be a pixel only
 * in part, and is its first one where the axis is read backwards.
 */
export function spanOf(
  scale: number,
  inputs: number,
  [from, length, of]: [from: number, length: number, of: number],
  backwards: boolean,
): Span {
  const start = (from * scale) / 8 + (backwards ? inputs - (of * scale) / 8 : 0);
  const extent = (length * scale) / 8;
  return { start, length: extent, low: Math.floor(start), high: Math.ceil(start + extent) };
}

/**
 * The taps of outputs `from` to `from + length` of an axis of `inputs` that becomes `outputs` long.
 * @param span The inputs that become the outputs, by default all; no others take part.
 */
export function taps(
  filter: Filter,
  inputs: number,
  outputs: number,
  from = 0,
  length = outputs,
  { start, length: extent, low, high }: Span = { start: 0, length: inputs, low: 0, high: inputs },
): Taps {
  const scale = extent / outputs;
  const rows = Array.from({ length }, (_, x) => {
    const centre = start + (from + x + 0.5) * scale;
    if (filter === "nearest") return { first: Math.min(high - 1, Math.floor(centre)), weights: [1] };
    const { support, at } = FILTERS[filter];
    const wider = Math.max(1, scale);
    const first = Math.max(low, Math.trunc(centre - support * wider + 0.5));
    const last = Math.min(high, Math.trunc(centre + support * wider + 0.5));
    // The products in Pillow's order: box has an edge, on which the last digit decides.
    const narrower = 1 / wider;
    const weights = Array.from({ length: last - first }, (_, i) => at((i + first - centre + 0.5) * narrower));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / (sum || 1)) };
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
