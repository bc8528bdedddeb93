import { parseLabels } from "../runtime/labels.js";
import { MOST_BYTES } from "../runtime/read-file.js";
import { readInput, withFile } from "./files.js";

/**
 * Reads classes' names: a line each, a JSON array, or a JSON object from index to name, which Hugging Face's
 * `config.json` has as `id2label`.
 * @throws {JpegDomainError} where the file is none of these, or a class lacks its name
 */
export async function readLabels(path: string): Promise<string[]> {
  const bytes = await readInput(path, MOST_BYTES.text);
  return withFile(path, () => parseLabels(bytes));
}
