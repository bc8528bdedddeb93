import { JpegDomainError } from "@jpeg-domain/coefficients";

/** The graph of an ONNX model as plain data. Values are named by strings, as in the file. */
export interface Graph {
  name: string;
  /** Operator set version per domain; the standard operators are under `""`. */
  opsets: Map<string, number>;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Constants by value name. */
  initializers: Map<string, Constant>;
  /** In topological order. */
  nodes: Node[];
  metadata: Map<string, string>;
  /** Values inside the graph that the file declares. They help where an operator has no shape rule. */
  values?: ValueInfo[];
  /** The file's IR version, if it is later than the one that is written by default. */
  irVersion?: number;
  /** Functions that nodes of other domains call, as bytes of the file. */
  functions?: Uint8Array[];
}

export interface Node {
  op: string;
  /** `""` for the standard operators. */
  domain: string;
  name: string;
  /** Value names; `""` stands for an optional input left out. */
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  /** Which of a function's overloads the node calls. */
  overload?: string;
}

/** A length, or the name of one known only at run time (usually the batch). */
export type Dimension = number | string;

export interface ValueInfo {
  name: string;
  type: ElementType;
  /** `undefined` where the file leaves the rank open. */
  shape: Dimension[] | undefined;
  /** The type of a value that is no dense tensor (`type` is `"other"`), as bytes of the file. */
  otherType?: Uint8Array;
}

export type ElementType =
  | ("float32" | "float16" | "float64" | "bfloat16")
  | ("uint8" | "int8" | "uint16" | "int16" | "uint32" | "int32" | "uint64" | "int64" | "bool")
  | ("float8e4m3fn" | "float8e4m3fnuz" | "float8e5m2" | "float8e5m2fnuz" | "float8e8m0")
  | PackedType
  | "other";

/** Types without an array in JavaScript: a constant's data is bytes of the file. */
export type PackedType = "string" | "complex64" | "complex128" | "uint4" | "int4" | "float4e2m1";

export type NumericArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array;

/**
 * A tensor that is known when the graph is built. Floating types without an array in JavaScript are kept as bits, bool as
 * 0 and 1. For a {@link PackedType}, `data` is a whole TensorProto.
 */
export interface Constant {
  type: ElementType;
  dims: number[];
  data: NumericArray;
}

export type Attribute =
  | { kind: "float"; value: number }
  | { kind: "int"; value: number }
  | { kind: "string"; value: string }
  | { kind: "floats"; value: number[] }
  | { kind: "ints"; value: number[] }
  | { kind: "strings"; value: string[] }
  | { kind: "tensor"; value: Constant }
  /** A kind that is kept as bytes of the file: subgraphs, sparse tensors, types. */
  | { kind: "opaque"; value: Uint8Array };

/** An invalid model file, graph or node. */
export class OnnxError extends JpegDomainError {
  override name = "OnnxError";
  constructor(
    message: string,
    /** The node at fault, if it is a node. */
    readonly node?: Node,
  ) {
    super(message);
  }
}

/** The standard operators go by two names of their domain. */
export const standardDomain = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

/** `Conv node "/block1/conv1/Conv"`: how messages name a node. */
export function describe(node: Node): string {
  return `${node.domain ? `${node.domain}.` : ""}${node.op} node "${node.name || (node.outputs[0] ?? "")}"`;
}

/** The entry of a table under a name from a file. Names that every object has, such as `toString`, find nothing. */
export const entryOf = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** One entry of a table under several names. */
export const each = <T>(entry: T, ...names: string[]): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, entry]));

/** The entry of a standard operator. */
export const ruleFor = <T>(table: Readonly<Record<string, T>>, { domain, op }: Node): T | undefined =>
  domain === "" ? entryOf(table, op) : undefined;

type Values = { [A in Attribute as A["kind"]]: A["value"] };

function attribute<K extends Attribute["kind"]>(node: Node, name: string, kind: K): Values[K] | undefined {
  const found = node.attributes.get(name);
  if (found === undefined) return undefined;
  if (found.kind !== kind)
    throw new OnnxError(
      `${describe(node)}: attribute ${name} is of kind ${found.kind}, expected ${kind}`,
      node,
    );
  return found.value as Values[K];
}

export const intAttribute = (node: Node, name: string, otherwise: number): number =>
  attribute(node, name, "int") ?? otherwise;
export const floatAttribute = (node: Node, name: string, otherwise: number): number =>
  attribute(node, name, "float") ?? otherwise;
export const stringAttribute = (node: Node, name: string, otherwise: string): string =>
  attribute(node, name, "string") ?? otherwise;
export const intsAttribute = (node: Node, name: string): number[] | undefined =>
  attribute(node, name, "ints");

/** The number of elements of a shape. */
export const volume = (dims: readonly number[]): number =>
  dims.reduce((product, length) => product * length, 1);

export const float64 = (data: ArrayLike<number>, dims: number[] = [data.length]): Constant => ({
  type: "float64",
  dims,
  data: Float64Array.from(data),
});
export const float32 = (data: ArrayLike<number>, dims: number[] = [data.length]): Constant =>
  constant("float32", data instanceof Float32Array ? data : Float32Array.from(data), dims);

export const int64 = (data: readonly number[], dims: number[] = [data.length]): Constant =>
  constant("int64", BigInt64Array.from(data, BigInt), dims);

function constant(type: ElementType, data: NumericArray, dims: number[]): Constant {
  if (volume(dims) !== data.length)
    throw new OnnxError(
      `a constant of shape [${dims.join(", ")}] needs ${volume(dims)} values, not ${data.length}`,
    );
  return { type, dims, data };
}

/** A constant's values as JavaScript numbers. */
export function numbers(constant: Constant): number[] {
  return Array.from(constant.data as ArrayLike<number | bigint>, Number);
}

/** A float constant's values as float32, without a copy where they already are. */
export function floats(constant: Constant): Float32Array {
  return constant.data instanceof Float32Array ? constant.data : Float32Array.from(numbers(constant));
}
