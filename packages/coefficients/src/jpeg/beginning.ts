/** Reading a file of which only the beginning is there. Whoever reads stops where it needs more, and goes on later. */

/** The beginning of a file. */
export interface Beginning {
  bytes: Uint8Array;
  /** Whether `bytes` is all of the file. */
  isWhole: boolean;
}

/** Work that stops whenever there are too few bytes. Before the next step, `bytes` is longer or `isWhole` is true. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Whether the file has `length` bytes. */
export function* reaches(file: Beginning, length: number): Steps<boolean> {
  while (file.bytes.length < length && !file.isWhole) yield;
  return file.bytes.length >= length;
}

/** Goes on to the end of the file. */
export function* toEnd(file: Beginning): Steps<void> {
  while (!file.isWhole) yield;
}

/**
 * Reads on in a file. Gets the number of bytes from the beginning that are known, and returns more of them, again from the
 * beginning; or no more, if these are all.
 */
export type ReadOn = (length: number) => Uint8Array;

/** A file's bytes, or a function that reads them as far as they are needed. */
export type JpegBytes = Uint8Array | ReadOn;

/** Nothing of the file is read yet, if it is given as a function. */
export const beginningOf = (file: JpegBytes): Beginning =>
  typeof file === "function" ? { bytes: new Uint8Array(0), isWhole: false } : { bytes: file, isWhole: true };

/** Runs all steps. */
export function runSteps<T>(steps: Steps<T>, beginning: Beginning, file: JpegBytes): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const { length } = beginning.bytes;
    const bytes = typeof file === "function" ? file(length) : file;
    beginning.isWhole = bytes.length <= length;
    if (!beginning.isWhole) beginning.bytes = bytes;
  }
}
