import { mkdir, stat } from "node:fs/promises";
import { dirname, sep } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import {
  type FoundModel,
  fileFailure,
  findModel,
  MOST_BYTES,
  readRegularFile,
} from "@jpeg-domain/node/internal";
import { sayError } from "./print.js";

/** Runs `work`, and puts the file's name in front of its errors. */
export async function withFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  if (path === "") throw new JpegDomainError("a path is empty, expected a file name");
  try {
    return await work();
  } catch (error) {
    if (error instanceof JpegDomainError && !error.message.startsWith(`${path}: `))
      throw new JpegDomainError(`${path}: ${error.message}`);
    throw fileFailure(error, path);
  }
}

/**
 * Reads a whole regular file.
 * @param most - the most bytes it may have
 */
export const readInput = (path: string, most: number = MOST_BYTES.model): Promise<Uint8Array> =>
  withFile(path, () => readRegularFile(path, most));

/** Makes the folder that a file will be written to, and its parents. */
export const makeFolderOf = (path: string): Promise<void> =>
  withFile(path, () => {
    if (path.endsWith("/") || path.endsWith(sep))
      throw new JpegDomainError("it is a folder, expected a file");
    return makeFolder(dirname(path));
  });

/** Node's recursive mkdir loops forever below a folder that exists but takes no new folders, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  if (await isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeFolder(parent);
  try {
    await mkdir(path);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (await isFolder(path)) return;
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new JpegDomainError(`no folder can be made at ${path}, expected a path that can be written to`);
    throw error;
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );

/**
 * Runs `work` for each file or model folder. If one fails, this prints a line on standard error, goes on with the next,
 * and sets the exit status to 1.
 */
export async function eachFile(
  paths: readonly string[],
  work: (path: string, bytes: Uint8Array, found: FoundModel) => void,
  failed: (path: string, message: string) => void = () => {},
): Promise<void> {
  for (const path of paths) {
    try {
      const found = await withFile(path, () => findModel(path));
      const bytes = await readInput(found.model);
      await withFile(path, () => work(path, bytes, found));
    } catch (error) {
      if (!(error instanceof JpegDomainError)) throw error;
      sayError(error.message);
      process.exitCode = 1;
      failed(path, error.message);
    }
  }
}
