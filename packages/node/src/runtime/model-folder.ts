/** Reads a model folder as model hubs lay it out: the ONNX file, the class names, and the preprocessing. */
import { existsSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type Preprocess, parsePreprocessorConfig } from "@jpeg-domain/conversion";
import { fileFailure } from "./failure.js";
import { decodeText, labelsOf, parseJson } from "./labels.js";
import { MOST_BYTES, readRegularFile } from "./read-file.js";

/** What was found at a path. */
export interface FoundModel {
  /** The ONNX file. */
  model: string;
  /** The class names: `id2label` of config.json. */
  labels?: string[];
  /** From preprocessor_config.json. */
  preprocess?: Preprocess;
}

/** Where the ONNX file may be in a folder. The first one found is taken, full precision before smaller variants. */
const PLACES = ["onnx", ""];
const VARIANTS = ["", "_fp16", "_quantized", "_int8", "_uint8", "_q8", "_q4", "_q4f16", "_bnb4"];

/**
 * Finds the model at a path: the file itself, or the model in a folder laid out as model hubs do, with `config.json`,
 * `preprocessor_config.json` and `onnx/model.onnx` or `model.onnx`. Both JSON files are optional.
 * @throws {JpegDomainError} if a folder has no ONNX file or several, or one of its JSON files cannot be read
 */
export function findModel(path: string): FoundModel {
  if (!statsOf(path)?.isDirectory()) return { model: path };
  try {
    const model = onnxFile(path);
    const config = readJson(path, "config.json");
    const labels = config && inFile("config.json", () => labelsIn(config));
    const preprocess = preprocessOf(path, config);
    return { model, ...(labels && { labels }), ...(preprocess && { preprocess }) };
  } catch (error) {
    throw error instanceof JpegDomainError ? new JpegDomainError(`${path}: ${error.message}`) : error;
  }
}

function onnxFile(folder: string): string {
  const candidates = VARIANTS.flatMap((variant) =>
    PLACES.map((place) => join(folder, place, `model${variant}.onnx`)),
  );
  const found = candidates.find(isFile);
  if (found !== undefined) return found;
  const others = PLACES.flatMap((place) => onnxFilesIn(join(folder, place)));
  const [only, ...more] = others;
  if (only === undefined)
    throw new JpegDomainError(
      isFile(join(folder, "config.json"))
        ? "it is a model folder with config.json but no ONNX file; expected onnx/model.onnx or model.onnx in it"
        : "it is a folder, expected a file",
    );
  if (more.length > 0)
    throw new JpegDomainError(
      `it is a folder with ${others.length} ONNX files (${others.slice(0, 4).join(", ")}${more.length > 3 ? ", ..." : ""}), none called model.onnx; expected the path of one`,
    );
  return only;
}

function onnxFilesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.toLowerCase().endsWith(".onnx"));
    return names
      .sort()
      .map((name) => join(folder, name))
      .filter(isFile);
  } catch {
    return [];
  }
}

const isFile = (path: string): boolean => statsOf(path)?.isFile() ?? false;

/** `undefined` if nothing is there or it cannot be seen; reading it then gives the reason. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function labelsIn({ id2label }: Record<string, unknown>): string[] | undefined {
  return id2label === undefined || id2label === null ? undefined : labelsOf(id2label);
}

/** The files that may describe the preprocessing, and the field that shows that they do. timm writes it to config.json. */
const PREPARATIONS: readonly [file: string, field?: string][] = [
  ["preprocessor_config.json"],
  ["processor_config.json", "image_processor"],
  ["config.json", "pretrained_cfg"],
];

function preprocessOf(folder: string, config: Record<string, unknown> | undefined): Preprocess | undefined {
  for (const [name, field] of PREPARATIONS) {
    const found = name === "config.json" ? config : readJson(folder, name);
    if (found === undefined || (field !== undefined && found[field] == null)) continue;
    return inFile(name, () => parsePreprocessorConfig(found));
  }
  return undefined;
}

/** The object in a JSON file; `undefined` if there is no such file. */
function readJson(folder: string, name: string): Record<string, unknown> | undefined {
  const path = join(folder, name);
  if (!existsSync(path)) return undefined;
  return inFile(name, () => {
    const value = parseJson(decodeText(readRegularFile(path, MOST_BYTES.text)));
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
    throw new JpegDomainError(`found ${JSON.stringify(value).slice(0, 40)}, expected an object`);
  });
}

/** Puts the file's name in front of the errors of `work`. */
function inFile<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof JpegDomainError) throw new JpegDomainError(`${name}: ${error.message}`);
    throw fileFailure(error, name);
  }
}
