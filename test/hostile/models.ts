/** Models of a few kilobytes that ask for far more, or are invalid: one for each kind of attack. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { float, GraphBuilder, type PlainAttribute } from "../../packages/conversion/src/onnx/builder.js";
import { graphAttribute, writeOnnx } from "../../packages/conversion/src/onnx/file.js";
import {
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from "../../packages/conversion/src/onnx/generated/onnx_pb.js";
import { type Constant, float32, type Graph, int64 } from "../../packages/conversion/src/onnx/graph.js";

type Build = (g: GraphBuilder, map: string) => string;

/** Image `[1, 3, 16, 16]` → 3x3 convolution to 4 channels → the nodes from `build` → output. */
function network(
  build: Build,
  { opset = 17, shape = [1, 3, 16, 16] as (number | string)[], channels = 4 } = {},
) {
  const g = new GraphBuilder("hostile", opset);
  const x = g.input("x", "float32", shape);
  const weight = g.constant("w", float32(new Float32Array(channels * 27).fill(0.01), [channels, 3, 3, 3]));
  const map = g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, "map");
  g.output(build(g, map), "out", "float32", undefined);
  return g;
}

const model = (build: Build, options?: Parameters<typeof network>[1]): Uint8Array =>
  writeOnnx(network(build, options).build());

/** The same, with the file changed afterwards. */
function changed(change: (proto: ModelProto) => void, build: Build = relu): Uint8Array {
  const proto = fromBinary(ModelProtoSchema, model(build));
  change(proto);
  return toBinary(ModelProtoSchema, proto);
}

/** Numbers in places that need whole numbers. */
const fractions = (g: GraphBuilder, count: number): string =>
  g.constant("fractions", { type: "float64", dims: [count], data: new Float64Array(count).fill(5e-324) });

const relu: Build = (g, map) => g.node("Relu", [map]);

/** A map to which a computed constant is added at the end. */
const withConstant =
  (make: (g: GraphBuilder) => string): Build =>
  (g, map) => {
    const axes = (g.graph.opsets.get("") ?? 0) < 18 ? { axes: [0], keepdims: 0 } : {};
    const all = g.node("Reshape", [make(g), g.ints([-1])]);
    const number = g.node("Cast", [g.node("ReduceMax", [all], axes)], { to: 1 });
    return g.node("Add", [g.node("Relu", [map]), number]);
  };

const one = (g: GraphBuilder) => g.floats([1]);

/** An operator on constants that makes a constant of gigabytes. */
const grown = (
  op: string,
  inputs: (g: GraphBuilder) => string[],
  attributes: Record<string, PlainAttribute> = {},
) => model(withConstant((g) => g.node(op, inputs(g), attributes)));

const repeat = (count: number, step: (last: string, i: number) => string, first: string): string => {
  let last = first;
  for (let i = 0; i < count; i++) last = step(last, i);
  return last;
};

const metadata = (value: unknown) => {
  const g = network(relu);
  g.graph.metadata.set("jpeg-domain", typeof value === "string" ? value : JSON.stringify(value));
  return writeOnnx(g.build());
};
const SOUND = {
  ...{ input: "planes", plan: "fused", relu: "exact", channels: 3, height: 16, width: 16 },
  ...{ table: Array(64).fill(8), multiplyAdds: 1, operatorBytes: 1, largestOperatorBytes: 1 },
};

const graphOf = (proto: ModelProto) => proto.graph as NonNullable<ModelProto["graph"]>;

function nested(depth: number): Build {
  return (g, map) => {
    const branch = (level: number): Graph => {
      const inner = new GraphBuilder(`level ${level}`);
      const y = level === 0 ? inner.node("Identity", [map]) : choice(inner, level - 1);
      inner.output(y, `out${level}`, "float32", undefined);
      return inner.build();
    };
    const choice = (inner: GraphBuilder, level: number): string => {
      const graph = branch(level);
      const branches = {
        then_branch: graphAttribute("then_branch", graph),
        else_branch: graphAttribute("else_branch", graph),
      };
      return inner.node("If", [condition], branches);
    };
    const condition = g.constant("yes", { type: "bool", dims: [], data: Uint8Array.of(1) });
    return choice(g, depth);
  };
}

