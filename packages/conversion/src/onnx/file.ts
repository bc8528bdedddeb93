import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Budget } from "./budget.js";
import { checkCounts, checkGraph } from "./checks.js";
import type { ExternalFiles } from "./external.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
} from "./generated/onnx_pb.js";
import { type Attribute, type Constant, type Graph, OnnxError, standardDomain } from "./graph.js";
import { readNode, writeNode } from "./nodes.js";
import { checkMessages } from "./scan.js";
import { readSparse, readTensor, writeTensor } from "./tensors.js";
import { readHint, readValueInfo, writeValueInfo } from "./values.js";

/** The largest file protobuf can hold. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** The IR version that is written where the model does not need a later one; ONNX Runtime reads it since 1.10. */
const IR_VERSION = 8;

export interface ReadOnnxOptions {
  /**
   * Reads the files in which the model keeps its constants. Paths are relative to the model's folder, and do not leave it
   * by `..`; this function decides about links.
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
        standardDomain(domain),
        readVersion(`operator set "${standardDomain(domain) || "ai.onnx"}"`, version),
      ]),
    ),
    // IR version 3 lists initialisers among the inputs too.
    inputs: graph.input.filter(({ name }) => !initializers.has(name)).map(readValueInfo),
    outputs: graph.output.map(readValueInfo),
    initializers,
    nodes: graph.node.map((node) => readNode(node, files)),
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key, value])),
    ...(graph.valueInfo.length > 0 && { values: graph.valueInfo.flatMap(readHint) }),
    ...(irVersion > IR_VERSION && { irVersion }),
    ...(proto.functions.length > 0 && { functions: proto.functions }),
  };
  checkGraph(result);
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

/** An attribute that holds a graph, such as a branch of `If`. Its nodes may read values of the outer graph. */
export function graphAttribute(name: string, graph: Graph): Attribute {
  const attribute = { name, type: AttributeType.GRAPH, g: writeGraph(graph) };
  return { kind: "opaque", value: toBinary(AttributeProtoSchema, create(AttributeProtoSchema, attribute)) };
}

function readVersion(what: string, version: bigint): number {
  if (version < 0n || version > 2n ** 31n)
    throw new OnnxError(`${what} is version ${version}, expected a small positive number`);
  return Number(version);
}

/** Constants by name. Of two with one name, type and shape, runtimes take the latter. */
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
