/** TensorProto ⇄ constants. Their data is in the model's file, or in others beside it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Budget, checkLimit, LIMITS } from "./budget.js";
import { type ExternalFiles, externalBytes } from "./external.js";
import { type SparseTensorProto, type TensorProto, TensorProtoSchema } from "./generated/onnx_pb.js";
import {
  type Constant,
  type ElementType,
  type NumericArray,
  numbers,
  OnnxError,
  type PackedType,
  volume,
} from "./graph.js";
import { toHalf } from "./half.js";

type ArrayType = { new (buffer: ArrayBuffer): NumericArray; from(values: never): NumericArray };
type Field = "floatData" | "doubleData" | "int64Data" | "uint64Data";
type ArrayRow = [code: number, array: ArrayType, field?: Field];

/**
 * TensorProto.DataType of the ONNX specification, the array that a type is kept in, and the field for data that is not
 * raw, `int32Data` by default: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
const ARRAYS: Record<Exclude<ElementType, PackedType | "other">, ArrayRow> = {
  float32: [1, Float32Array as ArrayType, "floatData"],
  uint8: [2, Uint8Array],
  int8: [3, Int8Array],
  uint16: [4, Uint16Array],
  int16: [5, Int16Array],
  int32: [6, Int32Array],
  int64: [7, BigInt64Array, "int64Data"],
  bool: [9, Uint8Array],
  float16: [10, Uint16Array],
  float64: [11, Float64Array, "doubleData"],
  uint32: [12, Uint32Array, "uint64Data"],
  uint64: [13, BigUint64Array, "uint64Data"],
  bfloat16: [16, Uint16Array],
  float8e4m3fn: [17, Uint8Array],
  float8e4m3fnuz: [18, Uint8Array],
  float8e5m2: [19, Uint8Array],
  float8e5m2fnuz: [20, Uint8Array],
  float8e8m0: [24, Uint8Array],
};
/** Types that are kept as the file has them, and the bits of one element (strings have no fixed number). */
const PACKED: Record<PackedType, [code: number, bits: number]> = {
  string: [8, 0],
  complex64: [14, 64],
  complex128: [15, 128],
  uint4: [21, 4],
  int4: [22, 4],
  float4e2m1: [23, 4],
};
const TYPES = { ...ARRAYS, ...PACKED } as Record<Exclude<ElementType, "other">, [code: number, unknown]>;
/** Element types by their code in a file. */
export const CODES: ReadonlyMap<number, Exclude<ElementType, "other">> = new Map(
  Object.entries(TYPES).map(([type, [code]]) => [code, type as keyof typeof TYPES]),
);

const isPacked = (type: ElementType): type is PackedType => type in PACKED;

export const isElementType = (code: number): boolean => CODES.has(code);

export function elementType(code: number, name: string): Exclude<ElementType, "other"> {
  const type = CODES.get(code);
  if (type === undefined)
    throw new OnnxError(`"${name}" has element type ${code}; supported: ${[...CODES.values()].join(", ")}`);
  return type;
}

export function elementCode(type: ElementType): number {
  if (type === "other") throw new OnnxError("a value of another type than a tensor has no element type");
  return TYPES[type][0];
}

/**
 * A tensor of the file as a constant.
 * @throws {OnnxError} where its data is missing, or of another length than its shape asks for.
 */
export function readTensor(proto: TensorProto, files: ExternalFiles | undefined): Constant {
  const type = elementType(proto.dataType, proto.name);
  const dims = readDims(proto.dims, `constant "${proto.name}"`);
  const whole = inlined(proto, files);
  if (isPacked(type)) return { type, dims, data: toBinary(TensorProtoSchema, { ...whole, name: "" }) };
  const data = tensorData(whole, type);
  if (data.length !== volume(dims))
    throw new OnnxError(`constant "${proto.name}" of shape [${dims.join(", ")}] holds ${data.length} values`);
  return { type, dims, data };
}

/** A constant's lengths, each checked: beside a length of 0 any other would fit, and loops may count to it. */
function readDims(dims: bigint[], label: string): number[] {
  const lengths = dims.map(Number);
  checkLimit(lengths.length, LIMITS.rank, `${label} has ${lengths.length} axes`);
  const isSound = lengths.every((length) => length >= 0 && length < 2 ** 31);
  if (!isSound || !Number.isSafeInteger(volume(lengths)))
    throw new OnnxError(`${label} has shape [${dims.join(", ")}], expected lengths from 0 to 2147483647`);
  return lengths;
}

