import { readFileSync } from "node:fs";
import { lehmer } from "./lehmer.js";

/** `length` numbers, uniform between `low` and `high`; the same for the same seed. */
export function uniform(seed: number, length: number, low = -1, high = 1): Float32Array {
  const random = lehmer(seed);
  return Float32Array.from({ length }, () => low + (high - low) * random());
}

/** The largest |a[i] - b[i]|; infinite where one is not a number or the lengths differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, difference);
  }
  return largest;
}

/** The values of a NumPy file of float32 in row-major order. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
export function readNpy(name: string): { shape: number[]; data: Float32Array } {
  const bytes = readFileSync(new URL(name, import.meta.url));
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  if (!header.includes("'descr': '<f4'") || !header.includes("'fortran_order': False"))
    throw new Error(`${name}: ${header}`);
  const shape = (/'shape': \(([\d, ]+)\)/.exec(header)?.[1] ?? "").split(",").filter(Boolean).map(Number);
  return { shape, data: new Float32Array(Uint8Array.from(bytes.subarray(start)).buffer) };
}
