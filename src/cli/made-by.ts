import { createHash } from "node:crypto";
import type { InputValues } from "../convert/other-inputs.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import { parseModel } from "../runtime/model-files.js";
import { findModel } from "../runtime/model-folder.js";
import { readInput, withFile } from "./files.js";

/** What decides about a file's answers: those of one kind can stand in one list. */
export interface MadeBy {
  /** Start of the SHA-256 of the model's file, followed by the files beside it that hold its constants. */
  model: string;
  /** The same of how images are prepared. */
  preprocess: string;
  /** The same of the names of classes, where there are some. */
  labels?: string;
  /** Classes a file, at most. */
  top: number;
  /** Damaged files were errors. */
  strict?: true;
  /** The output that was named, where one was. */
  output?: string;
  /** Start of the SHA-256 of the values of the model's other inputs, where there are some. */
  inputs?: string;
}

/** Enough that no two models of a user have the same. */
const DIGITS = 12;

export async function madeBy(
  path: string,
  preprocess: Preprocess,
  labels: readonly string[] | undefined,
  { top, output, input }: { top: number; output?: string; input?: InputValues },
): Promise<MadeBy> {
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