/** The tensor with its data, read from another file if it is there. */
export function inlined(proto: TensorProto, files: ExternalFiles | undefined): TensorProto {
  if (proto.externalData.length === 0 && proto.dataLocation !== 1) return proto;
  const type = elementType(proto.dataType, proto.name);
  const bits = isPacked(type) ? PACKED[type][1] : 8 * bytesOf(ARRAYS[type][1]);
  const length = Math.ceil((volume(proto.dims.map(Number)) * bits) / 8);
  const { dataType, dims, name } = proto;
  return create(TensorProtoSchema, { dataType, dims, name, rawData: externalBytes(proto, length, files) });
}

/** Bytes of one element in memory. */
export const bytesOfElement = (type: ElementType): number =>
  type === "other" || isPacked(type) ? 8 : bytesOf(ARRAYS[type][1]);

const bytesOf = (array: ArrayType) => new array(new ArrayBuffer(0)).BYTES_PER_ELEMENT;

function tensorData(proto: TensorProto, type: keyof typeof ARRAYS): NumericArray {
  const [, array, field = "int32Data"] = ARRAYS[type];
  const { rawData } = proto;
  if (rawData.length > 0) {
    const size = bytesOf(array);
    if (rawData.length % size !== 0)
      throw new OnnxError(
        `constant "${proto.name}" holds ${rawData.length} bytes, not a multiple of ${size}`,
      );
    // A copy: the bytes start at any offset of the file, and the graph may change them.
    return new array(new Uint8Array(rawData).buffer);
  }
  return array.from((type === "uint32" ? proto[field].map(Number) : proto[field]) as never);
}

/** Numbers as the data of a constant, `undefined` for types that numbers are not converted to. */
export function arrayOf(type: ElementType, values: number[]): NumericArray | undefined {
  if (type === "float16") return Uint16Array.from(values, toHalf);
  if (type === "bool") return Uint8Array.from(values, (value) => Number(value !== 0));
  if (type === "int64") return BigInt64Array.from(values, toBigInt);
  if (type === "uint64") return BigUint64Array.from(values, toBigInt);
  const isPlain = /^(u?int(8|16|32)|float(32|64))$/.test(type);
  return isPlain ? ARRAYS[type as keyof typeof ARRAYS][1].from(values as never) : undefined;
}

const toBigInt = (value: number) => BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);

/**
 * A sparse tensor as a dense constant, with its name. Of `n` values, the indices are `[n]`, into the elements in
 * row-major order, or `[n, rank]`, one for each axis.
 * @throws {OnnxError} where an index lies outside, or the numbers of values and indices differ.
 * @throws {LimitError} where the dense tensor is larger than the budget allows.
 */
export function readSparse(
  { values, indices, dims: lengths }: SparseTensorProto,
  files: ExternalFiles | undefined,
  budget: Budget,
): [name: string, Constant] {
  const name = values?.name ?? "";
  const label = `sparse constant "${name}"`;
  const dims = readDims(lengths, label);
  if (values === undefined || indices === undefined)
    throw new OnnxError(`${label} has no values or no indices`);
  const given = readTensor(values, files);
  const where = readTensor(indices, files);
  if (isPacked(given.type)) throw new OnnxError(`${label} is of ${given.type}, expected numbers`);
  if (where.type !== "int64") throw new OnnxError(`${label} has indices of ${where.type}, expected int64`);
  const count = given.data.length;
  const isFlat = where.dims.length === 1;
  const expected = isFlat ? [count] : [count, dims.length];
  if (given.dims.length !== 1 || where.dims.join() !== expected.join())
    throw new OnnxError(
      `${label} has values [${given.dims.join(", ")}] and indices [${where.dims.join(", ")}], ` +
        `expected [n], and [n] or [n, ${dims.length}]`,
    );
  const [, array] = ARRAYS[given.type as keyof typeof ARRAYS];
  const size = volume(dims);
  budget.take(size * bytesOf(array), `${label} of shape [${dims.join(", ")}]`);
  const data = new array(new ArrayBuffer(size * bytesOf(array)));
  const places = numbers(where);
  const limits = isFlat ? [size] : dims;
  for (let i = 0; i < count; i++) {
    const at = limits.reduce((at, length, axis) => {
      const index = places[i * limits.length + axis] as number;
      if (!(index >= 0 && index < length))
        throw new OnnxError(`${label} has index ${index} at value ${i}, expected 0 to ${length - 1}`);
      return at * length + index;
    }, 0);
    data[at] = given.data[i] as never;
  }
  return [name, { type: given.type, dims, data }];
}

export function writeTensor({ type, dims, data }: Constant, name: string): TensorProto {
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  if (isPacked(type)) return { ...fromBinary(TensorProtoSchema, bytes), name };
  const rawData = bytes;
  return create(TensorProtoSchema, { name, dataType: elementCode(type), dims: dims.map(BigInt), rawData });
}
