import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Budget, LIMITS, LimitError } from "./budget.js";
import type { ExternalFiles } from "./external.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type NodeProtoSchema,
  TensorProtoSchema,
  type TensorShapeProto_Dimension,
  TypeProtoSchema,
  type ValueInfoProto,
  type ValueInfoProtoSchema,
} from "./generated/onnx_pb.js";
import {
  type Attribute,
  type Constant,
  type Dimension,
  type Graph,
  type Node,
  OnnxError,
  type ValueInfo,
} from "./graph.js";
import { checkMessages } from "./scan.js";
import { graphsOf, inlineExternal } from "./subgraph.js";
import { elementCode, elementType, isElementType, readSparse, readTensor, writeTensor } from "./tensors.js";

/** The largest file protobuf can hold. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** The IR version that is written where the model does not need a later one; ONNX Runtime reads it since 1.10. */
const IR_VERSION = 8;

export interface ReadOnnxOptions {
  /**
   * Reads the files in which the model keeps constants beside it. Their paths are relative to the model's folder and
   * checked not to leave it by `..`; links are the reader's own affair.
   */
  external?: ExternalFiles;
}

/**
 * Reads an ONNX model file. Data in external files becomes part of the graph.
 * @throws {OnnxError} where the bytes are not an ONNX model, or use what this package cannot represent.
 */
export function readOnnx(bytes: Uint8Array, { external: files }: ReadOnnxOptions = {}): Graph {
  checkMessages(bytes);
  const proto = decode(bytes);
  const graph = proto.graph;
  if (graph === undefined || proto.opsetImport.length === 0)
    throw notOnnx(bytes, graph === undefined ? "it holds no graph" : "it names no operator set");
  checkCounts(graph);
  const initializers = readConstants(graph, bytes.length, files);
  const irVersion = readVersion("IR version", proto.irVersion);
  const result: Graph = {
    name: graph.name,
    opsets: new Map(
      proto.opsetImport.map(({ domain, version }) => [
        standard(domain),
        readVersion(`operator set "${standard(domain) || "ai.onnx"}"`, version),
      ]),
    ),
    // IR version 3 lists initialisers among the inputs as well; only true inputs are kept here.
    inputs: graph.input.filter(({ name }) => !initializers.has(name)).map(readValueInfo),
    outputs: graph.output.map(readValueInfo),
    initializers,
    nodes: graph.node.map((node) => readNode(node, files)),
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key, value])),
    ...(graph.valueInfo.length > 0 && { values: graph.valueInfo.flatMap(readHint) }),
    ...(irVersion > IR_VERSION && { irVersion }),
    ...(proto.functions.length > 0 && { functions: proto.functions }),
  };
  validate(result);
  return result;
}

/**
 * Writes a graph as one ONNX model file, of IR version 8 or that of the file it was read from, if later.
 * @throws {OnnxError} where the file would exceed protobuf's 2 GiB.
 */
export function writeOnnx(graph: Graph): Uint8Array {
  const constants = [...graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  if (constants > PROTOBUF_LIMIT)
    throw new OnnxError(
      `the model's constants take ${constants} bytes; an ONNX file holds at most ${PROTOBUF_LIMIT}`,
    );
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(graph.irVersion ?? IR_VERSION),
    producerName: "jpeg-domain",
    opsetImport: [...graph.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) })),
    metadataProps: [...graph.metadata].map(([key, value]) => ({ key, value })),
    functions: graph.functions ?? [],
    graph: writeGraph(graph),
  });
  return toBinary(ModelProtoSchema, model);
}

/** An attribute that holds a graph, as a branch of `If`: its nodes may read values of the graph around. */
export function graphAttribute(name: string, graph: Graph): Attribute {
  const attribute = { name, type: AttributeType.GRAPH, g: writeGraph(graph) };
  return { kind: "opaque", value: toBinary(AttributeProtoSchema, create(AttributeProtoSchema, attribute)) };
}

/** Everything that is visited for each pass over the model. */
function checkCounts(graph: GraphProto): void {
  const { nodes, values } = countsOf(graph, 0);
  for (const [what, found, limit] of [
    ["nodes", nodes, LIMITS.nodes],
    ["inputs, outputs and constants", values, LIMITS.values],
  ] as const)
    if (found > limit)
      throw new LimitError(`the model has ${found} ${what}, expected at most ${limit}`, found, limit);
}

interface Counts {
  nodes: number;
  values: number;
}

