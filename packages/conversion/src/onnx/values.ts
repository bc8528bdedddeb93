/** ValueInfoProto ⇄ names, types and shapes of values. */
import { fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { checkLimit, LIMITS } from "./budget.js";
import {
  type TensorShapeProto_Dimension,
  TypeProtoSchema,
  type ValueInfoProto,
  type ValueInfoProtoSchema,
} from "./generated/onnx_pb.js";
import { type Dimension, OnnxError, type ValueInfo } from "./graph.js";
import { elementCode, elementType, isElementType } from "./tensors.js";

export function readValueInfo({ name, type: proto }: ValueInfoProto): ValueInfo {
  if (proto?.value.case !== "tensorType") {
    const otherType = proto && toBinary(TypeProtoSchema, proto);
    return { name, type: "other", shape: undefined, ...(otherType && { otherType }) };
  }
  const { elemType, shape } = proto.value.value;
  return { name, type: elementType(elemType, name), shape: shape && readShape(name, shape.dim) };
}

function readShape(name: string, dims: TensorShapeProto_Dimension[]): Dimension[] {
  checkLimit(dims.length, LIMITS.rank, `"${name}" has ${dims.length} axes`);
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

/** What the file declares of a value inside the graph, if it is a tensor. */
export function readHint(proto: ValueInfoProto): ValueInfo[] {
  const { value } = proto.type ?? {};
  return value?.case === "tensorType" && isElementType(value.value.elemType) ? [readValueInfo(proto)] : [];
}

export function writeValueInfo(info: ValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> {
  const { name, type, shape, otherType } = info;
  if (type === "other") return { name, ...(otherType && { type: fromBinary(TypeProtoSchema, otherType) }) };
  const dim = shape?.map((length) =>
    typeof length === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(length) } }
      : { value: { case: "dimParam" as const, value: length } },
  );
  const value = { elemType: elementCode(type), ...(dim && { shape: { dim } }) };
  return { name, type: { value: { case: "tensorType", value } } };
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

/** The kind of a type, from {@link ValueInfo.otherType}. */
export const kindOfType = (type: Uint8Array): string =>
  KINDS[(type[0] ?? 0) >> 3] ?? "of a type that the file does not say";
