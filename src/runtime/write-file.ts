/** Files that are written whole or not at all. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileFailure } from "./failure.js";

/** Writes all of the bytes, however few the system takes at a time. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}

/**
 * Writes a file beside `path` and moves it there once it is on the disk: what is there is complete or, if this fails or
 * is cut off, as it was before. Where `path` is a link, the file that it points to is replaced, and keeps its permissions.
 * @throws {JpegDomainError} one line, with the path
 */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  try {
    const target = targetOf(path);
    const mode = statSync(target, { throwIfNoEntry: false })?.mode;
    const temporary = besides(target);
    try {
      const file = openSync(temporary, "wx", mode === undefined ? 0o666 : mode & 0o777);
      try {
        writeAll(file, bytes);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, target);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw fileFailure(error, path);
  }
}

/** Throws what {@link writeAtomically} would before the first byte. */
export function checkCreatable(path: string): void {
  const temporary = besides(targetOf(path));
  closeSync(openSync(temporary, "wx"));
  rmSync(temporary);
}

/** A new name in the same folder, whatever the length of the file's own. */
const besides = (path: string): string =>
  join(dirname(path), `.jpeg-domain-${process.pid}-${randomBytes(4).toString("hex")}.tmp`);

/** The file that a path stands for: links are followed, also one that points to what is not there yet. */
export function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const link = linkOf(path);
    return link === undefined ? path : resolve(dirname(path), link);
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
