/**
 * Characters that a terminal, an editor or a page acts on instead of showing: control characters (C0, DEL, C1), marks
 * that turn the direction of text, separators of lines; and halves of a surrogate pair without the other.
 */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;
const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A text that a person can look at without harm, whoever wrote it: the name of a file, a layer or a class, another
 * program's message. What would act is written as JavaScript writes it, such as `\x1b` or `\u202e`.
 */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (character) => SHORT[character] ?? escaped(character, character < "\u0100" ? 2 : 4));

/**
 * JSON without such characters, of which `JSON.stringify` leaves some as they are.
 * @param indent - spaces of each level; without it all is one line
 */
export const visibleJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(UNSEEN, (character) =>
    // Between values; inside of them it is written otherwise.
    character === "\n" ? character : escaped(character, 4),
  );

const escaped = (character: string, digits: number): string =>
  `\\${digits === 2 ? "x" : "u"}${character.charCodeAt(0).toString(16).padStart(digits, "0")}`;
