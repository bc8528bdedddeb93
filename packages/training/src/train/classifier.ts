import type { Dimension, Graph, ValueInfo } from "@jpeg-domain/conversion";
import { inferShapes } from "@jpeg-domain/conversion/internal";
import { TrainingError } from "./rule.js";

/** The input and output of a trainable graph: one input `[N, …dims]`, one output of logits `[N, classes]`. */
export interface Signature {
  input: string;
  /** The shape of one sample. */
  dims: number[];
  logits: string;
  batch: Dimension;
  classes: number;
}

/** @throws {TrainingError} if the graph's inputs or outputs are not a classifier's */
export function signature(graph: Graph): Signature {
  const [input, ...moreInputs] = graph.inputs;
  const [batch, ...dims] = input?.shape ?? [];
  if (input === undefined || moreInputs.length > 0 || batch === undefined || !dims.every(isNumber))
    throw new TrainingError(
      `training needs one input of known size, only the batch may be open; found ${list(graph.inputs)}`,
    );
  const [output, ...moreOutputs] = graph.outputs;
  const [rows, classes, ...more] = inferShapes(graph).get(output?.name ?? "")?.shape ?? [];
  if (output === undefined || moreOutputs.length > 0 || rows === undefined || more.length > 0)
    throw new TrainingError(`training needs one output, logits [N, classes]; found ${list(graph.outputs)}`);
  if (!isNumber(classes ?? ""))
    throw new TrainingError(`training needs a known number of classes, but "${output.name}" has ${classes}`);
  return { input: input.name, dims, logits: output.name, batch, classes: classes as number };
}

const isNumber = (length: Dimension): length is number => typeof length === "number";
const list = (values: ValueInfo[]) =>
  values.map(({ name, shape }) => `"${name}" [${shape?.join(", ")}]`).join(", ") || "none";
