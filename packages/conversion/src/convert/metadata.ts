import type { Dimension, ElementType, Graph } from "../onnx/graph.js";
import { CODES } from "../onnx/tensors.js";
import { checkPreprocess, type Preprocess } from "../preprocess/preprocess.js";
import { ConvertError } from "./errors.js";
import { INPUTS, type InputName, PLAN_NAMES, parseRelu } from "./options.js";

/** What a converted file says about itself, so that its reader knows what to feed it. */
export interface Metadata {
  /** What the graph takes: coefficients of the network's planes, or of JPEG files (../preprocess/graph/planes.ts). */
  input: InputName;
  plan: string;
  relu: string;
  /** The planes the network was made for. A side whose length is known only at run time has its name instead. */
  channels: number;
  height: Dimension;
  width: Dimension;
  /** The batch of the network: a length, or a name if it is free. Older files do not have it. */
  batch?: Dimension;
  /** The names of the outputs whose first axis is the batch. Older files do not have it. */
  batched?: string[];
  /** Images run one by one: the results of one depend on the others of its batch. */
  oneByOne?: true;
  /** The element type of the original network's image, if it is not float32. */
  type?: ElementType;
  /** 64 entries, zigzag order. */
  table: number[];
  /** For one image. */
  multiplyAdds: number;
  operatorBytes: number;
  largestOperatorBytes: number;
  /** How photographs become the network's planes. */
  preprocess?: Preprocess;
  /** The value of the graph that holds the network's planes `[N, C, H, W]`, where there is one. */
  planes?: string;
}

const KEY = "jpeg-domain";

/** In a spatial model: how its training images were preprocessed. */
const PREPROCESS_KEY = "jpeg-domain.preprocess";

/**
 * Writes into a spatial model's metadata how photographs become its planes. Everything that takes JPEG files follows it,
 * and conversion keeps it.
 * @throws {ConvertError} where it is no {@link Preprocess}
 */
export function writePreprocess(graph: Graph, preprocess: Preprocess): void {
  graph.metadata.set(PREPROCESS_KEY, JSON.stringify(checkPreprocess(preprocess)));
}

/**
 * The preprocessing that a spatial or converted model declares, `undefined` where it declares none.
 * @throws {ConvertError} where the entry is there but unreadable
 */
export function readPreprocess(graph: Graph): Preprocess | undefined {
  const isOwn = graph.metadata.has(PREPROCESS_KEY);
  const own = isOwn ? parseEntry(graph, PREPROCESS_KEY) : readMetadata(graph)?.preprocess;
  if (own === undefined) return undefined;
  try {
    return checkPreprocess(own);
  } catch (error) {
    throw new ConvertError(`the model's metadata: ${(error as Error).message}`);
  }
}

export function writeMetadata(graph: Graph, metadata: Metadata): void {
  // JSON has no infinity, and the counts of absurd sizes can reach it.
  const finite = (_: string, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? Number.MAX_VALUE : value;
  graph.metadata.set(KEY, JSON.stringify(metadata, finite));
}

/**
 * The metadata of a converted model, `undefined` for a spatial one.
 * @throws {ConvertError} where the entry is there but is not such metadata.
 */
export function readMetadata(graph: Graph): Metadata | undefined {
  return graph.metadata.has(KEY) ? checkMetadata(parseEntry(graph, KEY)) : undefined;
}

function parseEntry(graph: Graph, key: string): unknown {
  const text = graph.metadata.get(key) ?? "";
  try {
    return JSON.parse(text);
  } catch {
    throw new ConvertError(`the model's metadata entry "${key}" is not JSON: ${text.slice(0, 60)}`);
  }
}

type Check = (value: unknown) => boolean;

const isLength: Check = (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
const isDimension: Check = (value) => isLength(value) || (typeof value === "string" && value !== "");
const isCount: Check = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;

function isRelu(value: unknown): boolean {
  try {
    return typeof value === "string" && parseRelu(value) !== undefined;
  } catch {
    return false;
  }
}

const isTable: Check = (value) =>
  Array.isArray(value) && value.length === 64 && value.every((entry) => isCount(entry) && entry > 0);

const oneOf =
  (...names: readonly string[]): Check =>
  (value) =>
    typeof value === "string" && names.includes(value);

/** What each field must be, in words and as a check. Those with a `?` are optional. */
const FIELDS: Record<string, [expected: string, check: Check]> = {
  input: [INPUTS.join(" or "), oneOf(...INPUTS)],
  plan: [PLAN_NAMES.join(", "), oneOf(...PLAN_NAMES)],
  relu: ["exact, asm:N or apx:N", isRelu],
  channels: ["a whole number from 1", isLength],
  height: ["a whole number from 1, or a name", isDimension],
  width: ["a whole number from 1, or a name", isDimension],
  table: ["64 numbers above 0", isTable],
  multiplyAdds: ["a number from 0", isCount],
  operatorBytes: ["a number from 0", isCount],
  largestOperatorBytes: ["a number from 0", isCount],
  "batch?": ["a whole number from 1, or a name", isDimension],
  "batched?": [
    "a list of names",
    (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
  ],
  "oneByOne?": ["true", (value) => value === true],
  "type?": ["an element type", oneOf(...CODES.values())],
  "planes?": ["a value's name", (value) => typeof value === "string" && value !== ""],
};

function checkMetadata(value: unknown): Metadata {
  const wrong = (what: string, found: unknown, expected: string): never => {
    const shown = (JSON.stringify(found) ?? "missing").slice(0, 60);
    throw new ConvertError(`the model's metadata entry "${KEY}" has ${what} ${shown}; expected ${expected}`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return wrong("the value", value, "an object");
  const fields = value as Record<string, unknown>;
  for (const [key, [expected, check]] of Object.entries(FIELDS)) {
    const name = key.replace("?", "");
    const found = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!(name !== key && found === undefined) && !check(found)) wrong(name, found, expected);
  }
  const { preprocess, ...rest } = fields;
  const known = preprocess === undefined ? {} : { preprocess: checkPreprocess(preprocess) };
  return { ...(rest as unknown as Metadata), ...known };
}
