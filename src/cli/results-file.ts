/** A file of JSON lines, one a result, which interrupted work goes on with. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, statSync } from "node:fs";
import { JpegDomainError } from "../errors.js";
import { visibleJson } from "../report/visible.js";
import { fileFailure } from "../runtime/failure.js";
import { otherKind, readRegularFile } from "../runtime/read-file.js";
import { targetOf, writeAll, writeAtomically } from "../runtime/write-file.js";
import { makeFolderOf, withFile } from "./files.js";
import { lock } from "./lock.js";
import type { MadeBy } from "./made-by.js";

export interface ResultsFile {
  /** Files whose answers it has. */
  done: Set<string>;
  /** Adds a line, which is in the file when this returns, or none of it. */
  write(entry: object): void;
  close(): void;
}

interface Line {
  file: string;
  by?: Partial<MadeBy>;
  error?: string;
}

/**
 * Opens the file, for going on with `resume`: then lines of files that failed are taken away, since these are tried
 * again, and so is a last line that was not written to its end. No other process can have it open until it is closed.
 * @throws {JpegDomainError} where there are results already and no `resume`, results that other models or options
 * made, or anything else, which stays as it is; where another process writes to it; where it is no place for results
 */
export async function openResults(path: string, by: MadeBy, resume: boolean): Promise<ResultsFile> {
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

/** Leaves the lines that stay, and tells which files they are of. */
function prepare(path: string, by: MadeBy, resume: boolean): Set<string> {
  const text = contentOf(path);
  if (!resume && text.length > 0)
    throw new JpegDomainError("it holds results already; --resume goes on with them, or delete it first");
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
        takeBack(file, size);
        const failure = fileFailure(error, path);
        if (!(failure instanceof JpegDomainError)) throw failure;
        throw new JpegDomainError(
          `${failure.message}; it keeps ${count} results, --resume goes on with the others`,
        );
      }
    },
    close() {
      closeSync(file);
      release();
    },
  };
}

/** The part of a line that was written before the disk was full, so that the next line does not follow in it. */
function takeBack(file: number, size: number): void {
  try {
    ftruncateSync(file, size);
  } catch {
    // A device; or a file that --resume takes it out of.
  }
}

const NEWLINE = Buffer.from("\n");

/** The lines without their ends; none for a last one that was cut off. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    lines.push(text.subarray(start, end));
    start = end + 1;
  }
  const rest = text.subarray(start);
  if (rest.length > 0 && !isCut(rest)) lines.push(rest);
  return lines;
}

/** What each line begins with. */
const BEGINNING = '{"file":"';

/** Whether this is a line of ours as a process that was ended leaves it, and not whole, or the text of another file. */
function isCut(rest: Buffer): boolean {
  if (!rest.subarray(0, BEGINNING.length).equals(Buffer.from(BEGINNING))) return false;
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
  throw new JpegDomainError(`line ${number} is no result, expected {"file": …}; the file stays as it is`);
}
function check(number: number, line: Line, by: MadeBy): void {
  const names = [...new Set([...Object.keys(by), ...Object.keys(line.by ?? {})])] as (keyof MadeBy)[];
  const other = names.find((name) => line.by?.[name] !== by[name]);
  if (other === undefined) return;
  throw new JpegDomainError(
    `line ${number} was made with ${other} ${line.by?.[other] ?? "none"}, expected ${by[other] ?? "none"}; ` +
      "--resume goes on with the same model and options, another --out keeps both",
  );
}
