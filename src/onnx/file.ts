import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  type ValueInfoProtoSchema,
} from "./generated/onnx_pb.js";
import {
  type Attribute,
  type Constant,
  type ElementType,
  type Graph,
  type Node,
  type NumericArray,
  OnnxError,
  type ValueInfo,
  volume,
} from "./graph.js";

/** TensorProto.DataType of the ONNX specification, and the array each type is kept in. */
const ELEMENT_TYPES: Record<ElementType, [code: number, array: { new (buffer: ArrayBuffer): NumericArray }]> =
  {
    float32: [1, Float32Array],
    uint8: [2, Uint8Array],
    int8: [3, Int8Array],
    uint16: [4, Uint16Array],
    int16: [5, Int16Array],
    int32: [6, Int32Array],
    int64: [7, BigInt64Array],
    bool: [9, Uint8Array],
    float16: [10, Uint16Array],
    float64: [11, Float64Array],
  };
const TYPE_BY_CODE = new Map(
  Object.entries(ELEMENT_TYPES).map(([type, [code]]) => [code, type as ElementType]),
);

/** The largest file protobuf can hold. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;

/**
 * Reads an ONNX model file.
 * @throws {OnnxError} where the bytes are not an ONNX model, or use what this package cannot represent.
 */
export function readOnnx(bytes: Uint8Array): Graph {
  const proto = decode(bytes);
  const graph = proto.graph;
  if (graph === undefined || proto.opsetImport.length === 0)
    throw notOnnx(bytes, graph === undefined ? "it holds no graph" : "it names no operator set");
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, readTensor(tensor)] as const));
  const result: Graph = {
    name: graph.name,
    opsets: new Map(proto.opsetImport.map(({ domain, version }) => [standard(domain), Number(version)])),
    // IR version 3 lists initialisers among the inputs as well; only true inputs are kept here.
    inputs: graph.input.filter(({ name }) => !initializers.has(name)).map(readValueInfo),
    outputs: graph.output.map(readValueInfo),
    initializers,
    nodes: graph.node.map(readNode),
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key, value])),
  };
  validate(result);
  return result;
}

/**
 * Writes a graph as an ONNX model file (IR version 8, which ONNX Runtime reads since 1.10).
 * @throws {OnnxError} where the file would exceed protobuf's 2 GiB.
 */
export function writeOnnx(graph: Graph): Uint8Array {
  const constants = [...graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  if (constants > PROTOBUF_LIMIT)
    throw new OnnxError(
      `the model's constants take ${constants} bytes; an ONNX file holds at most ${PROTOBUF_LIMIT}`,
    );
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "jpeg-domain",
    opsetImport: [...graph.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) })),
    metadataProps: [...graph.metadata].map(([key, value]) => ({ key, value })),
    graph: create(GraphProtoSchema, {
      name: graph.name,
      node: graph.nodes.map(writeNode),
      initializer: [...graph.initializers].map(([name, value]) => writeTensor(value, name)),
      input: graph.inputs.map(writeValueInfo),
      output: graph.outputs.map(writeValueInfo),
    }),
  });
  return toBinary(ModelProtoSchema, model);
}

const standard = (domain: string) => (domain === "ai.onnx" ? "" : domain);

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw notOnnx(bytes, `protobuf: ${(error as Error).message}`);
  }
}

function notOnnx(bytes: Uint8Array, reason: string): OnnxError {
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const found = bytes.length === 0 ? "0 bytes" : `${bytes.length} bytes beginning ${start}`;
  return new OnnxError(`not an ONNX model: found ${found}, expected an ONNX ModelProto (${reason})`);
}

/** Every value has one source, and nodes come after what they read. */
function validate(graph: Graph): void {
  const known = new Set(["", ...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name)]);
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
  for (const { name } of graph.outputs)
    if (!known.has(name)) throw new OnnxError(`the graph's output "${name}" is made by no node`);
}

function readNode(proto: NodeProto): Node {
  return {
    op: proto.opType,
    domain: standard(proto.domain),
    name: proto.name,
    inputs: [...proto.input],
    outputs: [...proto.output],
    attributes: new Map(proto.attribute.map((a) => [a.name, readAttribute(a)])),
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
  };
}

