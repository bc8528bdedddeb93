/** What a model gives, found out when it is opened; and how each image's part of it is read after a run. */
import type { Tensor } from "onnxruntime-node";
import type { Metadata } from "../convert/metadata.js";
import { JpegDomainError } from "../errors.js";
import { type BatchedOutput, batchedOutputs } from "../onnx/batch.js";
import { makeNode } from "../onnx/builder.js";
import { kindOfType } from "../onnx/file.js";
import { type Dimension, type ElementType, type Graph, type ValueInfo, volume } from "../onnx/graph.js";
import { fromHalf } from "../onnx/half.js";
import { namesOf } from "../onnx/subgraph.js";

/** What a model gives for one image. */
export interface ModelOutput {
  /**
   * Float32Array of float32, float16, bfloat16, float8, bool (0 and 1) and whole numbers of up to 16 bits, which it
   * holds exactly; Float64Array of float64 and of whole numbers of 32 and 64 bits: those beyond ±2^53 are rounded to
   * the nearest that it has. Strings stay strings.
   */
  data: Float32Array | Float64Array | string[];
  /**
   * Without the batch: `[classes]` for a classifier. An output whose first axis is not the batch, as `[detections, 6]`,
   * is here as a whole.
   */
  shape: number[];
}

/** By the names of the model's outputs. */
export type Outputs = Record<string, ModelOutput>;

/** An output as the model declares it. */
export interface OutputInfo {
  name: string;
  /** `undefined` where the file does not say it. */
  type: ElementType | undefined;
  /** Of what {@link ModelOutput} has: without the batch; `undefined` where the file leaves the rank open. */
  shape: Dimension[] | undefined;
}

/** An output as a run reads it. */
export interface ReadOutput extends OutputInfo {
  /** Its value in the session. */
  value: string;
  /** Whether its first axis is the batch. */
  isBatched: boolean;
}

/** What a run gives, and whether it may be of several images. */
export interface Readable {
  /** The model, its outputs of types that onnxruntime-node can hand over. */
  graph: Graph;
  outputs: ReadOutput[];
  /** Whether several images can be run at once: their parts can be told apart, and are the same as of each alone. */
  isTogether: boolean;
}

/** Types that onnxruntime-node cannot hand over: it ends with an error, or takes the whole process with it. */
const CAST: ReadonlySet<ElementType> = new Set([
  ...(["bfloat16", "uint4", "int4", "float4e2m1"] as const),
  ...(["float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"] as const),
]);
/** ONNX's code of float32. */
const FLOAT32 = 1;

/**
 * Finds out how a model's outputs are read.
 * @param batch - the length of the batch as the model's input declares it
 * @param chosen - the names of those that are wanted; default all
 * @param known - what the metadata of a converted model say
 * @throws {JpegDomainError} where one is not there, or is no tensor
 */
export function readableOutputs(
  graph: Graph,
  batch: Dimension,
  chosen?: readonly string[],
  known: Pick<Metadata, "batched" | "oneByOne"> = {},
): Readable {
  const wanted = choose(graph.outputs, chosen);
  const told = batchedOutputs(graph, batch);
  const taken = namesOf(graph);
  let isTogether = !known.oneByOne;
  const outputs = wanted.map((declared): ReadOutput => {
    const { name } = declared;
    const { shape, isTraced, isMixed, ...found } = told.get(name) as BatchedOutput;
    const type = typeOf(declared, found.type);
    const isBatched = known.batched?.includes(name) ?? found.isBatched;
    isTogether &&= isBatched && !isTraced && !isMixed;
    const value = type !== undefined && CAST.has(type) ? unique(`${name}.float32`, taken) : name;
    return { name, type, shape: isBatched ? shape?.slice(1) : shape, value, isBatched };
  });
  // One that is not wanted keeps a session from being opened as well.
  if (
    graph.outputs.every(({ type }) => !CAST.has(type)) &&
    outputs.every(({ name, value }) => name === value)
  )
    return { graph, outputs, isTogether };
  const casts = outputs.flatMap(({ name, value }) =>
    name === value ? [] : [makeNode("Cast", [name], [value], { to: FLOAT32 })],
  );
  const made = outputs.map(({ name, value }, i): ValueInfo => {
    const declared = wanted[i] as ValueInfo;
    return value === name ? declared : { name: value, type: "float32", shape: declared.shape };
  });
  return { graph: { ...graph, nodes: [...graph.nodes, ...casts], outputs: made }, outputs, isTogether };
}

