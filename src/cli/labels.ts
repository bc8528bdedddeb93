import { JpegDomainError } from "../errors.js";
import { readInput } from "./files.js";

/**
 * Reads classes' names: a line each, a JSON array, or a JSON object from index to name, which Hugging Face's
 * `config.json` has as `id2label`.
 * @throws {JpegDomainError} where the file is none of these
 */
export async function readLabels(path: string): Promise<string[]> {
  const text = new TextDecoder().decode(await readInput(path)).trimEnd();
  if (!/^\s*[[{]/.test(text)) return text.split(/\r?\n/);
  const wrong = (found: string) =>
    new JpegDomainError(
      `${path}: found ${found}, expected an array of names, or an object from index to name`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  const { id2label = value } = value as { id2label?: unknown };
  const labels = Array.isArray(id2label) ? id2label : Object.assign([], id2label);
  if (labels.length === 0 || !labels.every((label: unknown) => typeof label === "string"))
    throw wrong("other things in it");
  return labels as string[];
}
