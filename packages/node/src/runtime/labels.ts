/** Reads class names from files. */
import { JpegDomainError } from "@jpeg-domain/coefficients";

/**
 * Reads class names from a file's text: one per line, a JSON array, or a JSON object from index to name (`id2label` in
 * Hugging Face's `config.json`).
 * @throws {JpegDomainError} if it is none of these, or a class has no name
 */
export function parseLabels(bytes: Uint8Array): string[] {
  const text = decodeText(bytes);
  return /^\s*[[{]/.test(text) ? labelsOf(parseJson(text)) : fromLines(text);
}

/** @throws {JpegDomainError} if the text is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new JpegDomainError(`found ${(error as Error).message}, expected JSON`);
  }
}

/** @throws {JpegDomainError} if the bytes are not UTF-8 text */
export function decodeText(bytes: Uint8Array): string {
  try {
    // This also removes a byte order mark.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JpegDomainError("found bytes that are not UTF-8, expected text");
  }
}

function fromLines(text: string): string[] {
  const lines = text.replace(/(\r?\n)+$/, "").split(/\r?\n/);
  const empty = lines.findIndex((line) => line.trim() === "");
  if (empty >= 0)
    throw new JpegDomainError(
      lines.length === 1
        ? "found no names, expected one name per line"
        : `line ${empty + 1} is empty, expected a name`,
    );
  return lines;
}

/** Names from parsed JSON: an array, an object from index to name, or an object with either one as `id2label`. */
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

/** Names sorted by index. The indices must be 0 to count - 1, so a huge index never makes a huge array. */
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
    `found ${found}, expected an array of names, or an object from each index (0, 1, …) to its name`,
  );
