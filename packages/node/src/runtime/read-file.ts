/** Reads files from outside: only regular files of bounded size, so that none hangs or fills the memory. */
import { closeSync, constants, openSync, readSync, type Stats, statSync } from "node:fs";
import { JpegDomainError, type ReadOn } from "@jpeg-domain/coefficients";

/** The largest file of each kind, in bytes. */
export const MOST_BYTES = {
  /** ONNX files cannot be larger, and Node cannot read more into one array. */
  model: 2 ** 31 - 1,
  jpeg: 2 ** 30,
  /** Class names and settings. */
  text: 2 ** 24,
} as const;

/** The file is not a regular file, or it is too large. */
export class FileKindError extends JpegDomainError {
  override name = "FileKindError";
}

/** What it is, if it is not a regular file. */
export function otherKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

/** @throws {FileKindError} if it is not a regular file */
export function checkRegular(stats: Stats): void {
  const kind = otherKind(stats);
  if (kind !== undefined) throw new FileKindError(`it is ${kind}, expected a file`);
}

/** Flags to open a path that may have changed since it was checked: never waits, never takes over a terminal. */
export const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * Reads a whole regular file.
 * @param most - the most bytes it may have
 * @throws {FileKindError} if it is something else, such as a pipe or a device, or larger
 */
export const readRegularFile = (path: string, most: number = MOST_BYTES.model): Uint8Array =>
  withRegularFile(path, most, (readOn) => {
    let file = readOn(0, most);
    while (!file.isWhole) file = readOn(file.bytes.length, most);
    return file.bytes;
  });

/**
 * Opens a regular file for `use`, which gets a function that reads it as far as it is needed.
 * @param most - the most bytes it may have
 * @throws {FileKindError} if it is something else, such as a pipe or a device, or larger
 */
export function withRegularFile<T>(path: string, most: number, use: (readOn: ReadFile) => T): T {
  // Before it is opened, because opening some devices has effects. If it is replaced meanwhile, no more than `most` is read.
  const stats = statSync(path);
  checkRegular(stats);
  checkSize(stats.size, most);
  const file = openSync(path, OPEN_FLAGS);
  try {
    return use(fileReader(file, stats.size, most));
  } finally {
    closeSync(file);
  }
}

function checkSize(bytes: number, most: number): void {
  if (bytes > most)
    throw new FileKindError(
      `it has ${bytes.toLocaleString("en-US")} bytes, expected at most ${most.toLocaleString("en-US")}`,
    );
}

/** A {@link ReadOn} that reads at most `piece` bytes at once, by default an eighth of what it has read. */
type ReadFile = (length: number, piece?: number) => ReturnType<ReadOn>;

const LEAST_PIECE = 2 ** 15;

/** Reads into new memory, because it may be sent to another thread. */
function fileReader(file: number, size: number, most: number): ReadFile {
  // Files in /proc report a size of 0.
  let bytes = Buffer.allocUnsafeSlow(size || 4096);
  let filled = 0;
  let isWhole = false;
  return (length, piece = Math.max(LEAST_PIECE, filled >> 3)) => {
    if (length === filled && !isWhole) {
      if (filled === bytes.length) {
        const larger = Buffer.allocUnsafeSlow(2 * filled);
        bytes.copy(larger);
        bytes = larger;
      }
      const count = readSync(file, bytes, filled, Math.min(piece, bytes.length - filled), null);
      filled += count;
      checkSize(filled, most);
      isWhole = count === 0 || filled === size;
    }
    return { bytes: bytes.subarray(0, filled), isWhole };
  };
}
