/** Works out a model's outputs when it is opened, and reads each image's part of them after a run. */

import { JpegDomainError } from "@jpeg-domain/coefficients";
import type { Dimension, ElementType, Graph, Metadata, ValueInfo } from "@jpeg-domain/conversion";
import {
  type BatchedOutput,
  batchedOutputs,
  freshNames,
  fromHalf,
  kindOfType,
  makeNode,
  volume,
} from "@jpeg-domain/conversion/internal";
import type { Tensor } from "onnxruntime-node";

/** A model's output for one image. */
export interface ModelOutput {
  /**
   * A Float32Array for float32, float16, bfloat16, float8, bool (0 and 1) and whole numbers of up to 16 bits, which it
   * holds exactly. A Float64Array for float64 and whole numbers of 32 and 64 bits; those beyond ±2^53 are rounded to the
   * nearest value. Strings stay strings.
   */
  data: Float32Array | Float64Array | string[];
  /**
   * Without the batch: `[classes]` for a classifier. An output whose first axis is not the batch, such as
   * `[detections, 6]`, is here as a whole.
   */
  shape: number[];
}

/** Keyed by the names of the model's outputs. */
export type Outputs = Record<string, ModelOutput>;

/** An output as the model declares it. */
export interface OutputInfo {
  name: string;
  /** `undefined` if the file does not say it. */
  type: ElementType | undefined;
  /** Without the batch, as in {@link ModelOutput}; `undefined` if the file leaves the rank open. */
  shape: Dimension[] | undefined;
}

/** An output as a run reads it. */
export interface ReadOutput extends OutputInfo {
  /** The name of its value in the session. */
  value: string;
  /** Whether its first axis is the batch. */
  isBatched: boolean;
}

/** A model whose outputs can be read. */
export interface Readable {
  /** The model, with outputs of types that onnxruntime-node can return. */
  graph: Graph;
  outputs: ReadOutput[];
  /** Whether several images can run at once: the outputs can be split by image, and equal those of each image alone. */
  isBatchable: boolean;
}

/** Types that onnxruntime-node cannot return: it throws, or crashes the process. */
const CAST: ReadonlySet<ElementType> = new Set([
  ...(["bfloat16", "uint4", "int4", "float4e2m1"] as const),
  ...(["float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"] as const),
]);
/** ONNX's code for float32. */
const FLOAT32 = 1;

/**
 * Works out how to read a model's outputs.
 * @param batch - the length of the batch as the model's input declares it
 * @param chosen - the names of the wanted outputs; default all
 * @param metadata - of a converted model
 * @throws {JpegDomainError} if a wanted output does not exist or is not a tensor
 */
export function readableOutputs(
  graph: Graph,
  batch: Dimension,
  chosen?: readonly string[],
  metadata: Pick<Metadata, "batched" | "oneByOne"> = {},
): Readable {
  const wanted = choose(graph.outputs, chosen);
  const inferred = batchedOutputs(graph, batch);
  const names = freshNames(graph);
  let isBatchable = !metadata.oneByOne;
  const outputs = wanted.map((declared): ReadOutput => {
    const { name } = declared;
    const { shape, isTraced, isMixed, ...found } = inferred.get(name) as BatchedOutput;
    const type = typeOf(declared, found.type);
    const isBatched = metadata.batched?.includes(name) ?? found.isBatched;
    isBatchable &&= isBatched && !isTraced && !isMixed;
    const value = type !== undefined && CAST.has(type) ? names.unique(`${name}.float32`) : name;
    return { name, type, shape: isBatched ? shape?.slice(1) : shape, value, isBatched };
  });
  // An output of such a type keeps the session from opening even if it is not wanted.
  if (
    graph.outputs.every(({ type }) => !CAST.has(type)) &&
    outputs.every(({ name, value }) => name === value)
  )
    return { graph, outputs, isBatchable };
  const casts = outputs.flatMap(({ name, value }) =>
    name === value ? [] : [makeNode("Cast", [name], [value], { to: FLOAT32 })],
  );
  const readable = outputs.map(({ name, value }, i): ValueInfo => {
    const declared = wanted[i] as ValueInfo;
    return value === name ? declared : { name: value, type: "float32", shape: declared.shape };
  });
  return { graph: { ...graph, nodes: [...graph.nodes, ...casts], outputs: readable }, outputs, isBatchable };
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

function typeOf(output: ValueInfo, inferred: ElementType | undefined): ElementType | undefined {
  const { name, type, otherType } = output;
  if (type !== "other") return type;
  if (otherType === undefined) return inferred;
  throw new JpegDomainError(
    `output "${name}" is ${kindOfType(otherType)}, which cannot be read; expected a tensor (choose other outputs by name)`,
  );
}

/** Whether a run's tensors have the expected batch axis. */
export const hasBatch = (
  tensors: Readonly<Record<string, Tensor>>,
  outputs: readonly ReadOutput[],
  rows: number,
) => outputs.every(({ value, isBatched }) => !isBatched || tensors[value]?.dims[0] === rows);

/** The part of every output that belongs to one image in a run of `rows` images. */
export function outputsOf(
  tensors: Readonly<Record<string, Tensor>>,
  outputs: readonly ReadOutput[],
  row: number,
  rows: number,
): Outputs {
  return Object.fromEntries(
    outputs.map(({ name, value, isBatched }) => {
      const { type, data, dims } = tensors[value] as Tensor;
      if (isBatched && dims[0] !== rows)
        throw new JpegDomainError(
          `output "${name}" is [${dims.join(", ")}] for ${rows === 1 ? "1 image" : `${rows} images`}; expected ${rows} as its first length, because the model declares it as the batch`,
        );
      const shape = isBatched ? dims.slice(1) : [...dims];
      const length = volume(shape);
      const from = isBatched ? row * length : 0;
      return [name, { data: values(type, data as TensorData, from, from + length), shape }];
    }),
  );
}

type TensorData = Exclude<Tensor["data"], Uint8ClampedArray> | { BYTES_PER_ELEMENT: 2; buffer: ArrayBuffer };

/** Copies elements `from` to `to` into the array type that {@link ModelOutput} says; the copy can go to other threads. */
export function values(type: Tensor.Type, data: TensorData, from: number, to: number): ModelOutput["data"] {
  if (Array.isArray(data)) return data.slice(from, to);
  if (data instanceof Float32Array || data instanceof Float64Array) return data.slice(from, to);
  if (type === "float16") return fromHalves(data as Uint16Array, from, to);
  const numeric = (data as Int32Array).subarray(from, to) as ArrayLike<number | bigint>;
  return WIDE.has(type) ? Float64Array.from(numeric, Number) : Float32Array.from(numeric, Number);
}

/** Integer types whose values float32 cannot all hold. */
const WIDE: ReadonlySet<Tensor.Type> = new Set(["int32", "uint32", "int64", "uint64"]);

/** The value of every float16 number, indexed by its bits; made when first needed. */
let halves: Float32Array | undefined;

/** Float16 numbers, given as their bits or, in later versions of Node, as a Float16Array. */
function fromHalves(data: Uint16Array, from: number, to: number): Float32Array {
  // The elements of a Float16Array are numbers already.
  if (!(data instanceof Uint16Array)) return Float32Array.from((data as Uint16Array).subarray(from, to));
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromHalf(bits));
  const table = halves;
  return Float32Array.from(data.subarray(from, to), (bits) => table[bits] as number);
}
