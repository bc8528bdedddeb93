/** Changes models at random, as bytes and as protobuf fields. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from "../../packages/conversion/src/onnx/generated/onnx_pb.js";
import { Random as Numbers } from "../jpeg/generate.js";

/** The same numbers for the same seed. */
export type Random = (below: number) => number;

export function randomOf(seed: number): Random {
  const numbers = new Numbers(seed);
  return (below) => numbers.below(below);
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T;

/** Numbers at limits: the last valid and the first invalid ones. */
const NUMBERS = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 16n, 64n, 255n, 1000n, 4096n, 65536n, 1_000_000n, -1n, -2n, -100n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n)],
];
const FLOATS = [0, -0, 1, -1, 0.5, 1e-45, 3e38, 1e10, Number.NaN, Number.POSITIVE_INFINITY, -1e30];
const NAMES = ["", "x", "y", "cb", "size", "coefficients", "constructor", "__proto__", "n".repeat(5000)];
const OPERATORS = [
  ...[
    "Conv",
    "ConvTranspose",
    "Relu",
    "Clip",
    "LeakyRelu",
    "PRelu",
    "HardSwish",
    "Sigmoid",
    "MaxPool",
    "AveragePool",
  ],
  ...[
    "GlobalAveragePool",
    "BatchNormalization",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Pow",
    "Concat",
    "Split",
    "Slice",
  ],
  ...["Gather", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Tile", "Pad", "Resize"],
  ...[
    "Upsample",
    "ConstantOfShape",
    "Range",
    "Shape",
    "Size",
    "Cast",
    "Identity",
    "Dropout",
    "ReduceMean",
    "TopK",
  ],
  ...[
    "ReduceProd",
    "ArgMax",
    "OneHot",
    "EyeLike",
    "Einsum",
    "MatMul",
    "Gemm",
    "Softmax",
    "DepthToSpace",
    "Where",
  ],
  ...[
    "Equal",
    "Max",
    "Min",
    "Mod",
    "LRN",
    "InstanceNormalization",
    "GatherND",
    "NonZero",
    "If",
    "constructor",
  ],
];

/** The bytes with some of them changed, removed, doubled or inserted. */
function changedBytes(random: Random, file: Uint8Array): Uint8Array {
  let bytes = Buffer.from(file);
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(bytes.length + 1);
    const inserted = Buffer.from(Array.from({ length: random(5) }, () => random(256)));
    const again = random(4) === 0 ? bytes.subarray(at, at + random(200)) : inserted;
    bytes = Buffer.concat([bytes.subarray(0, at), again, bytes.subarray(at + random(5))]);
  }
  return bytes;
}

function changeAttribute(random: Random, attribute: AttributeProto): void {
  const lists = [attribute.ints, attribute.floats] as [bigint[], number[]];
  switch (random(6)) {
    case 0:
      attribute.i = pick(random, NUMBERS);
      break;
    case 1:
      attribute.f = pick(random, FLOATS);
      break;
    case 2:
      if (lists[0].length > 0) lists[0][random(lists[0].length)] = pick(random, NUMBERS);
      else lists[0].push(pick(random, NUMBERS));
      break;
    case 3:
      lists[0].splice(random(lists[0].length + 1), random(2), ...[1n, 2n, 3n].slice(0, random(3)));
      break;
    case 4:
      attribute.type = random(15);
      break;
    default:
      attribute.name = pick(random, [
        "axis",
        "axes",
        "pads",
        "strides",
        "kernel_shape",
        "group",
        "perm",
        "value",
        "alpha",
        "to",
        ...NAMES,
      ]);
  }
}

function changeTensor(random: Random, tensor: TensorProto): void {
  switch (random(5)) {
    case 0:
      if (tensor.dims.length > 0) tensor.dims[random(tensor.dims.length)] = pick(random, NUMBERS);
      break;
    case 1:
      // The same elements in another shape.
      tensor.dims = random(2) === 0 ? [...tensor.dims].reverse() : [...tensor.dims, 1n];
      break;
    case 2:
      tensor.dataType = random(27);
      break;
    case 3:
      if (tensor.rawData.length >= 8) {
        // Not slice(): for a Buffer it gives a view.
        tensor.rawData = new Uint8Array(tensor.rawData);
        const view = new DataView(tensor.rawData.buffer);
        const at = 8 * random(Math.floor(tensor.rawData.length / 8));
        if (tensor.dataType === 7) view.setBigInt64(at, pick(random, NUMBERS), true);
        else view.setFloat32(at, pick(random, FLOATS), true);
      }
      break;
    default:
      tensor.rawData = tensor.rawData.subarray(0, random(tensor.rawData.length + 1));
  }
}

