/** A filter's weights along one axis of an image. */
import type { Filter } from "./filters.js";

/** Output `x` is `Σ_t weights[x · count + t] · input[first[x] + t]`. */
export interface Taps {
  /** Never less than the one before. */
  first: Int32Array;
  /** The same for every output. Some of the weights can be 0. All taps are among the inputs, if there are enough. */
  count: number;
  weights: Float64Array;
}

/** A part of an axis, which may begin or end within an input. */
export interface Span {
  start: number;
  length: number;
  /** The inputs that are in it, at least in part: the first, and the one after the last. */
  low: number;
  high: number;
}

/**
 * The part `from … from + length` of an axis of `of` pixels, at `scale / 8` of its size. Only a part of the last input can
 * be in it, or of the first one if the axis is read backwards.
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
 * @param span The inputs that become the outputs, by default all. Others have no weight.
 */
export function taps(
  { support, weight, antialiased }: Filter,
  inputs: number,
  outputs: number,
  from = 0,
  length = outputs,
  { start, length: extent, low, high }: Span = { start: 0, length: inputs, low: 0, high: inputs },
): Taps {
  const scale = extent / outputs;
  const wider = antialiased ? Math.max(1, scale) : 1;
  // The products are in Pillow's order, because the last digit decides on which side of its edge box has an input.
  const [reach, narrower] = [support * wider, 1 / wider];
  const centre = (x: number) => start + (from + x + 0.5) * scale;
  const within = (input: number) => Math.max(low, Math.min(high - 1, input));
  const first = new Int32Array(length);
  let count = 0;
  for (let x = 0; x < length; x++) {
    first[x] = within(Math.floor(centre(x) - reach + 0.5));
    count = Math.max(count, within(Math.floor(centre(x) + reach + 0.5) - 1) - (first[x] as number) + 1);
  }
  const weights = new Float64Array(length * count);
  for (let x = 0; x < length; x++) {
    const middle = centre(x);
    // At the far edge the window moves back, so that it stays among the inputs.
    first[x] = Math.max(0, Math.min(first[x] as number, inputs - count));
    const at = x * count - (first[x] as number);
    let sum = 0;
    for (let i = Math.floor(middle - reach + 0.5), end = Math.floor(middle + reach + 0.5); i < end; i++) {
      const input = within(i);
      if (antialiased && input !== i) continue;
      const share = weight((i - middle + 0.5) * narrower);
      weights[at + input] = (weights[at + input] as number) + share;
      sum += share;
    }
    if (sum !== 0)
      for (let t = x * count; t < (x + 1) * count; t++) weights[t] = (weights[t] as number) / sum;
  }
  return { first, count, weights };
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
