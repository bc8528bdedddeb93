import { createHash } from "node:crypto";
import type { InputValues, Preprocess } from "@jpeg-domain/conversion";
import { findModel, parseModel } from "@jpeg-domain/node/internal";
import { readInput, withFile } from "./files.js";

/** What a file's result depends on. Only results with the same provenance belong in one list. */
export interface Provenance {
  /** Start of the SHA-256 of the model's file, followed by the files beside it that hold its constants. */
  model: string;
  /** Start of the SHA-256 of the preprocessing. */
  preprocess: string;
  /** Start of the SHA-256 of the class names, if any. */
  labels?: string;
  /** The most classes per file. */
  top: number;
  /** Damaged files were errors. */
  strict?: true;
  /** The output that was chosen by name, if any. */
  output?: string;
  /** Start of the SHA-256 of the values of the model's other inputs, if any. */
  inputs?: string;
}

/** Enough digits that no two models of a user are the same. */
const DIGITS = 12;

export async function provenanceOf(
  path: string,
  preprocess: Preprocess,
  labels: readonly string[] | undefined,
  { top, output, input }: { top: number; output?: string; input?: InputValues },
): Promise<Provenance> {
  const { model } = findModel(path);
  const bytes = await readInput(model);
  const hash = createHash("sha256").update(bytes);
  await withFile(model, () => parseModel(model, bytes, (file) => void hash.update(file)));
  return {
    model: hash.digest("hex").slice(0, DIGITS),
    preprocess: digest(preprocess),
    ...(labels && { labels: digest(labels) }),
    top,
    ...(output !== undefined && { output }),
    ...(input && { inputs: digest(input) }),
  };
}

const digest = (value: object): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, DIGITS);
