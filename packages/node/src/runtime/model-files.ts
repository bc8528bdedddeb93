import { realpathSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type ExternalFiles, type Graph, readOnnx } from "@jpeg-domain/conversion";
import { fileFailure } from "./failure.js";
import { type FoundModel, findModel } from "./model-folder.js";
import { readRegularFile } from "./read-file.js";

/** A model file, read and parsed. */
export interface ReadModel extends Omit<FoundModel, "model"> {
  /** What ONNX Runtime opens: the path, because constants may be in files beside it, or the bytes. */
  file: Uint8Array | string;
  bytes: Uint8Array;
  graph: Graph;
}

/**
 * Reads a model: an ONNX file's bytes, its path, or the path of a folder that {@link findModel} takes.
 * @throws {JpegDomainError} if it cannot be read, or is not a model
 */
export function readModel(model: Uint8Array | string): ReadModel {
  if (typeof model !== "string") return { file: model, bytes: model, graph: readOnnx(model) };
  const { model: path, ...found } = findModel(model);
  const bytes = read(path);
  return { ...found, file: path, bytes, graph: parseModel(path, bytes) };
}

function read(path: string): Uint8Array {
  try {
    return readRegularFile(path);
  } catch (error) {
    throw fileFailure(error, path);
  }
}

/**
 * Parses a model whose bytes were read from `path`, and reads the files beside it that hold its constants. A link to a
 * file outside the model's folder is refused.
 * @param onExternal - gets each of those files once
 */
export function parseModel(path: string, bytes: Uint8Array, onExternal?: (file: Uint8Array) => void): Graph {
  return readOnnx(bytes, { external: externalFiles(path, onExternal) });
}

function externalFiles(path: string, onExternal: (file: Uint8Array) => void = () => {}): ExternalFiles {
  const read = new Map<string, Uint8Array>();
  const folder = dirname(resolve(path));
  return (location) => {
    const known = read.get(location);
    if (known !== undefined) return known;
    try {
      const real = realpathSync(resolve(folder, location));
      const inside = relative(realpathSync(folder), real);
      if (inside === ".." || inside.startsWith(`..${sep}`) || resolve(inside) === inside)
        throw new JpegDomainError(
          `external file "${location}" is a link to ${real}, outside the model's folder`,
        );
      const bytes = readRegularFile(real);
      read.set(location, bytes);
      onExternal(bytes);
      return bytes;
    } catch (error) {
      throw fileFailure(error, `external file "${location}"`);
    }
  };
}
