/** Classes' names, as files have them. */
import { JpegDomainError } from "../errors.js";

/**
 * Classes' names from a file's text: a line each, a JSON array, or a JSON object from index to name, which Hugging
 * Face's `config.json` has as `id2label`.
 * @throws {JpegDomainError} where it is none of these, or a class lacks its name
 */
export function parseLabels(bytes: Uint8Array): string[] {
  const text = decodeText(bytes);
  return /^\s*[[{]/.test(text) ? labelsOf(parseJson(text)) : fromLines(text);
}

/** @throws {JpegDomainError} where it is no JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new JpegDomainError(`found ${(error as Error).message}, expected JSON`);
  }
}

/** @throws {JpegDomainError} where bytes are no text */
export function decodeText(bytes: Uint8Array): string {
  try {
    // Takes a byte order mark away.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JpegDomainError("found bytes that are no UTF-8, expected text");
  }
}

function fromLines(text: string): string[] {
  const lines = text.replace(/(\r?\n)+$/, "").split(/\r?\n/);
  const empty = lines.findIndex((line) => line.trim() === "");
  if (empty >= 0)
    throw new JpegDomainError(
      lines.length === 1
        ? "found no names, expected a name a line"
        : `line ${empty + 1} is empty, expected a name`,
    );
  return lines;
}

/** Names from parsed JSON: an array, an object from index to name, or one that has either as `id2label`. */
export function labelsOf(value: unknown): string[] {
  const { id2label = value } = value as { id2label?: unknown };
  if (typeof id2label !== "object" || id2label === null)
    throw wrong(`id2label: ${JSON.stringify(id2label).slice(0, 40)}`);
  const names = Array.isArray(id2label) ? id2label : inOrder(new Map(Object.entries(id2label)));
  if (names.length === 0) throw wrong("no names");
  const odd = names.findIndex((name) => typeof name !== "string" || name.trim() === "");
  if (odd >= 0) throw wrong(`${JSON.stringify(names[odd]).slice(0, 40)} as the name of class ${odd}`);
  return names as string[];
}

/** Names by their indices, which are all from 0 on: that many and no more, whatever the largest is. */
function inOrder(names: ReadonlyMap<string, unknown>): unknown[] {
  const missing = Array.from({ length: names.size }, (_, index) => index).find(
    (index) => !names.has(String(index)),
  );
  if (missing === undefined)
    return Array.from({ length: names.size }, (_, index) => names.get(String(index)));
  const other =
    [...names.keys()].find((key) => !/^(0|[1-9]\d*)$/.test(key) || Number(key) >= names.size) ?? "";
  throw wrong(
    `${names.size} names, one under ${JSON.stringify(other.slice(0, 40))} and none under "${missing}"`,
  );
}

const wrong = (found: string) =>
  new JpegDomainError(
    `found ${found}, expected an array of names, or an object from each index to its name, from 0 on`,
  );
