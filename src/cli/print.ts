/**
 * What commands show people goes through here, and nothing past it: answers to standard output, all else to standard
 * error. A text is one line, in which nothing acts on the terminal, whoever wrote it. Below the lines there may be one
 * that changes, such as a progress bar.
 */
import type { JpegDamage } from "../jpeg/image.js";
import { damageText } from "../report/format.js";
import { visible, visibleJson } from "../report/visible.js";

/** To the start of the line, and clear what is right of it. */
const CLEAR = "\r\u001b[K";

/** Characters of a line on standard error. */
const LONGEST = 4000;

let status = "";

/** Shows `text` below all lines, where standard error is a terminal; an empty one takes it away. */
export function setStatus(text: string): void {
  if (!process.stderr.isTTY || text === status) return;
  status = visible(text).slice(0, statusWidth());
  process.stderr.write(`\r${status}\u001b[K`);
}

/** Short of the whole width, so that the cursor stays in the line, also where the terminal adds ^C. */
export const statusWidth = (): number => (process.stderr.columns || 80) - 3;

/** Writes lines on standard error. */
export function say(...lines: readonly string[]): void {
  write(process.stderr, lines.map(short).map(visible));
}

/** A message holds names and other people's messages, which may be of any length. */
const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

export const sayError = (message: string): void => say(`error: ${message}`);

/** Says that a file was read in spite of damage. */
export const sayDamage = (file: string, damage: readonly JpegDamage[]): void =>
  say(`warning: ${file} is damaged: ${damageText(damage)}`);

/** Writes lines on standard output, at its reader's pace. */
export const print = (...lines: readonly string[]): Promise<void> =>
  write(process.stdout, lines.map(visible));

/** Writes a value as a line of JSON on standard output. */
export const printJson = (value: unknown): Promise<void> => write(process.stdout, [visibleJson(value)]);

function write(stream: NodeJS.WriteStream, lines: readonly string[]): Promise<void> {
  const isInTheWay = status !== "" && stream.isTTY;
  if (isInTheWay) process.stderr.write(CLEAR);
  const written = new Promise<void>((done) => {
    stream.write(lines.map((line) => `${line}\n`).join(""), () => done());
  });
  if (isInTheWay) process.stderr.write(status);
  return written;
}
