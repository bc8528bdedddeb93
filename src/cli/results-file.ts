/** A file of JSON lines, one a result, which interrupted work goes on with. */
import { closeSync, openSync, readFileSync, realpathSync, writeSync } from "node:fs";
import { JpegDomainError } from "../errors.js";
import { writeAtomically } from "../train/checkpoint.js";
import { makeFolderOf, withFile } from "./files.js";
import type { MadeBy } from "./made-by.js";

export interface ResultsFile {
  /** Files whose answers it has. */
  done: Set<string>;
  /** Adds a line, which is in the file when this returns. */
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
 * again, and so is a last line that was not written to its end.
 * @throws {JpegDomainError} where there are results already and no `resume`, results that other models or options
 * made, or lines of something else
 */
export async function openResults(path: string, by: MadeBy, resume: boolean): Promise<ResultsFile> {
  await makeFolderOf(path);
  return withFile(path, async () => {
    const done = new Set<string>();
    const text = contentOf(path);
    if (!resume && text.length > 0)
      throw new JpegDomainError("it holds results already; --resume goes on with them, or delete it first");
    const kept: Buffer[] = [];
    for (const [number, bytes] of wholeLines(text).entries()) {
      const line = parse(number + 1, bytes);
      check(number + 1, line, by);
      if (line.error !== undefined) continue;
      done.add(line.file);
      kept.push(bytes);
    }
    const left = Buffer.concat(kept);
    // Where a link points to, and not instead of it.
    if (left.length < text.length) await writeAtomically(realpathSync(path), left);
    const file = openSync(path, "a");
    return {
      done,
      write: (entry) => void writeSync(file, `${JSON.stringify(entry)}\n`),
      close: () => closeSync(file),
    };
  });
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

/** The lines that have their end, with it. */
function wholeLines(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0, end = text.indexOf("\n"); end >= 0; start = end + 1, end = text.indexOf("\n", start))
    lines.push(text.subarray(start, end + 1));
  return lines;
}

function parse(number: number, bytes: Buffer): Line {
  try {
    const line = JSON.parse(bytes.toString("utf8")) as Line;
    if (typeof line.file === "string") return line;
  } catch {}
  throw new JpegDomainError(`line ${number} is no result, expected {"file": …}`);
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