/** With those of subgraphs, which are checked for their depth. */
function countsOf(graph: GraphProto, depth: number): Counts {
  if (depth > LIMITS.depth)
    throw new LimitError(
      `subgraphs lie more than ${LIMITS.depth} deep within each other, expected at most so many`,
      depth,
      LIMITS.depth,
    );
  const { node, input, output, initializer, sparseInitializer, valueInfo } = graph;
  const lists = [input, output, initializer, sparseInitializer, valueInfo];
  const counts = { nodes: node.length, values: lists.reduce((sum, { length }) => sum + length, 0) };
  for (const one of node) {
    const operands = one.input.length + one.output.length + one.attribute.length;
    if (operands > LIMITS.operands)
      throw new LimitError(
        `${one.opType} node "${one.name || (one.output[0] ?? "")}" has ${one.input.length} inputs, ${one.output.length} outputs and ` +
          `${one.attribute.length} attributes, expected at most ${LIMITS.operands} in all`,
        operands,
        LIMITS.operands,
      );
    for (const inner of one.attribute.flatMap(graphsOf)) {
      const more = countsOf(inner, depth + 1);
      counts.nodes += more.nodes;
      counts.values += more.values;
    }
  }
  return counts;
}

function readVersion(what: string, version: bigint): number {
  if (version < 0n || version > 2n ** 31n)
    throw new OnnxError(`${what} is version ${version}, expected a small positive number`);
  return Number(version);
}

/** Constants by their names. Of two that are alike but for their values, runtimes take the latter. */
function readConstants(
  graph: GraphProto,
  fileBytes: number,
  files: ExternalFiles | undefined,
): Map<string, Constant> {
  const constants = new Map<string, Constant>();
  const budget = new Budget(fileBytes);
  const add = (name: string, constant: Constant) => {
    const before = constants.get(name);
    const isSame = before?.type === constant.type && before.dims.join() === constant.dims.join();
    if (name === "") throw new OnnxError(`a constant ${typeOf(constant)} has no name`);
    if (before && !isSame)
      throw new OnnxError(`two constants are named "${name}": ${typeOf(before)} and ${typeOf(constant)}`);
    constants.set(name, constant);
  };
  for (const tensor of graph.initializer) add(tensor.name, readTensor(tensor, files));
  for (const tensor of graph.sparseInitializer) add(...readSparse(tensor, files, budget));
  return constants;
}

const typeOf = ({ type, dims }: Constant) => `${type} [${dims.join(", ")}]`;

const writeGraph = (graph: Graph): GraphProto =>
  create(GraphProtoSchema, {
    name: graph.name,
    node: graph.nodes.map(writeNode),
    initializer: [...graph.initializers].map(([name, value]) => writeTensor(value, name)),
    input: graph.inputs.map(writeValueInfo),
    output: graph.outputs.map(writeValueInfo),
    valueInfo: (graph.values ?? []).map(writeValueInfo),
  });

const standard = (domain: string) => (domain === "ai.onnx" ? "" : domain);

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw notOnnx(bytes, `protobuf: ${(error as Error).message.split("\n")[0]}`);
  }
}

function notOnnx(bytes: Uint8Array, reason: string): OnnxError {
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const found = bytes.length === 0 ? "0 bytes" : `${bytes.length} bytes beginning ${start}`;
  return new OnnxError(`not an ONNX model: found ${found}, expected an ONNX ModelProto (${reason})`);
}

/** Every value has one source and a name, and nodes come after what they read. */
function validate(graph: Graph): void {
  for (const what of ["inputs", "outputs"] as const) {
    const { length } = graph[what];
    if (length > LIMITS.ends)
      throw new LimitError(
        `the model has ${length} ${what}, expected at most ${LIMITS.ends}`,
        length,
        LIMITS.ends,
      );
  }
  const known = new Set(["", ...graph.initializers.keys()]);
  for (const { name } of graph.inputs) {
    if (known.has(name))
      throw new OnnxError(
        name === "" ? "an input of the graph has no name" : `two inputs are named "${name}"`,
      );
    known.add(name);
  }
  for (const node of graph.nodes) {
    const label = `${node.op} node "${node.name || node.outputs[0]}"`;
    for (const input of node.inputs)
      if (!known.has(input))
        throw new OnnxError(`${label} reads "${input}", which nothing before it makes`, node);
    for (const output of node.outputs) {
      if (output !== "" && known.has(output))
        throw new OnnxError(`${label} makes "${output}", which is made twice`, node);
      known.add(output);
    }
  }
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (name === "") throw new OnnxError("an output of the graph has no name");
    if (!known.has(name)) throw new OnnxError(`the graph's output "${name}" is made by no node`);
    if (outputs.has(name)) throw new OnnxError(`two outputs are named "${name}"`);
    outputs.add(name);
  }
}

function readNode(proto: NodeProto, files: ExternalFiles | undefined): Node {
  return {
    op: proto.opType,
    domain: standard(proto.domain),
    name: proto.name,
    inputs: [...proto.input],
    outputs: [...proto.output],
    attributes: new Map(proto.attribute.map((a) => [a.name, readAttribute(a, files)])),
    ...(proto.overload && { overload: proto.overload }),
  };
}

function writeNode(node: Node): MessageInitShape<typeof NodeProtoSchema> {
  return {
    opType: node.op,
    domain: node.domain,
    name: node.name,
    input: node.inputs,
    output: node.outputs,
    attribute: [...node.attributes].map(([name, value]) => writeAttribute(name, value)),
    ...(node.overload && { overload: node.overload }),
  };
}

const text = new TextDecoder();
const utf8 = new TextEncoder();

