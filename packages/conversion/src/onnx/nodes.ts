/** NodeProto ⇄ nodes. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { ExternalFiles } from "./external.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  type NodeProtoSchema,
  TensorProtoSchema,
} from "./generated/onnx_pb.js";
import { type Attribute, type Node, standardDomain } from "./graph.js";
import { inlineExternal } from "./subgraph.js";
import { readTensor, writeTensor } from "./tensors.js";

export function readNode(proto: NodeProto, files: ExternalFiles | undefined): Node {
  return {
    op: proto.opType,
    domain: standardDomain(proto.domain),
    name: proto.name,
    inputs: [...proto.input],
    outputs: [...proto.output],
    attributes: new Map(proto.attribute.map((a) => [a.name, readAttribute(a, files)])),
    ...(proto.overload && { overload: proto.overload }),
  };
}

export function writeNode(node: Node): MessageInitShape<typeof NodeProtoSchema> {
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

const decoder = new TextDecoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** Text as an attribute. Operators of other domains keep any bytes in a string: those stay as they are. */
function readText(proto: AttributeProto): Attribute {
  try {
    return { kind: "string", value: strictDecoder.decode(proto.s) };
  } catch {
    return opaque(proto);
  }
}

function readAttribute(proto: AttributeProto, files: ExternalFiles | undefined): Attribute {
  switch (proto.type) {
    case AttributeType.FLOAT:
      return { kind: "float", value: proto.f };
    case AttributeType.INT:
      return { kind: "int", value: Number(proto.i) };
    case AttributeType.STRING:
      return readText(proto);
    case AttributeType.FLOATS:
      return { kind: "floats", value: [...proto.floats] };
    case AttributeType.INTS:
      return { kind: "ints", value: proto.ints.map(Number) };
    case AttributeType.STRINGS:
      return { kind: "strings", value: proto.strings.map((s) => decoder.decode(s)) };
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
      return { name, type: AttributeType.STRING, s: encoder.encode(value) };
    case "floats":
      return { name, type: AttributeType.FLOATS, floats: value };
    case "ints":
      return { name, type: AttributeType.INTS, ints: value.map(saturate) };
    case "strings":
      return { name, type: AttributeType.STRINGS, strings: value.map((s) => encoder.encode(s)) };
    case "tensor":
      return { name, type: AttributeType.TENSOR, t: writeTensor(value, "") };
    case "opaque":
      return fromBinary(AttributeProtoSchema, value);
  }
}

/** The largest int64 is no JavaScript number: 2^63 - 1 comes back as 2^63. */
const saturate = (value: number) => BigInt.asIntN(64, BigInt(Math.min(value, 2 ** 63 - 1024)));
