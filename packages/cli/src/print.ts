/**
 * All output of the commands goes through here: results to standard output, everything else to standard error. Each text
 * is one line without control characters, because it may come from a file. A status line, such as a progress bar, may
 * stand below the lines.
 */
import type { JpegDamage } from "@jpeg-domain/coefficients";
import { damageText } from "./views/format.js";
import { visible, visibleJson } from "./views/visible.js";

/** Goes to the start of the line and clears it. */
const CLEAR = "\r\u001b[K";

/** The most characters in a line on standard error. */
const LONGEST = 4000;

let status = "";

/** Shows `text` below all lines if standard error is a terminal; an empty text removes it. */
export function setStatus(text: string): void {
  if (!process.stderr.isTTY || text === status) return;
  status = visible(text).slice(0, statusWidth());
  process.stderr.write(`\r${status}\u001b[K`);
}

/** Less than the whole width, so that the cursor stays in the line even if the terminal adds ^C. */
export const statusWidth = (): number => (process.stderr.columns || 80) - 3;

/** Writes lines to standard error. */
export function say(...lines: readonly string[]): void {
  write(process.stderr, lines.map(short).map(visible));
}

/** A message contains names and other libraries' messages, which can be of any length. */
const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

export const sayError = (message: string): void => say(`error: ${message}`);

/** Says that a file was read in spite of damage. */
export const sayDamage = (file: string, damage: readonly JpegDamage[]): void =>
  say(`warning: ${file} is damaged: ${damageText(damage)}`);

/** Writes lines to standard output, as fast as its reader takes them. */
export const print = (...lines: readonly string[]): Promise<void> =>
  write(process.stdout, lines.map(visible));

/** Writes a value as a line of JSON to standard output. */
export const printJson = (value: unknown): Promise<void> => write(process.stdout, [visibleJson(value)]);

function write(stream: NodeJS.WriteStream, lines: readonly string[]): Promise<void> {
  const isBelowStatus = status !== "" && stream.isTTY;
  if (isBelowStatus) process.stderr.write(CLEAR);
  const written = new Promise<void>((done) => {
    stream.write(lines.map((line) => `${line}\n`).join(""), () => done());
  });
  if (isBelowStatus) process.stderr.write(status);
  return written;
}
