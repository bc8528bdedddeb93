/** A file of JSON lines, one per result, that interrupted work can continue. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, statSync } from "node:fs";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import {
  fileFailure,
  otherKind,
  readRegularFile,
  targetOf,
  writeAll,
  writeAtomically,
} from "@jpeg-domain/node/internal";
import { makeFolderOf, withFile } from "./files.js";
import { lock } from "./lock.js";
import type { Provenance } from "./provenance.js";
import { visibleJson } from "./views/visible.js";

export interface ResultsFile {
  /** The files that it has results for. */
  done: Set<string>;
  /** Adds a line. When this returns the line is in the file; if it throws, no part of it is. */
  write(entry: object): void;
  close(): void;
}

interface Line {
  file: string;
  by?: Partial<Provenance>;
  error?: string;
}

/**
 * Opens the file. With `resume` this removes the lines of failed files, which are tried again, and an incomplete last
 * line. No other process can open the file until it is closed.
 * @throws {JpegDomainError} if it has results and `resume` is false, results of other models or options, or other
 *   content, which stays as it is; if another process is writing to it; or if it cannot be written
 */
export async function openResults(path: string, by: Provenance, resume: boolean): Promise<ResultsFile> {
  await makeFolderOf(path);
  return withFile(path, () => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isCharacterDevice()) return openLines(path, new Set(), () => undefined);
    const other = stats && otherKind(stats);
    if (other !== undefined) throw new JpegDomainError(`it is ${other}, expected a file`);
    const target = targetOf(path);
    const release = lock(target);
    try {
      return openLines(path, prepare(target, by, resume), release);
    } catch (error) {
      release();
      throw error;
    }
  });
}

/** Keeps only the lines of finished files, and returns the names of these files. */
function prepare(path: string, by: Provenance, resume: boolean): Set<string> {
  const text = contentOf(path);
  if (!resume && text.length > 0)
    throw new JpegDomainError("it already has results; --resume continues it, or delete it first");
  const done = new Set<string>();
  const kept: Buffer[] = [];
  for (const [number, bytes] of linesOf(text).entries()) {
    const line = parse(number + 1, bytes);
    check(number + 1, line, by);
    if (line.error !== undefined) continue;
    done.add(line.file);
    kept.push(bytes, NEWLINE);
  }
  const left = Buffer.concat(kept);
  if (!left.equals(text)) writeAtomically(path, left);
  return done;
}

function contentOf(path: string): Buffer {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return Buffer.alloc(0);
  const { buffer, byteOffset, length } = readRegularFile(path);
  return Buffer.from(buffer, byteOffset, length);
}

function openLines(path: string, done: Set<string>, release: () => void): ResultsFile {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o666);
  let count = done.size;
  return {
    done,
    write(entry) {
      const { size } = fstatSync(file);
      try {
        writeAll(file, Buffer.from(`${visibleJson(entry)}\n`));
        count++;
      } catch (error) {
        truncate(file, size);
        const failure = fileFailure(error, path);
        if (!(failure instanceof JpegDomainError)) throw failure;
        throw new JpegDomainError(
          `${failure.message}; it keeps ${count} results, --resume continues with the others`,
        );
      }
    },
    close() {
      closeSync(file);
      release();
    },
  };
}

/** Removes the part of a line that was written before the disk was full. */
function truncate(file: number, size: number): void {
  try {
    ftruncateSync(file, size);
  } catch {
    // A device; or --resume will remove it.
  }
}

const NEWLINE = Buffer.from("\n");

/** The lines without their line breaks; an incomplete last line is left out. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    lines.push(text.subarray(start, end));
    start = end + 1;
  }
  const rest = text.subarray(start);
  if (rest.length > 0 && !isIncomplete(rest)) lines.push(rest);
  return lines;
}

/** The start of each line. */
const LINE_START = '{"file":"';

/** Whether this is an incomplete line of ours, not a complete one and not the text of another file. */
function isIncomplete(rest: Buffer): boolean {
  if (!rest.subarray(0, LINE_START.length).equals(Buffer.from(LINE_START))) return false;
  try {
    JSON.parse(rest.toString("utf8"));
    return false;
  } catch {
    return true;
  }
}

function parse(number: number, bytes: Buffer): Line {
  try {
    const line = JSON.parse(bytes.toString("utf8")) as Line;
    if (typeof line.file === "string") return line;
  } catch {}
  throw new JpegDomainError(`line ${number} is not a result, expected {"file": …}; the file stays as it is`);
}

function check(number: number, line: Line, by: Provenance): void {
  const names = [...new Set([...Object.keys(by), ...Object.keys(line.by ?? {})])] as (keyof Provenance)[];
  const other = names.find((name) => line.by?.[name] !== by[name]);
  if (other === undefined) return;
  throw new JpegDomainError(
    `line ${number} was made with ${other} ${line.by?.[other] ?? "none"}, expected ${by[other] ?? "none"}; ` +
      "--resume needs the same model and options; another --out keeps both",
  );
}
