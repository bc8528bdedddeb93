/** Writes files whole or not at all. */
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

/** Writes all bytes, even if the system takes only some at a time. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}

/**
 * Writes a file beside `path` and moves it there once it is on the disk. So `path` holds the complete new file or, after
 * a failure or interruption, the old one. If `path` is a link, this replaces its target, which keeps its permissions.
 * @throws {JpegDomainError} with the path and the reason
 */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  try {
    const target = targetOf(path);
    const mode = statSync(target, { throwIfNoEntry: false })?.mode;
    const temporary = temporaryPath(target);
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

/** Throws now if {@link writeAtomically} could not create the file. */
export function checkCreatable(path: string): void {
  const temporary = temporaryPath(targetOf(path));
  closeSync(openSync(temporary, "wx"));
  rmSync(temporary);
}

/** A new name in the same folder, short even if the file's own name is long. */
const temporaryPath = (path: string): string =>
  join(dirname(path), `.jpeg-domain-${process.pid}-${randomBytes(4).toString("hex")}.tmp`);

/** The file that a path stands for. Links are followed, even to a file that does not exist yet. */
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
