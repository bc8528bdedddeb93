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
 * Reads on in a file. Gets how many bytes from the beginning are known, and returns more of them, again from the beginning.
 */
export type ReadOn = (length: number) => Beginning;

/** A file's bytes, or a function that reads them as far as they are needed. */
export type JpegBytes = Uint8Array | ReadOn;

/** A file before the first step. */
export const beginningOf = (file: JpegBytes): Beginning =>
  typeof file === "function" ? file(0) : { bytes: file, isWhole: true };

/** Runs all steps. */
export function runSteps<T>(steps: Steps<T>, beginning: Beginning, file: JpegBytes): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const { length } = beginning.bytes;
    const { bytes, isWhole } = typeof file === "function" ? file(length) : { bytes: file, isWhole: true };
    beginning.bytes = bytes;
    // Without any more bytes, it would go on without end.
    beginning.isWhole = isWhole || bytes.length <= length;
  }
}
