/** The taps for assembly/resample.ts. */
import type { Taps } from "../taps.js";
import type { Engine } from "./engine.js";

/** Where the taps of an axis are in the engine's memory. */
interface TapsPlace {
  /** Taps of each output; those added have weight 0. */
  count: number;
  /** Outputs; those added repeat the last. */
  length: number;
  /** Addresses. */
  first: number;
  weights: number;
  /** The input that has number 0 there. */
  origin: number;
}

/** Writes weights as whole numbers in Q14 that add up to 1. */
export function writeTaps(
  { u32, i16 }: Engine,
  taps: Taps,
  { count, length, first, weights, origin }: TapsPlace,
): void {
  i16.fill(0, weights / 2, weights / 2 + count * length);
  for (let x = 0; x < length; x++) {
    const from = Math.min(x, taps.first.length - 1);
    u32[first / 4 + x] = (taps.first[from] as number) - origin;
    const at = weights / 2 + x * count;
    let left = 1 << 14;
    let largest = 0;
    for (let t = 0; t < taps.count; t++) {
      const weight = Math.round((taps.weights[from * taps.count + t] as number) * (1 << 14));
      i16[at + t] = weight;
      left -= weight;
      if (weight > (i16[at + largest] as number)) largest = t;
    }
    i16[at + largest] = (i16[at + largest] as number) + left;
  }
}

/** The inputs that some tap reaches: the first, and the one after the last. */
export const extent = ({ first, count }: Taps): [from: number, to: number] => [
  first[0] as number,
  (first[first.length - 1] as number) + count,
];
