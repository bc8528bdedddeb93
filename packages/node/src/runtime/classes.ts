/** Finds the output that holds a model's classes, and ranks the classes. */
import { JpegDomainError } from "@jpeg-domain/coefficients";
import type { Dimension } from "@jpeg-domain/conversion";
import type { ModelOutput, OutputInfo, Outputs } from "./outputs.js";

/** A class that a classifier ranks. */
export interface RankedClass {
  /** Its index in the model's output. */
  index: number;
  /** 0 to 1. */
  probability: number;
  /** Its name, if names are given. */
  label?: string;
}

/** How {@link topClasses} reads the outputs. */
export interface ClassesOptions {
  /** The name of the output that holds the classes; by default the one that looks like classes. */
  output?: string | undefined;
  /** The classes' names, in the order of the model's output. */
  labels?: readonly string[] | undefined;
}

/** How far the sum of probabilities may be from 1. */
const ROUNDING = 1e-3;

/**
 * The most probable classes of a classifier, best first.
 *
 * If there are several outputs, this takes the one that looks like classes: a list `[classes]` of numbers, as long as
 * the list of labels. Among several such lists it takes the one whose name says so (logits, probabilities, scores, …),
 * else the first.
 *
 * Values that are already probabilities (none below 0, sum 1) stay as they are. Logits go through softmax:
 * p[i] = exp(x[i]) / Σ exp(x[j]).
 * @throws {JpegDomainError} if no output, or not the named one, is a list of two or more numbers, or the number of
 *   labels differs from the number of classes
 */
export function topClasses(
  outputs: Outputs,
  count = 5,
  { output: name, labels }: ClassesOptions = {},
): RankedClass[] {
  const found = Object.entries(outputs).map(([each, { data, shape }]) => ({
    name: each,
    type: Array.isArray(data) ? ("string" as const) : ("float32" as const),
    shape,
  }));
  const chosen = name ?? pickClasses(found, labels?.length).name;
  const output = Object.hasOwn(outputs, chosen) ? outputs[chosen] : undefined;
  if (output === undefined)
    throw new JpegDomainError(
      `there is no output "${chosen}"; expected one of ${Object.keys(outputs).join(", ")}`,
    );
  const values = probabilities(listOf(chosen, output));
  if (labels !== undefined && labels.length !== values.length)
    throw wrongLabels(labels.length, values.length);
  return Array.from(values, (probability, index) => ({
    index,
    probability,
    ...(labels && { label: labels[index] as string }),
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}

const wrongLabels = (labels: number, classes: number) =>
  new JpegDomainError(`there are ${labels} labels, the model has ${classes} classes`);

/** Names that outputs with classes usually have. */
const NAMES = /logit|prob|score|softmax|class|pred/i;
const FLOATS: ReadonlySet<string> = new Set(["float32", "float16", "float64", "bfloat16"]);

/**
 * The output that looks like classes, or `undefined`. An output of unknown shape may be it.
 * @param outputs - as declared for one image, or as a run returned them
 * @param labels - the number of classes, if known
 */
export function classesOutput(outputs: readonly OutputInfo[], labels?: number): OutputInfo | undefined {
  const lists = outputs.filter(({ type, shape }) => type !== "string" && mayBeList(shape));
  const fitting = lists.filter(({ shape }) => labels === undefined || classCount(shape) === labels);
  // If none has the right length, the caller reports the mismatch.
  const candidates = fitting.length > 0 ? fitting : lists;
  const worth = ({ name, type = "float32", shape }: OutputInfo) =>
    (shape ? 4 : 0) + (FLOATS.has(type) ? 2 : 0) + (NAMES.test(name) ? 1 : 0);
  return candidates.reduce<OutputInfo | undefined>(
    (best, output) => (best === undefined || worth(output) > worth(best) ? output : best),
    undefined,
  );
}

/** `[classes]`; some exports leave axes of length 1 beside it. */
const sidesOf = (shape: readonly Dimension[]) => shape.filter((side) => side !== 1);
const mayBeList = (shape: readonly Dimension[] | undefined) =>
  shape === undefined || sidesOf(shape).length === 1;

/** The number of classes in a list, if known. */
function classCount(shape: readonly Dimension[] | undefined): number | undefined {
  const [side] = shape === undefined ? [] : sidesOf(shape);
  return typeof side === "number" ? side : undefined;
}

/**
 * {@link classesOutput}, or an error.
 * @throws {JpegDomainError} if there is none, or it is known to have a different number of classes
 */
export function pickClasses(outputs: readonly OutputInfo[], labels?: number): OutputInfo {
  const found = classesOutput(outputs, labels) ?? refuse(outputs, labels);
  const count = classCount(found.shape);
  if (labels !== undefined && count !== undefined && count !== labels) throw wrongLabels(labels, count);
  return found;
}

/** Throws: no output looks like classes. */
function refuse(outputs: readonly OutputInfo[], labels?: number): never {
  const [first, ...others] = outputs;
  if (first !== undefined && others.length === 0) throw noList(first.name, first.type, first.shape);
  const found = outputs.map(({ name, type, shape }) => `${name}: ${type ?? "?"} ${shown(shape)}`);
  throw new JpegDomainError(
    `no output is a list of classes: ${found.join("; ") || "the model has no output"}; expected numbers [${labels ?? "classes"}]`,
  );
}

const shown = (shape: readonly Dimension[] | undefined) => `[${shape?.join(", ") ?? "?"}]`;

function noList(name: string, type: string | undefined, shape: readonly Dimension[] | undefined) {
  const what =
    type === "string" ? "strings" : sidesOf(shape ?? []).length > 1 ? "an image" : "a single number";
  return new JpegDomainError(`output "${name}" is ${shown(shape)} ${what}, expected [classes]`);
}

function listOf(name: string, { data, shape }: ModelOutput): Float32Array | Float64Array {
  if (Array.isArray(data)) throw noList(name, "string", shape);
  if (!mayBeList(shape)) throw noList(name, undefined, shape);
  return data;
}

function probabilities(values: Float32Array | Float64Array): Float64Array {
  const list = Float64Array.from(values);
  const sum = list.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) < ROUNDING && list.every((value) => value >= 0)) return list;
  const largest = list.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = list.map((value) => Math.exp(value - largest));
  const total = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / total);
}
