/**
 * Characters that a terminal, an editor or a page acts on instead of showing: control characters (C0, DEL, C1), marks
 * that change the direction of text, line separators, and lone surrogates.
 */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;
const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Makes text from elsewhere safe to show: the name of a file, a layer or a class, or another program's message.
 * Characters that would act are escaped as in JavaScript, such as `\x1b` or `\u202e`.
 */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (character) => SHORT[character] ?? escaped(character, character < "\u0100" ? 2 : 4));

/**
 * JSON without such characters. `JSON.stringify` leaves some of them as they are.
 * @param indent - spaces per level; without it, everything is on one line
 */
export const visibleJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(UNSEEN, (character) =>
    // A line break between values; inside strings it is already escaped.
    character === "\n" ? character : escaped(character, 4),
  );

const escaped = (character: string, digits: number): string =>
  `\\${digits === 2 ? "x" : "u"}${character.charCodeAt(0).toString(16).padStart(digits, "0")}`;
