/** The parts of one file, which several threads take one by one. */
import type { Preprocessor } from "@jpeg-domain/conversion";

/** A file that several threads work on. */
export interface Job {
  /** The file. For helpers only the bytes of their parts are there. */
  bytes: Uint8Array;
  parts: Parameters<Preprocessor["fillPart"]>[1][];
  /** The planes that the parts are put into, in shared memory. */
  made: Float32Array;
  /** In shared memory: {@link WORKING}, {@link FAILED}, and for each part whether it is taken. */
  state: Int32Array;
}

/** How many threads are taking parts. */
const WORKING = 0;
/** Not 0 once a part could not be made. */
const FAILED = 1;
const TAKEN = 2;

export const newState = (parts: number): Int32Array =>
  new Int32Array(new SharedArrayBuffer((TAKEN + parts) * Int32Array.BYTES_PER_ELEMENT));

/** Makes the parts of these numbers that no thread has taken before. */
export function takeParts(
  { bytes, parts, made, state }: Job,
  numbers: Iterable<number>,
  preprocessor: Pick<Preprocessor, "fillPart">,
): void {
  Atomics.add(state, WORKING, 1);
  for (const number of numbers) {
    if (Atomics.exchange(state, TAKEN + number, 1) !== 0) continue;
    try {
      preprocessor.fillPart(bytes, parts[number] as Job["parts"][number], made);
    } catch {
      Atomics.store(state, FAILED, 1);
      // The others are not needed.
      for (let other = 0; other < parts.length; other++) Atomics.store(state, TAKEN + other, 1);
    }
  }
  Atomics.sub(state, WORKING, 1);
  Atomics.notify(state, WORKING);
}

/** Whether all parts are taken, and no thread works on one. */
export const isOver = ({ state }: Job): boolean =>
  state.subarray(TAKEN).every((_, part) => Atomics.load(state, TAKEN + part) !== 0) &&
  Atomics.load(state, WORKING) === 0;

/** Waits until the other threads' parts are made, but at most so many milliseconds. Returns whether all are made. */
export function isComplete({ state }: Job, patience: number): boolean {
  const until = performance.now() + patience;
  for (;;) {
    const working = Atomics.load(state, WORKING);
    if (Atomics.load(state, FAILED) !== 0) return false;
    if (working === 0) return true;
    const left = until - performance.now();
    if (left <= 0) return false;
    Atomics.wait(state, WORKING, working, left);
  }
}