/** Whether bytes are text; operators of other domains keep anything in a string. */
function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function readAttribute(proto: AttributeProto, files: ExternalFiles | undefined): Attribute {
  switch (proto.type) {
    case AttributeType.FLOAT:
      return { kind: "float", value: proto.f };
    case AttributeType.INT:
      return { kind: "int", value: Number(proto.i) };
    case AttributeType.STRING:
      return isText(proto.s) ? { kind: "string", value: text.decode(proto.s) } : opaque(proto);
    case AttributeType.FLOATS:
      return { kind: "floats", value: [...proto.floats] };
    case AttributeType.INTS:
      return { kind: "ints", value: proto.ints.map(Number) };
    case AttributeType.STRINGS:
      return { kind: "strings", value: proto.strings.map((s) => text.decode(s)) };
    case AttributeType.TENSOR:
      return { kind: "tensor", value: readTensor(proto.t ?? create(TensorProtoSchema), files) };
    default:
      inlineExternal(proto, files);
      return opaque(proto);
  }
}

const opaque = (proto: AttributeProto): Attribute => ({
  kind: "opaque",
  value: toBinary(AttributeProtoSchema, proto),
});

function writeAttribute(
  name: string,
  { kind, value }: Attribute,
): MessageInitShape<typeof AttributeProtoSchema> {
  switch (kind) {
    case "float":
      return { name, type: AttributeType.FLOAT, f: value };
    case "int":
      return { name, type: AttributeType.INT, i: saturate(value) };
    case "string":
      return { name, type: AttributeType.STRING, s: utf8.encode(value) };
    case "floats":
      return { name, type: AttributeType.FLOATS, floats: value };
    case "ints":
      return { name, type: AttributeType.INTS, ints: value.map(saturate) };
    case "strings":
      return { name, type: AttributeType.STRINGS, strings: value.map((s) => utf8.encode(s)) };
    case "tensor":
      return { name, type: AttributeType.TENSOR, t: writeTensor(value, "") };
    case "opaque":
      return fromBinary(AttributeProtoSchema, value);
  }
}

/** int64 limits do not survive the trip through a JavaScript number: 2^63 - 1 comes back as 2^63. */
const saturate = (value: number) => BigInt.asIntN(64, BigInt(Math.min(value, 2 ** 63 - 1024)));

function readValueInfo({ name, type: proto }: ValueInfoProto): ValueInfo {
  if (proto?.value.case !== "tensorType")
    return {
      name,
      type: "other",
      shape: undefined,
      ...(proto && { otherType: toBinary(TypeProtoSchema, proto) }),
    };
  const { elemType, shape } = proto.value.value;
  return {
    name,
    type: elementType(elemType, name),
    shape: shape && readShape(name, shape.dim),
  };
}

/** TypeProto's kinds, by the number of the field that holds each. */
const KINDS: Record<number, string> = {
  1: "a tensor",
  4: "a sequence",
  5: "a map",
  7: "of an opaque type",
  8: "a sparse tensor",
  9: "optional",
};

/** What a type is, from {@link ValueInfo.otherType}. */
export const kindOfType = (type: Uint8Array): string =>
  KINDS[(type[0] ?? 0) >> 3] ?? "of a type that the file does not say";
function readShape(name: string, dims: TensorShapeProto_Dimension[]): Dimension[] {
  if (dims.length > LIMITS.rank)
    throw new LimitError(
      `"${name}" has ${dims.length} axes, expected at most ${LIMITS.rank}`,
      dims.length,
      LIMITS.rank,
    );
  return dims.map(({ value }, axis) => {
    // Some exporters write a length that they do not know as 0 or -1.
    if (value.case === "dimValue" && value.value > 0n) return readLength(name, value.value);
    const given = value.case === "dimParam" ? value.value : "";
    return given !== "" && given.length <= LIMITS.name ? given : `${name.slice(0, LIMITS.name)}_${axis}`;
  });
}

function readLength(name: string, length: bigint): number {
  if (length > Number.MAX_SAFE_INTEGER)
    throw new OnnxError(`"${name}" has a length of ${length}, expected at most ${Number.MAX_SAFE_INTEGER}`);
  return Number(length);
}

/** What the file says of a value inside the graph; it may say nothing of use. */
function readHint(proto: ValueInfoProto): ValueInfo[] {
  const { value } = proto.type ?? {};
  return value?.case === "tensorType" && isElementType(value.value.elemType) ? [readValueInfo(proto)] : [];
}

function writeValueInfo({
  name,
  type,
  shape,
  otherType,
}: ValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> {
  if (type === "other") return { name, ...(otherType && { type: fromBinary(TypeProtoSchema, otherType) }) };
  const dim = shape?.map((d) => ({
    value:
      typeof d === "number"
        ? { case: "dimValue" as const, value: BigInt(d) }
        : { case: "dimParam" as const, value: d },
  }));
  const value = { elemType: elementCode(type), ...(dim && { shape: { dim } }) };
  return { name, type: { value: { case: "tensorType", value } } };
}
