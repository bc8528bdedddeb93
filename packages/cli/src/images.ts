import { stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { glob, isDynamicPattern } from "tinyglobby";

/** Which files of a folder are taken, in upper or lower case. */
const EXTENSIONS = ["jpg", "jpeg", "jpe", "jfif"];
const IN_FOLDERS = `**/*.{${EXTENSIONS.join(",")}}`;

/**
 * Finds the files that arguments name: files, the JPEG files in folders and their subfolders, and globs. The order is
 * that of the arguments; within each, by name. Each file comes once, however its path is written.
 * @throws {JpegDomainError} if there are none
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  if (paths.includes("")) throw new JpegDomainError("a path is empty, expected files, folders or globs");
  for (const path of paths) for (const file of await expand(path)) found.add(normalize(file));
  if (found.size === 0)
    throw new JpegDomainError(
      `${paths.join(", ")}: found no JPEG files, expected files, folders with .${EXTENSIONS.join(", .")}, or globs`,
    );
  return [...found];
}

async function expand(path: string): Promise<string[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory()) {
    const files = await glob(IN_FOLDERS, { cwd: path, caseSensitiveMatch: false, dot: true });
    return files.sort(byName).map((file) => join(path, file));
  }
  // A missing file that is not a pattern stays in the list, and reading it gives the error.
  if (stats !== undefined || !isDynamicPattern(path)) return [path];
  return (await glob(path, { expandDirectories: false, dot: false })).sort(byName);
}

/** By code units, which is the same in every locale. */
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