function choose(outputs: readonly ValueInfo[], chosen?: readonly string[]): ValueInfo[] {
  if (chosen === undefined) return [...outputs];
  const names = outputs.map(({ name }) => name);
  if (chosen.length === 0)
    throw new JpegDomainError(`no outputs are chosen; expected some of ${names.join(", ")}`);
  return Array.from(new Set(chosen), (name) => {
    const found = outputs.find((output) => output.name === name);
    if (found === undefined)
      throw new JpegDomainError(`the model has no output "${name}"; expected one of ${names.join(", ")}`);
    return found;
  });
}

function typeOf(output: ValueInfo, made: ElementType | undefined): ElementType | undefined {
  const { name, type, otherType } = output;
  if (type !== "other") return type;
  if (otherType === undefined) return made;
  throw new JpegDomainError(
    `output "${name}" is ${kindOfType(otherType)}, which cannot be read; expected tensors (others can be chosen by name)`,
  );
}

function unique(hint: string, taken: ReadonlySet<string>): string {
  let name = hint;
  for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`;
  return name;
}

/** Whether a run's tensors have the batch where it is expected. */
export const fits = (made: Readonly<Record<string, Tensor>>, outputs: readonly ReadOutput[], rows: number) =>
  outputs.every(({ value, isBatched }) => !isBatched || made[value]?.dims[0] === rows);

/** The part of every output that belongs to one image of a run of `rows`. */
export function outputsOf(
  made: Readonly<Record<string, Tensor>>,
  outputs: readonly ReadOutput[],
  row: number,
  rows: number,
): Outputs {
  return Object.fromEntries(
    outputs.map(({ name, value, isBatched }) => {
      const { type, data, dims } = made[value] as Tensor;
      if (isBatched && dims[0] !== rows)
        throw new JpegDomainError(
          `output "${name}" is [${dims.join(", ")}] for ${rows === 1 ? "1 image" : `${rows} images`}; expected ${rows} as its first length, the batch, as the model declares it`,
        );
      const shape = isBatched ? dims.slice(1) : [...dims];
      const length = volume(shape);
      const from = isBatched ? row * length : 0;
      return [name, { data: values(type, data as TensorData, from, from + length), shape }];
    }),
  );
}

type TensorData = Exclude<Tensor["data"], Uint8ClampedArray> | { BYTES_PER_ELEMENT: 2; buffer: ArrayBuffer };

/** A copy of elements `from` to `to`, as {@link ModelOutput} has them: memory of its own, that can go to other threads. */
export function values(type: Tensor.Type, data: TensorData, from: number, to: number): ModelOutput["data"] {
  if (Array.isArray(data)) return data.slice(from, to);
  if (data instanceof Float32Array || data instanceof Float64Array) return data.slice(from, to);
  if (type === "float16") return fromHalves(data as Uint16Array, from, to);
  const numeric = (data as Int32Array).subarray(from, to) as ArrayLike<number | bigint>;
  return WIDE.has(type) ? Float64Array.from(numeric, Number) : Float32Array.from(numeric, Number);
}

/** Whole numbers that float32 does not hold exactly. */
const WIDE: ReadonlySet<Tensor.Type> = new Set(["int32", "uint32", "int64", "uint64"]);

/** The value of every half-precision number by its bits; made when first needed. */
let halves: Float32Array | undefined;

/** Half-precision numbers, as their bits or as the array that later versions of Node have for them. */
function fromHalves(data: Uint16Array, from: number, to: number): Float32Array {
  // A Float16Array gives numbers already.
  if (!(data instanceof Uint16Array)) return Float32Array.from((data as Uint16Array).subarray(from, to));
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromHalf(bits));
  const table = halves;
  return Float32Array.from(data.subarray(from, to), (bits) => table[bits] as number);
}
