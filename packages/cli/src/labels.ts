import { MOST_BYTES, parseLabels } from "@jpeg-domain/node/internal";
import { readInput, withFile } from "./files.js";

/**
 * Reads class names from a file, as {@link parseLabels} says.
 * @throws {JpegDomainError} with the file's name
 */
export async function readLabels(path: string): Promise<string[]> {
  const bytes = await readInput(path, MOST_BYTES.text);
  return withFile(path, () => parseLabels(bytes));
}
