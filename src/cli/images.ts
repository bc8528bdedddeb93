import { stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { glob, isDynamicPattern } from "tinyglobby";
import { JpegDomainError } from "../errors.js";

/** What is taken out of folders, in any case of letters. */
const EXTENSIONS = ["jpg", "jpeg", "jpe", "jfif"];
const IN_FOLDERS = `**/*.{${EXTENSIONS.join(",")}}`;

/**
 * Files that arguments name: files as they are, folders' JPEG files with those of the folders below, and globs; in this
 * order, each sorted by name, and each file once, however its path is written.
 * @throws {JpegDomainError} where there are none at all
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  if (paths.includes("")) throw new JpegDomainError("a path is empty, expected files, folders or globs");
  for (const path of paths) for (const file of await expand(path)) found.add(normalize(file));
  if (found.size === 0)
    throw new JpegDomainError(
      `${paths.join(", ")}: no JPEG files there, expected files, folders of .${EXTENSIONS.join(", .")}, or globs`,
    );
  return [...found];
}

async function expand(path: string): Promise<string[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory()) {
    const files = await glob(IN_FOLDERS, { cwd: path, caseSensitiveMatch: false, dot: true });
    return files.sort(byName).map((file) => join(path, file));
  }
  // What is neither there nor a pattern stays, and is told of when it is to be read.
  if (stats !== undefined || !isDynamicPattern(path)) return [path];
  return (await glob(path, { expandDirectories: false, dot: false })).sort(byName);
}

/** By code units: the same in every locale. */
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