const text = new TextDecoder();
const utf8 = new TextEncoder();

function readAttribute(proto: AttributeProto): Attribute {
  switch (proto.type) {
    case AttributeType.FLOAT:
      return { kind: "float", value: proto.f };
    case AttributeType.INT:
      return { kind: "int", value: Number(proto.i) };
    case AttributeType.STRING:
      return { kind: "string", value: text.decode(proto.s) };
    case AttributeType.FLOATS:
      return { kind: "floats", value: [...proto.floats] };
    case AttributeType.INTS:
      return { kind: "ints", value: proto.ints.map(Number) };
    case AttributeType.STRINGS:
      return { kind: "strings", value: proto.strings.map((s) => text.decode(s)) };
    case AttributeType.TENSOR:
      return { kind: "tensor", value: readTensor(proto.t ?? create(TensorProtoSchema)) };
    default:
      return { kind: "opaque", value: toBinary(AttributeProtoSchema, proto) };
  }
}

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

function readValueInfo(proto: ValueInfoProto): ValueInfo {
  if (proto.type?.value.case !== "tensorType") throw new OnnxError(`value "${proto.name}" is not a tensor`);
  const { elemType, shape } = proto.type.value.value;
  return {
    name: proto.name,
    type: elementType(elemType, proto.name),
    shape: shape?.dim.map(({ value }, axis) =>
      value.case === "dimValue" ? Number(value.value) : value.value || `${proto.name}_${axis}`,
    ),
  };
}

function writeValueInfo({ name, type, shape }: ValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape?.map((d) => ({
    value:
      typeof d === "number"
        ? { case: "dimValue" as const, value: BigInt(d) }
        : { case: "dimParam" as const, value: d },
  }));
  const value = { elemType: ELEMENT_TYPES[type][0], ...(dim && { shape: { dim } }) };
  return { name, type: { value: { case: "tensorType", value } } };
}

function elementType(code: number, name: string): ElementType {
  const type = TYPE_BY_CODE.get(code);
  if (type === undefined)
    throw new OnnxError(
      `"${name}" has element type ${code}; supported: ${[...TYPE_BY_CODE.values()].join(", ")}`,
    );
  return type;
}

function readTensor(proto: TensorProto): Constant {
  const type = elementType(proto.dataType, proto.name);
  const dims = proto.dims.map(Number);
  if (proto.externalData.length > 0 || proto.dataLocation === 1)
    throw new OnnxError(
      `constant "${proto.name}" lies in an external file, which is not supported: save the model as one file`,
    );
  const data = tensorData(proto, type);
  if (dims.some((d) => d < 0) || data.length !== volume(dims))
    throw new OnnxError(`constant "${proto.name}" of shape [${dims.join(", ")}] holds ${data.length} values`);
  return { type, dims, data };
}

function tensorData(proto: TensorProto, type: ElementType): NumericArray {
  const array = ELEMENT_TYPES[type][1];
  const { rawData } = proto;
  if (rawData.length > 0) {
    const size = new array(new ArrayBuffer(0)).BYTES_PER_ELEMENT;
    if (rawData.length % size !== 0)
      throw new OnnxError(
        `constant "${proto.name}" holds ${rawData.length} bytes, not a multiple of ${size}`,
      );
    // A copy: the file's bytes stand at any offset, and must not be shared with a graph that may be changed.
    return new array(new Uint8Array(rawData).buffer);
  }
  switch (type) {
    case "float32":
      return Float32Array.from(proto.floatData);
    case "float64":
      return Float64Array.from(proto.doubleData);
    case "int64":
      return BigInt64Array.from(proto.int64Data);
    default:
      return (array as unknown as { from(values: number[]): NumericArray }).from(proto.int32Data);
  }
}

function writeTensor(
  { type, dims, data }: Constant,
  name: string,
): MessageInitShape<typeof TensorProtoSchema> {
  return {
    name,
    dataType: ELEMENT_TYPES[type][0],
    dims: dims.map(BigInt),
    rawData: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  };
}
