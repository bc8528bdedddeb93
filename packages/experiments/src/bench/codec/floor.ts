import type { JpegImage } from "@jpeg-domain/coefficients";

/**
 * The least time that reading coefficients can take on this machine:
 *
 * - Each Huffman symbol waits for the one before it, because only that one's length says where it starts. Its bits are
 *   shifted down and looked up in a table, and the buffer is shifted by the length found there. Such a chain is timed
 *   here. A block has one symbol for its DC coefficient, one for each other nonzero coefficient, and one for its end.
 * - Each coefficient is written once into the arrays of the result. Such a copy is timed here.
 *
 * Not included: branch mispredictions at the end of nearly every block; a progressive file's further scans; headers and
 * tables.
 *
 * @returns milliseconds
 */
export function floor(image: JpegImage): number {
  let symbols = 0;
  let values = 0;
  for (const { coefficients } of image.components) {
    values += coefficients.length;
    symbols += (2 * coefficients.length) / 64;
    for (let at = 0; at < coefficients.length; at++) if (coefficients[at] !== 0 && (at & 63) !== 0) symbols++;
  }
  return symbols * symbolTime() + copyTime(values);
}

let measured: number | undefined;

/** Milliseconds of one step of shift, lookup and shift, where each waits for the one before; the best of several tries. */
function symbolTime(): number {
  if (measured !== undefined) return measured;
  const table = Int32Array.from({ length: 1024 }, (_, i) => (i * 7) & 7);
  const STEPS = 1_000_000;
  let best = Number.POSITIVE_INFINITY;
  let buffer = 0x12345678;
  for (let attempt = 0; attempt < 20; attempt++) {
    const start = performance.now();
    for (let step = 0; step < STEPS; step++)
      buffer = (buffer << ((table[buffer >>> 22] as number) + 1)) ^ 0x2545f491;
    best = Math.min(best, (performance.now() - start) / STEPS);
  }
  // Uses the result, so that the compiler keeps the loop.
  if (buffer === 1) console.error("");
  measured = best;
  return best;
}

function copyTime(values: number): number {
  const from = new Int16Array(Math.min(values, 2 ** 17)).fill(1);
  const to = new Int16Array(values);
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const start = performance.now();
    for (let at = 0; at < values; at += from.length) to.set(from.subarray(0, values - at), at);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
