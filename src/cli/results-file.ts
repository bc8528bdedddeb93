/** A file of JSON lines, one a result, which interrupted work goes on with. */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { JpegDomainError } from "../errors.js";
import { makeFolderOf, withFile } from "./files.js";

export interface ResultsFile {
  /** Files that it has lines of, with whether theirs is an error. */
  done: Map<string, boolean>;
  /** Adds a line, which is in the file when this returns. */
  write(entry: object): void;
  close(): void;
}

/**
 * Opens the file, for going on with `resume`; a last line that was not written to its end is taken away.
 * @throws {JpegDomainError} where there are results already and no `resume`, or lines of something else
 */
export async function openResults(path: string, resume: boolean): Promise<ResultsFile> {
  if (!resume && existsSync(path) && statSync(path).size > 0)
    throw new JpegDomainError(
      `${path} holds results already; --resume goes on with them, or delete it first`,
    );
  await makeFolderOf(path);
  return withFile(path, () => {
    const text = resume && existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    const whole = text.lastIndexOf("\n") + 1;
    const done = entries(path, text.subarray(0, whole).toString("utf8"));
    const file = openSync(path, "a");
    ftruncateSync(file, whole);
    return {
      done,
      write: (entry) => void writeSync(file, `${JSON.stringify(entry)}\n`),
      close: () => closeSync(file),
    };
  });
}

function entries(path: string, text: string): Map<string, boolean> {
  const lines = text.split("\n").slice(0, -1);
  return new Map(
    lines.map((line, number) => {
      try {
        const { file, error } = JSON.parse(line) as { file?: unknown; error?: unknown };
        if (typeof file === "string") return [file, error !== undefined];
      } catch {}
      throw new JpegDomainError(`${path}: line ${number + 1} is no result, expected {"file": …}`);
    }),
  );
}
