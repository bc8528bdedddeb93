import type { Dimension, ElementType, Graph } from "../onnx/graph.js";
import { checkPreprocess, type Preprocess } from "./entrance/preprocess.js";
import { ConvertError } from "./errors.js";
import type { InputName } from "./options.js";

/** What a converted file says of itself, so that whoever loads it knows what to feed it. */
export interface Metadata {
  /** What the graph takes: coefficients of the network's planes, or of JPEG files (./entrance/graph.ts). */
  input: InputName;
  plan: string;
  relu: string;
  /** The planes the network was made for. A side whose length is known only at run time has its name instead. */
  channels: number;
  height: Dimension;
  width: Dimension;
  /** Of the network: its length, or its name where it is free. Older files do not say it. */
  batch?: Dimension;
  /** The names of the outputs that have the batch as their first axis. Older files do not say it. */
  batched?: string[];
  /** What it says of one image depends on the others of a batch. */
  oneByOne?: true;
  /** The element type of the image in the network that was converted, where it is not float32. */
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

/** Of a spatial model: how the images were prepared that it was trained with. */
const PREPROCESS_KEY = "jpeg-domain.preprocess";

/**
 * Says in a spatial model's metadata how photographs become its planes. Whatever takes JPEG files goes by it then, and
 * conversion carries it on.
 * @throws {ConvertError} where it is no {@link Preprocess}
 */
export function writePreprocess(graph: Graph, preprocess: Preprocess): void {
  graph.metadata.set(PREPROCESS_KEY, JSON.stringify(checkPreprocess(preprocess)));
}

/**
 * What a model, spatial or converted, says of its preprocessing; `undefined` where it says nothing.
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
  graph.metadata.set(KEY, JSON.stringify(metadata));
}

/**
 * The metadata of a converted model, `undefined` for a spatial one.
 * @throws {ConvertError} where the entry is there but unreadable.
 */
export function readMetadata(graph: Graph): Metadata | undefined {
  return parseEntry(graph, KEY) as Metadata | undefined;
}

function parseEntry(graph: Graph, key: string): unknown {
  const text = graph.metadata.get(key);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ConvertError(`the model's metadata entry "${key}" is not JSON: ${text.slice(0, 60)}`);
  }
}
