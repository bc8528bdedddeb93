/** Files that come from outside: regular ones of a bounded size, so that none hangs or fills the memory. */
import { closeSync, constants, openSync, readSync, type Stats, statSync } from "node:fs";
import { JpegDomainError } from "../errors.js";

/** The most bytes that are read of a file. */
export const MOST_BYTES = {
  /** ONNX files cannot be larger, and Node's arrays hold no more of one file. */
  model: 2 ** 31 - 1,
  jpeg: 2 ** 30,
  /** Names of classes, settings. */
  text: 2 ** 24,
} as const;

/** It is no regular file, or one of too many bytes. */
export class FileKindError extends JpegDomainError {
  override name = "FileKindError";
}

/** What it is, where it is no regular file. */
export function otherKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

/** @throws {FileKindError} where it is no regular file */
export function checkRegular(stats: Stats): void {
  const kind = otherKind(stats);
  if (kind !== undefined) throw new FileKindError(`it is ${kind}, expected a file`);
}

/** For opening what may have become something else since it was looked at: no waiting, and no terminal is taken over. */
export const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/**
 * Reads a regular file whole.
 * @param most - bytes it may have
 * @throws {FileKindError} where it is something else, such as a pipe or a device, or larger
 */
export function readRegularFile(path: string, most: number = MOST_BYTES.model): Uint8Array {
  // Before it is opened, since opening some devices does something. What takes its place in between is read no further.
  const stats = statSync(path);
  checkRegular(stats);
  checkSize(stats.size, most);
  const file = openSync(path, OPEN_FLAGS);
  try {
    return readToEnd(file, stats.size, most);
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

/** Into memory of its own, since it may be sent to another thread. */
function readToEnd(file: number, size: number, most: number): Uint8Array {
  // Files of /proc say that they have no bytes.
  let bytes = Buffer.allocUnsafeSlow(size || 4096);
  let filled = 0;
  for (;;) {
    const count = readSync(file, bytes, filled, bytes.length - filled, null);
    filled += count;
    if (count === 0 || filled === size) return bytes.subarray(0, filled);
    checkSize(filled, most);
    if (filled < bytes.length) continue;
    const larger = Buffer.allocUnsafeSlow(2 * filled);
    bytes.copy(larger);
    bytes = larger;
  }
}