function changeNode(random: Random, node: NodeProto, names: readonly string[], other: GraphProto): void {
  switch (random(8)) {
    case 0:
    case 1:
      node.opType = pick(random, OPERATORS);
      break;
    case 2:
      if (node.input.length > 0) node.input[random(node.input.length)] = pick(random, names);
      break;
    case 3:
      node.input.splice(
        random(node.input.length + 1),
        random(2),
        ...(random(2) ? [pick(random, names)] : []),
      );
      break;
    case 4:
      node.output.splice(
        random(node.output.length + 1),
        random(2),
        ...(random(2) ? [pick(random, NAMES)] : []),
      );
      break;
    case 5: {
      // Another model's attributes.
      const from = other.node[random(Math.max(1, other.node.length))];
      if (from) node.attribute = [...from.attribute];
      break;
    }
    default:
      if (node.attribute.length > 0) changeAttribute(random, pick(random, node.attribute));
  }
}

function changeGraph(random: Random, graph: GraphProto, other: GraphProto): void {
  const { node, initializer } = graph;
  const names = [...graph.input, ...initializer]
    .map(({ name }) => name)
    .concat(
      node.flatMap(({ output }) => output),
      NAMES,
    );
  const at = random(Math.max(1, node.length));
  const chosen = node[at];
  switch (random(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (chosen) changeNode(random, chosen, names, other);
      break;
    case 4:
      if (initializer.length > 0) changeTensor(random, pick(random, initializer));
      break;
    case 5: {
      const value = pick(random, [...graph.input, ...graph.output, ...graph.valueInfo]);
      const type = value?.type?.value;
      if (type?.case !== "tensorType") break;
      const dims = type.value.shape?.dim ?? [];
      const dice = random(4);
      if (dice === 0) type.value.elemType = random(27);
      else if (dice === 1) dims.splice(random(dims.length + 1), 1);
      else if (dims.length > 0)
        (dims[random(dims.length)] as (typeof dims)[number]).value =
          random(3) === 0
            ? { case: "dimParam", value: pick(random, NAMES) }
            : { case: "dimValue", value: pick(random, NUMBERS) };
      break;
    }
    case 6:
      // Swaps two nodes.
      if (chosen) {
        const to = random(node.length);
        node[at] = node[to] as NodeProto;
        node[to] = chosen;
      }
      break;
    case 7: {
      // A part of another model, which reads a value of this model.
      const piece = structuredCloneOf(other.node.slice(0, 1 + random(4)));
      const [first] = piece;
      if (first && first.input.length > 0) first.input[0] = pick(random, names);
      node.splice(at, 0, ...piece);
      graph.initializer.push(...other.initializer.slice(0, 8));
      break;
    }
    case 8: {
      const renamed = pick(random, NAMES);
      const old = pick(random, names);
      for (const one of node) {
        one.input = one.input.map((name) => (name === old ? renamed : name));
        one.output = one.output.map((name) => (name === old ? renamed : name));
      }
      for (const one of [...graph.input, ...graph.output, ...initializer])
        if (one.name === old) one.name = renamed;
      break;
    }
    default:
      node.splice(at, 1);
  }
}

const structuredCloneOf = (nodes: NodeProto[]): NodeProto[] =>
  nodes.map((node) => ({
    ...node,
    input: [...node.input],
    output: [...node.output],
    attribute: [...node.attribute],
  }));

/** A model like `file`, with pieces of `other`. */
export function mutated(random: Random, file: Uint8Array, other: Uint8Array): Uint8Array {
  if (random(4) === 0) return changedBytes(random, file);
  const model = fromBinary(ModelProtoSchema, file);
  const piece = fromBinary(ModelProtoSchema, other);
  if (model.graph === undefined || piece.graph === undefined) return changedBytes(random, file);
  for (let count = 1 + random(4); count > 0; count--) {
    const dice = random(40);
    if (dice === 0)
      model.opsetImport.forEach((set) => {
        set.version = random(8) === 0 ? pick(random, NUMBERS) : BigInt(7 + random(18));
      });
    else if (dice === 1 && model.metadataProps[0])
      model.metadataProps[0].value = pick(random, ["null", "{}", "[]", "7", '{"plan":1}', "x"]);
    else changeGraph(random, model.graph, piece.graph);
  }
  return toBinary(ModelProtoSchema, model);
}