/** A node whose branches each have many names. */
const wideBranches =
  (count: number): Build =>
  (g, map) => {
    const condition = g.constant("yes", { type: "bool", dims: [], data: Uint8Array.of(1) });
    const inner = new GraphBuilder("inner");
    const last = repeat(count, (x) => inner.node("Relu", [x]), map);
    inner.output(last, "inner out", "float32", undefined);
    const graph = inner.build();
    const branches = {
      then_branch: graphAttribute("then_branch", graph),
      else_branch: graphAttribute("else_branch", graph),
    };
    return repeat(20, (x) => g.node("Add", [x, g.node("If", [condition], branches)]), map);
  };

/** Each model must be refused in one line, or read correctly, quickly and with little memory. */
export const MODELS: Record<string, () => Uint8Array> = {
  // constants that grow
  expand: () => grown("Expand", (g) => [one(g), g.ints([40_000, 40_000])]),
  tile: () => grown("Tile", (g) => [one(g), g.ints([2_000_000_000])]),
  pad: () => grown("Pad", (g) => [one(g), g.ints([1_000_000_000, 1_000_000_000])]),
  resize: () =>
    grown("Resize", (g) => [g.floats([1], [1, 1, 1, 1]), "", g.floats([1, 1, 40_000, 40_000])], {
      mode: "nearest",
    }),
  range: () => grown("Range", (g) => [g.ints([0], []), g.ints([1_000_000_000], []), g.ints([1], [])]),
  oneHot: () => grown("OneHot", (g) => [g.ints([3]), g.ints([1_000_000_000]), g.floats([0, 1])]),
  constantOfShape: () => grown("ConstantOfShape", (g) => [g.ints([100_000, 100_000])]),
  outerSum: () =>
    grown("Add", (g) => [g.constant("a", zeros([60_000, 1])), g.constant("b", zeros([1, 60_000]))]),
  outerProduct: () =>
    grown("MatMul", (g) => [g.constant("a", zeros([60_000, 1])), g.constant("b", zeros([1, 60_000]))]),
  einsum: () =>
    grown("Einsum", (g) => [g.constant("a", zeros([60_000])), g.constant("b", zeros([60_000]))], {
      equation: "i,j->ij",
    }),
  gather: () =>
    grown("Gather", (g) => [
      g.constant("a", zeros([1, 60_000])),
      g.constant("i", int64(Array(60_000).fill(0))),
    ]),
  convolvedConstant: () =>
    grown("Conv", (g) => [g.floats([1], [1, 1, 1, 1]), g.constant("k", zeros([1, 1, 1, 1]))], {
      pads: [30_000, 30_000, 30_000, 30_000],
    }),
  transposedConvolution: () =>
    grown("ConvTranspose", (g) => [g.floats([1, 1, 1, 1], [1, 1, 2, 2]), g.floats([1], [1, 1, 1, 1])], {
      strides: [40_000, 40_000],
    }),
  dequantized: () => {
    const bytes: Constant = { type: "uint8", dims: [1], data: Uint8Array.of(1) };
    const wide = (g: GraphBuilder) =>
      g.node("Expand", [
        g.node("DequantizeLinear", [g.constant("q", bytes), g.floats([1], [])]),
        g.ints([2_000_000_000]),
      ]);
    return model(withConstant(wide));
  },
  doubled: () => model(withConstant((g) => repeat(40, (x) => g.node("Concat", [x, x], { axis: 0 }), one(g)))),
  doubledText: () =>
    model(withConstant((g) => repeat(60, (x) => g.node("Concat", [x, x, x, x], { axis: 0 }), g.ints([7])))),
  // lists that are followed
  manyLists: () =>
    model(
      withConstant((g) => {
        const long = g.constant("long", int64(Array(4096).fill(1)));
        return repeat(4000, (x) => g.node("Add", [x, long]), long);
      }),
    ),
  manyOperands: () =>
    model(
      withConstant((g) => {
        const long = g.constant("long", float32(new Float32Array(4096)));
        return g.node("Max", Array<string>(9000).fill(long));
      }),
    ),
  slicedRange: () =>
    grown("Slice", (g) => [
      g.node("Expand", [g.ints([1]), g.ints([2_000_000_000])]),
      g.ints([0]),
      g.ints([1_999_999_999]),
    ]),
  rankOfConstant: () =>
    model((g, map) => g.node("Reshape", [map, g.constant("shape", int64(Array(4000).fill(1)))])),
  rankUnknown: () =>
    model((g, map) => g.node("Reshape", [map, g.node("Expand", [g.ints([1]), g.ints([2_000_000_000])])])),
  rankOfExpand: () => model((g, map) => g.node("Expand", [map, g.constant("s", int64(Array(4000).fill(1)))])),
  rankOfUnsqueeze: () =>
    model((g, map) =>
      g.node("Unsqueeze", [map, g.constant("s", int64(Array.from({ length: 4000 }, (_, i) => i)))]),
    ),
  startsUnknown: () => {
    const list = (g: GraphBuilder, map: string) =>
      g.node("Cast", [g.node("Reshape", [map, g.ints([-1])])], { to: 7 });
    return model((g, map) => {
      const long = g.node("Tile", [list(g, map), g.ints([1_000_000])]);
      return g.node("Slice", [map, long, long]);
    });
  },
  // names
  longName: () =>
    model((g, map) =>
      g.node("Reshape", [g.node("Relu", [map], {}, "n".repeat(1e6)), g.node("Shape", [map])]),
    ),
  longNamesOfLengths: () =>
    model(
      (g, map) => {
        const flat = repeat(
          500,
          (x) => g.node("Flatten", [g.node("Unsqueeze", [x, g.ints([0])])], { axis: 1 }),
          map,
        );
        return g.node("Relu", [flat]);
      },
      { shape: ["N".repeat(100), 3, "H".repeat(100), "W".repeat(100)] },
    ),
  doubledNames: () =>
    model(
      (g, map) =>
        repeat(
          40,
          (x) => g.node("Reshape", [g.node("Concat", [x, x], { axis: 2 }), g.ints([1, 4, -1, 1])]),
          g.node("Reshape", [map, g.ints([1, 4, -1, 1])]),
        ),
      { shape: [1, 3, "H", "W"] },
    ),
  namesOfObjects: () =>
    model((g, map) =>
      ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"].reduce(
        (x, op) => g.node(op, [x]),
        map,
      ),
    ),
  sameHint: () => model((g, map) => repeat(4000, (x) => g.node("Neg", [x]), map)),
  // counts
  nodes: () => model((g, map) => repeat(60_000, (x) => g.node("Relu", [x]), map)),
  manyNodes: () => model((g, map) => repeat(4000, (x) => g.node("Relu", [x]), map)),
  readers: () =>
    model((g, map) => {
      const all = Array.from({ length: 4000 }, () => g.node("Relu", [map]));
      return g.node("Concat", all, { axis: 1 });
    }),
  operands: () => model((g, map) => g.node("Concat", Array<string>(200_000).fill(map), { axis: 1 })),
  outputs: () => {
    const g = network(relu);
    for (let i = 0; i < 5000; i++) g.output(g.node("Identity", ["map"]), `out ${i}`, "float32", undefined);
    return writeOnnx(g.build());
  },
  outputsOfOne: () => {
    const g = network(relu);
    for (let i = 0; i < 5000; i++) g.output("map", `out ${i}`, "float32", undefined);
    return writeOnnx(g.build());
  },
  emptyMessages: () =>
    changed((proto) =>
      Object.assign(graphOf(proto), { node: Array.from({ length: 300_000 }, () => create(NodeProtoSchema)) }),
    ),
  twoSizes: () =>
    model((g, map) => {
      const small = g.node("MaxPool", [map], { kernel_shape: [2, 2], strides: [2, 2] });
      const maps = Array.from({ length: 4000 }, (_, i) => (i % 2 ? map : small));
      return g.node("Concat", maps, { axis: 1 });
    }),
  nestedDeep: () => model(nested(3)),
  nestedWide: () => model(wideBranches(300)),
  // constants that conversion makes
  wideAverage: () =>
    model((g, map) =>
      g.node("AveragePool", [map], {
        kernel_shape: [20_000, 20_000],
        pads: [10_000, 10_000, 10_000, 10_000],
        count_include_pad: 1,
      }),
    ),
  depthwise: () =>
    model(
      (g, map) => {
        const weight = g.constant("d", zeros([10_000, 1, 3, 3]));
        return g.node("Conv", [map, weight], { group: 10_000, pads: [1, 1, 1, 1] });
      },
      { channels: 10_000 },
    ),
  sharedWeight: () =>
    model((g, map) => {
      const weight = g.constant("shared", zeros([4, 4, 41, 41]));
      return repeat(2000, (x) => g.node("Conv", [x, weight], { pads: [20, 20, 20, 20] }), map);
    }),
  sharedNormalized: () =>
    model((g, map) => {
      const weight = g.constant("shared", zeros([4, 4, 21, 21]));
      const four = ["a", "b", "c", "d"].map((name) => g.constant(name, float32([1, 1, 1, 1])));
      return repeat(
        1000,
        (x) =>
          g.node("BatchNormalization", [g.node("Conv", [x, weight], { pads: [10, 10, 10, 10] }), ...four]),
        map,
      );
    }),
  largeImage: () =>
    model((g, map) => g.node("Add", [g.node("Relu", [map]), g.constant("row", zeros([1, 1, 1, 60_001]))]), {
      shape: [1, 3, 60_001, 60_001],
    }),
  largerImage: () => model(relu, { shape: [1, 3, 9e15, 9e15] }),
  constantsBeside: () =>
    model(
      (g, map) => {
        const row = g.constant("row", zeros([1, 1, 1, 1024]));
        return repeat(2000, (x) => g.node("Add", [g.node("Sigmoid", [x]), row]), map);
      },
      { shape: [1, 3, 1024, 1024] },
    ),
  manyEnlargements: () =>
    model((g, map) =>
      g.node(
        "Concat",
        Array.from({ length: 64 }, (_, i) => {
          const [s, t] = [(i % 8) + 1, Math.floor(i / 8) + 1];
          const large = g.node("Resize", [map, "", g.floats([1, 1, s, t])], {
            mode: "nearest",
            coordinate_transformation_mode: "asymmetric",
            nearest_mode: "floor",
          });
          return g.node("GlobalAveragePool", [
            g.node("Conv", [large, g.constant(`k${i}`, zeros([4, 4, 1, 1]))]),
          ]);
        }),
        { axis: 1 },
      ),
    ),
  manyChannels: () =>
    model((g, map) => {
      const many = g.node("Expand", [
        g.node("ReduceMean", [map], { axes: [1] }),
        g.ints([1, 1_000_000_000, 16, 16]),
      ]);
      const picked = g.node("Slice", [many, g.ints([0]), g.ints([1_000_000_000]), g.ints([1]), g.ints([2])]);
      return g.node("Relu", [picked]);
    }),
  shuffled: () =>
    model((g, map) => {
      const many = g.node("Expand", [
        g.node("ReduceMean", [map], { axes: [1] }),
        g.ints([1, 1_000_000_000, 16, 16]),
      ]);
      const apart = g.node("Reshape", [many, g.ints([1, 2, 500_000_000, 16, 16])]);
      const swapped = g.node("Transpose", [apart], { perm: [0, 2, 1, 3, 4] });
      return g.node("Relu", [g.node("Reshape", [swapped, g.ints([1, 1_000_000_000, 16, 16])])]);
    }),
  manyPixels: () => {
    const weight = (g: GraphBuilder) => g.constant("p", zeros([60_000, 4, 1, 1]));
    return model((g, map) => g.node("Conv", [map, weight(g)]));
  },
  pointwiseEntrance: () => {
    const g = new GraphBuilder("hostile", 17);
    const x = g.input("x", "float32", [1, 3, 16, 16]);
    g.output(g.node("Conv", [x, g.constant("p", zeros([100_000, 3, 1, 1]))]), "out", "float32", undefined);
    return writeOnnx(g.build());
  },
  largeKernel: () =>
    model((g, map) => g.node("AveragePool", [map], { kernel_shape: [55, 55] }), {
      shape: [1, 3, 64, 64],
      channels: 1,
    }),
  dilated: () =>
    model(
      (g, map) => {
        const weight = g.constant("d", zeros([1, 4, 3, 3]));
        return g.node("Conv", [map, weight], { dilations: [500, 500], pads: [500, 500, 500, 500] });
      },
      { shape: [1, 3, 2048, 2048] },
    ),
  channelsLast: () => {
    const g = new GraphBuilder("hostile", 13);
    const x = g.input("x", "float32", [1, 256, 256, 3]);
    const large = g.constant("large", zeros([1, 256, 256, 3]));
    const planes = g.node("Transpose", [x], { perm: [0, 3, 1, 2] });
    const last = g.node("Transpose", [g.node("Relu", [planes])], { perm: [0, 2, 3, 1] });
    const sum = repeat(1000, (y) => g.node("Add", [y, large]), last);
    g.output(g.node("Transpose", [sum], { perm: [0, 3, 1, 2] }), "out", "float32", undefined);
    return writeOnnx(g.build());
  },
  // invalid numbers
  strideZero: () => model((g, map) => g.node("MaxPool", [map], { kernel_shape: [2, 2], strides: [0, 0] })),
  strideNegative: () =>
    model((g, map) => g.node("Conv", [map, g.constant("k", zeros([4, 4, 3, 3]))], { strides: [-1, -1] })),
  kernelNegative: () => model((g, map) => g.node("AveragePool", [map], { kernel_shape: [-3, -3] })),
  kernelHuge: () => model((g, map) => g.node("AveragePool", [map], { kernel_shape: [2 ** 60, 2 ** 60] })),
  kernelShort: () => model((g, map) => g.node("AveragePool", [map], { kernel_shape: [], pads: [1] })),
  padsShort: () =>
    model((g, map) => g.node("Conv", [map, g.constant("k", zeros([4, 4, 3, 3]))], { pads: [1] })),
  padsOfFractions: () => model((g, map) => g.node("Pad", [map, fractions(g, 8)])),
  startsOfFractions: () =>
    model((g, map) => g.node("Slice", [map, fractions(g, 1), g.ints([8]), g.ints([2])])),
  axesOfFractions: () => model((g, map) => g.node("ReduceMean", [map, fractions(g, 2)]), { opset: 18 }),
  splitOfFractions: () => model((g, map) => g.node("Split", [map, fractions(g, 1)], { axis: 1 })),
  padsShortInput: () => model((g, map) => g.node("Pad", [map, g.ints([1, 2])])),
  groupZero: () =>
    model((g, map) => g.node("Conv", [map, g.constant("k", zeros([4, 0, 3, 3]))], { group: 0 })),
  groupNegative: () =>
    model((g, map) => g.node("Conv", [map, g.constant("k", zeros([4, 4, 3, 3]))], { group: -1 })),
  emptyWeight: () =>
    model((g, map) => g.node("Conv", [map, g.constant("k", zeros([2_000_000_000, 4, 0, 3]))])),
  shapeNegative: () => model((g, map) => g.node("Reshape", [map, g.ints([-5, -7])])),
  expandNegative: () => model((g, map) => g.node("Expand", [map, g.ints([-5, 4, 16, 16])])),
  tileNegative: () => model((g, map) => g.node("Tile", [map, g.ints([-1, 1, 1, 1])])),
  topNegative: () => model((g, map) => g.nodes("TopK", [map, g.ints([-4])], 2)[0] as string),
  blockZero: () => model((g, map) => g.node("DepthToSpace", [map], { blocksize: 0 })),
  rangeStill: () => grown("Range", (g) => [g.ints([0], []), g.ints([9], []), g.ints([0], [])]),
  rangeNaN: () => grown("Range", (g) => [g.floats([0], []), g.floats([Number.NaN], []), g.floats([1], [])]),
  scalesInfinite: () =>
    model((g, map) => g.node("Resize", [map, "", g.floats([1, 1, Number.POSITIVE_INFINITY, Number.NaN])])),
  splitNegative: () =>
    model((g, map) => g.nodes("Split", [map, g.ints([-4, 8])], 2, { axis: 1 })[1] as string),
  divided: () => grown("Div", (g) => [g.ints([1]), g.ints([0])]),
  modulus: () => grown("Mod", (g) => [g.ints([1]), g.ints([0])]),
  productOverflow: () => grown("ReduceProd", (g) => [g.ints(Array<number>(100).fill(2 ** 40))]),
  castInfinite: () => grown("Cast", (g) => [g.floats([Number.POSITIVE_INFINITY, Number.NaN])], { to: 7 }),
  permTwice: () => model((g, map) => g.node("Transpose", [map], { perm: [0, 0, 9, -1] })),
  kindOfAttribute: () => model((g, map) => g.node("Relu", [g.node("Flatten", [map], { axis: float(1) })])),
  kindOfConstant: () =>
    model((g, map) => g.node("Add", [map, g.node("Constant", [], { value_int: float(1.5) })])),
  kindsOfConstant: () =>
    model((g, map) =>
      g.node("Add", [map, g.node("Constant", [], { value_ints: { kind: "strings", value: ["x"] } })]),
    ),
  noOutputs: () => changed((proto) => graphOf(proto).node[1]?.output.splice(0)),
  noInputs: () => changed((proto) => graphOf(proto).node[1]?.input.splice(0)),
  emptyOutput: () => changed((proto) => graphOf(proto).node[0]?.output.splice(0, 1, "", "map")),
  // the file itself
  hugeLength: () =>
    changed((proto) => {
      const type = graphOf(proto).input[0]?.type?.value;
      if (type?.case === "tensorType")
        type.value.shape?.dim.splice(
          2,
          1,
          create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: 2n ** 63n - 1n } }),
        );
    }),
  manyAxes: () =>
    changed((proto) => {
      const type = graphOf(proto).input[0]?.type?.value;
      const length = create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: 1n } });
      if (type?.case === "tensorType") type.value.shape?.dim.push(...Array(50_000).fill(length));
    }),
  opset: () => changed((proto) => Object.assign(proto.opsetImport[0] as object, { version: 2n ** 63n - 1n })),
  opsetNegative: () => changed((proto) => Object.assign(proto.opsetImport[0] as object, { version: -3n })),
  irVersion: () => changed((proto) => Object.assign(proto, { irVersion: 2n ** 63n - 1n })),
  nameless: () => changed((proto) => Object.assign(graphOf(proto).input[0] as object, { name: "" })),
  namelessConstant: () =>
    changed((proto) =>
      graphOf(proto).initializer.push(create(TensorProtoSchema, { dataType: 1, dims: [0n] })),
    ),
  hugeConstant: () =>
    changed((proto) =>
      graphOf(proto).initializer.push(
        create(TensorProtoSchema, { name: "z", dataType: 1, dims: [2n ** 62n, 0n] }),
      ),
    ),
  inputTwice: () =>
    changed((proto) => {
      const [input] = graphOf(proto).input;
      if (input) graphOf(proto).input.push(input);
    }),
  manyInputs: () =>
    changed((proto) => {
      for (let i = 0; i < 70_000; i++)
        graphOf(proto).input.push(
          create(ValueInfoProtoSchema, { ...graphOf(proto).input[0], name: `i${i}` }),
        );
    }),
  // metadata
  ...Object.fromEntries(
    [
      ...[null, 5, [], "text", {}, { ...SOUND, plan: "constructor" }, { ...SOUND, relu: { asm: 3 } }],
      ...[
        { ...SOUND, table: [1, 2] },
        { ...SOUND, table: null },
        { ...SOUND, height: -1 },
        { ...SOUND, width: 1e300 },
      ],
      ...[
        { ...SOUND, input: "jpeg", planes: "x", preprocess: "none" },
        { ...SOUND, input: "jpeg", planes: 7 },
      ],
      ...[
        { ...SOUND, input: "jpeg", planes: "nowhere" },
        { ...SOUND, channels: 1e9 },
        { ...SOUND, height: 1e9 },
      ],
      ...[
        { ...SOUND, operatorBytes: 1e30 },
        { ...SOUND, operatorBytes: "many" },
      ],
      "[".repeat(100_000),
    ].map((value, i) => [`metadata ${i}`, () => metadata(value)]),
  ),
};

function zeros(dims: number[]): Constant {
  const length = dims.reduce((product, n) => product * n, 1);
  return float32(new Float32Array(length), dims);
}
