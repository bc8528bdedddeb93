import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { JpegDomainError } from "../packages/coefficients/src/errors.js";
import { convert } from "../packages/conversion/src/convert/convert.js";
import { float, GraphBuilder, type PlainAttribute } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { foldConstants } from "../packages/conversion/src/onnx/fold.js";
import {
  ModelProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from "../packages/conversion/src/onnx/generated/onnx_pb.js";
import {
  type Constant,
  float32,
  type Graph,
  int64,
  OnnxError,
  volume,
} from "../packages/conversion/src/onnx/graph.js";
import { inferShapes } from "../packages/conversion/src/onnx/infer.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { uniform } from "./reference/arrays.js";
import { build, recipes } from "./reference/random-networks.js";

const PYTORCH = readFileSync(new URL("reference/mnist-resnet-pytorch.onnx", import.meta.url));

async function run(model: Uint8Array | Graph, data: Float32Array, shape: number[]) {
  const session = await openSession(model);
  const results = await session.run({
    [session.inputNames[0] as string]: new Tensor("float32", data, shape),
  });
  await session.release();
  return results;
}

/** A small graph with an attribute and a constant of every kind. */
function everyKind(): Graph {
  const g = new GraphBuilder("every kind", 17);
  const x = g.input("x", "float32", ["N", 2, 3]);
  const constants: Constant[] = [
    float32([1.5, -2]),
    int64([2 ** 53 - 1, -7]),
    { type: "float64", dims: [2, 1], data: Float64Array.of(0.1, Number.NEGATIVE_INFINITY) },
    { type: "uint8", dims: [3], data: Uint8Array.of(0, 128, 255) },
    { type: "int8", dims: [1], data: Int8Array.of(-128) },
    { type: "uint16", dims: [1], data: Uint16Array.of(65535) },
    { type: "int16", dims: [1], data: Int16Array.of(-32768) },
    { type: "int32", dims: [], data: Int32Array.of(-5) },
    { type: "bool", dims: [2], data: Uint8Array.of(0, 1) },
    { type: "float16", dims: [1], data: Uint16Array.of(0x3c00) },
    { type: "float32", dims: [0, 4], data: new Float32Array(0) },
  ];
  for (const constant of constants) g.constant(constant.type, constant);
  const attributes: Record<string, PlainAttribute> = {
    int: -3,
    float: float(0.25),
    string: "naïve ✓",
    ints: [1, -2, 3],
    floats: { kind: "floats", value: [0.5, -1] },
    strings: { kind: "strings", value: ["a", ""] },
    tensor: float32([1, 2, 3, 4], [2, 2]),
  };
  const y = g.nodes("Anything", [x, "", "float32"], 2, attributes, "y");
  g.output(y[0] as string, "out", "float32", ["N", 2, 3]);
  g.graph.outputs.push({ name: y[1] as string, type: "bool", shape: undefined });
  g.graph.metadata.set("key", "value");
  g.graph.opsets.set("com.example", 3);
  return g.build();
}

describe("a file", () => {
  test("written and read again is the same graph", () => {
    expect(readOnnx(writeOnnx(everyKind()))).toEqual(everyKind());
    const graph = readOnnx(PYTORCH);
    expect(readOnnx(writeOnnx(graph))).toEqual(graph);
    expect(graph.nodes.map(({ op }) => op)).toContain("BatchNormalization");
    expect(graph.initializers.get("fc.weight")?.dims).toEqual([10, 64]);
  });

  test("from PyTorch runs the same after it is written again, bit for bit", async () => {
    const images = uniform(1, 2 * 1024, -0.5, 2.8);
    const before = await run(PYTORCH, images, [2, 1, 32, 32]);
    const after = await run(writeOnnx(readOnnx(PYTORCH)), images, [2, 1, 32, 32]);
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const name of Object.keys(before)) expect(after[name]?.data).toEqual(before[name]?.data);
  });

  test("is read without changing or sharing its bytes", () => {
    const bytes = Uint8Array.from(PYTORCH);
    const graph = readOnnx(bytes);
    for (const { data } of graph.initializers.values()) data.fill(0 as never);
    expect(Buffer.compare(bytes, PYTORCH)).toBe(0);
  });
});

describe("refused with one line:", () => {
  const refusal = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      expect(error).toBeInstanceOf(OnnxError);
      expect((error as Error).message).not.toContain("\n");
      return (error as Error).message;
    }
    return expect.fail("not refused");
  };
  const readChanged = (change: (model: ReturnType<typeof proto>) => void) => {
    const model = proto();
    change(model);
    return refusal(() => readOnnx(toBinary(ModelProtoSchema, model)));
  };
  const proto = () => fromBinary(ModelProtoSchema, PYTORCH);

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /not an ONNX model: found 0 bytes, expected an ONNX ModelProto/],
    ["a PNG", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), /found 8 bytes beginning 89 50 4e 47/],
    ["a JPEG", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16), /found 6 bytes beginning ff d8 ff e0/],
    ["text", new TextEncoder().encode("pixels,label\n1,2\n"), /not an ONNX model: found 17 bytes/],
    ["zeros", new Uint8Array(100), /not an ONNX model: found 100 bytes beginning 00 00 00 00/],
  ])("%s", (_, bytes, message) => {
    expect(refusal(() => readOnnx(bytes))).toMatch(message);
  });

  test("a file cut off anywhere", () => {
    for (let part = 0; part < 64; part++)
      expect(refusal(() => readOnnx(PYTORCH.subarray(0, Math.floor((part / 64) * PYTORCH.length))))).toMatch(
        /not an ONNX model/,
      );
  });

  test("a model without a graph, and one without an operator set", () => {
    expect(readChanged((model) => delete model.graph)).toMatch(/it holds no graph/);
    expect(readChanged((model) => model.opsetImport.splice(0))).toMatch(/it names no operator set/);
  });

  test("weights in another file", () => {
    const message = readChanged((model) => {
      const [weight] = model.graph?.initializer ?? [];
      if (weight === undefined) return;
      weight.externalData.push(
        create(StringStringEntryProtoSchema, { key: "location", value: "weights.bin" }),
      );
      weight.rawData = new Uint8Array(0);
    });
    expect(message).toMatch(
      /^constant ".*" lies in the external file "weights.bin", which readOnnx needs to be given/,
    );
  });

  test("constants whose size differs from their shape", () => {
    const message = readChanged((model) => model.graph?.initializer[0]?.dims.push(2n));
    expect(message).toMatch(/^constant ".*" of shape \[.*, 2\] holds \d+ values$/);
    expect(
      readChanged((model) => {
        const weight = model.graph?.initializer[0];
        if (weight) weight.rawData = weight.rawData.subarray(1);
      }),
    ).toMatch(/^constant ".*" holds \d+ bytes, not a multiple of 4$/);
  });

  const graphOf = (change: (g: Graph) => void) => {
    const graph = readOnnx(PYTORCH);
    change(graph);
    return () => readOnnx(writeOnnx(graph));
  };
  test("names of no value, cycles, values made twice", () => {
    const undefinedName = graphOf(({ nodes }) => nodes[3]?.inputs.splice(0, 1, "nowhere"));
    expect(refusal(undefinedName)).toMatch(/node ".*" reads "nowhere", which nothing before it makes/);
    const cycle = graphOf(({ nodes }) => nodes[0]?.inputs.splice(0, 1, nodes[5]?.outputs[0] as string));
    expect(refusal(cycle)).toMatch(/reads ".*", which nothing before it makes/);
    const twice = graphOf(({ nodes }) => nodes[4]?.outputs.splice(0, 1, nodes[2]?.outputs[0] as string));
    expect(refusal(twice)).toMatch(/makes ".*", which is made twice/);
    const output = graphOf(({ outputs }) => Object.assign(outputs[0] as object, { name: "missing" }));
    expect(refusal(output)).toMatch(/the graph's output "missing" is made by no node/);
  });
});

describe("bytes changed at random", () => {
  const original = writeOnnx(
    build({
      seed: 3,
      channels: 1,
      rows: 1,
      columns: 1,
      layers: [
        {
          kind: "conv",
          out: 2,
          kernel: [3, 1],
          stride: [1, 1],
          dilation: [1, 1],
          grouped: false,
          bias: true,
          slack: [0, 0],
          before: [1, 0],
        },
        { kind: "batchNorm", epsilon: 1e-3 },
        { kind: "relu" },
        { kind: "add", earlier: 1 },
      ],
      ending: "reshape",
    }),
  );
  const idiom = writeOnnx(flattenIdiom());
  const edits = fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      remove: fc.integer({ min: 0, max: 3 }),
      insert: fc.uint8Array({ maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  );

  test("give a model or a refusal, never another error", { timeout: 60_000 }, () => {
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(fc.constantFrom(original, idiom, PYTORCH), edits, (file, changes) => {
        let bytes = Buffer.from(file);
        for (const { at, remove, insert } of changes) {
          const place = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
        }
        try {
          convert(bytes);
          read++;
        } catch (error) {
          refused++;
          if (!(error instanceof JpegDomainError)) throw error;
          expect(error.message).not.toContain("\n");
        }
      }),
      { numRuns: 1000, seed: 1 },
    );
    expect(Math.min(read, refused)).toBeGreaterThan(10);
  });
});

/** `x.view(x.size(0), -1)` as PyTorch exports it. */
function flattenIdiom(): Graph {
  const g = new GraphBuilder("flatten", 13);
  const x = g.input("x", "float32", ["batch", 3, 8, 8]);
  const constant = (value: Constant) => g.node("Constant", [], { value });
  const relu = g.node("Relu", [x]);
  const size = g.node("Gather", [g.node("Shape", [relu]), constant(int64([0], []))], { axis: 0 });
  const parts = [size, constant(int64([-1], []))].map((part) =>
    g.node("Unsqueeze", [part, constant(int64([0]))]),
  );
  const rows = g.node("Reshape", [relu, g.node("Concat", parts, { axis: 0 })]);
  g.output(g.node("Identity", [rows]), "y", "float32", ["batch", 192]);
  return g.build();
}

describe("folding of constants", () => {
  test("leaves one Reshape of PyTorch's flatten, and the same outputs", async () => {
    const folded = foldConstants(flattenIdiom());
    expect(folded.nodes.map(({ op }) => op)).toEqual(["Relu", "Reshape", "Identity"]);
    const target = folded.initializers.get(folded.nodes[1]?.inputs[1] as string) as Constant;
    expect(Array.from(target.data as BigInt64Array)).toEqual([0n, -1n]);
    const x = uniform(2, 5 * 192);
    const { y } = await run(folded, x, [5, 3, 8, 8]);
    expect(y?.dims).toEqual([5, 192]);
    expect(y?.data).toEqual((await run(flattenIdiom(), x, [5, 3, 8, 8])).y?.data);
  });

  test("leaves only the layers of PyTorch's network", async () => {
    const graph = readOnnx(PYTORCH);
    const folded = foldConstants(graph);
    const ops = new Set(folded.nodes.map(({ op }) => op));
    for (const op of ["Constant", "Shape", "Gather", "Unsqueeze", "Concat", "Identity"])
      expect(ops.has(op), op).toBe(false);
    const images = uniform(3, 2 * 1024, -0.5, 2.8);
    const [a, b] = [await run(folded, images, [2, 1, 32, 32]), await run(graph, images, [2, 1, 32, 32])];
    expect(Object.values(a)[0]?.data).toEqual(Object.values(b)[0]?.data);
  });

  test("does not change its input graph", () => {
    const graph = flattenIdiom();
    foldConstants(graph);
    expect(graph).toEqual(flattenIdiom());
  });
});

/** Compares the inferred types and shapes of all values with those in ONNX Runtime for a batch of 3. */
async function compareShapes(graph: Graph): Promise<void> {
  const facts = inferShapes(graph);
  const made = graph.nodes.flatMap((node) => node.outputs.slice(0, 1));
  const [input] = graph.inputs;
  const shape = input?.shape?.map((length) => (typeof length === "number" ? length : 3)) ?? [];
  const outputs = made.map((name) => ({ name, type: facts.get(name)?.type ?? "float32", shape: undefined }));
  const results = await run({ ...graph, outputs }, uniform(4, volume(shape)), shape);
  for (const name of made) {
    const found = facts.get(name);
    const result = results[name] as Tensor;
    const label = `${name} ${JSON.stringify(found)} ${result.dims}`;
    expect(found?.type, label).toBe(result.type);
    expect(found?.shape.length, label).toBe(result.dims.length);
    for (const [axis, length] of found?.shape.entries() ?? [])
      if (typeof length === "number" || length === "N")
        expect(length === "N" ? 3 : length, label).toBe(result.dims[axis]);
    for (const [i, value] of found?.contents?.entries() ?? [])
      if (typeof value === "number" || value === "N")
        expect(value === "N" ? 3 : value, label).toBe(Number(result.data[i]));
  }
}

/** Steps that change a tensor's shape, each from a few free numbers; `undefined` if a step does not apply. */
type Step = (
  g: GraphBuilder,
  x: string,
  shape: number[],
  at: (below: number) => number,
) => string | undefined;

/** Windows that overlap. If they do not, ONNX Runtime's inference and its kernels disagree about `ceil_mode`. */
const window = (at: (below: number) => number) => {
  const kernel_shape = [1 + at(3), 1 + at(3)];
  return { kernel_shape, strides: kernel_shape.map((k) => 1 + at(k)) };
};
const image = (shape: number[]) => shape.length === 4 && Math.min(...shape.slice(2)) >= 4;
const weights = (g: GraphBuilder, dims: number[]) => g.constant("w", float32(uniform(5, volume(dims)), dims));

const STEPS: Record<string, Step> = {
  Conv: (g, x, shape, at) =>
    image(shape)
      ? g.node("Conv", [x, weights(g, [2, shape[1] as number, 1 + at(3), 1 + at(3)])], {
          strides: [1 + at(3), 1 + at(2)],
          pads: [at(3), at(3), at(3), at(3)],
        })
      : undefined,
  ConvSame: (g, x, shape, at) =>
    image(shape)
      ? g.node("Conv", [x, weights(g, [2, shape[1] as number, 1 + at(4), 1 + at(4)])], {
          strides: [1 + at(3), 1 + at(3)],
          auto_pad: ["SAME_UPPER", "SAME_LOWER", "VALID"][at(3)] as string,
        })
      : undefined,
  MaxPool: (g, x, shape, at) =>
    image(shape) ? g.node("MaxPool", [x], { ...window(at), ceil_mode: at(2) }) : undefined,
  AveragePool: (g, x, shape, at) =>
    image(shape) ? g.node("AveragePool", [x], { ...window(at), ceil_mode: at(2) }) : undefined,
  GlobalAveragePool: (g, x, shape) => (image(shape) ? g.node("GlobalAveragePool", [x]) : undefined),
  Transpose: (g, x, shape, at) => {
    const left = shape.map((_, i) => i);
    const perm = shape.map(() => left.splice(at(left.length), 1)[0] as number);
    return at(4) === 0 ? g.node("Transpose", [x]) : g.node("Transpose", [x], { perm });
  },
  Flatten: (g, x, shape, at) => g.node("Flatten", [x], { axis: at(2 * shape.length + 1) - shape.length }),
  Reshape: (g, x, shape, at) => {
    const [first = 1, ...rest] = shape;
    const targets = [
      [-1],
      [first, -1],
      shape.length > 0 ? [0, -1] : [1],
      [1, -1, 1],
      [-1, volume(rest)],
      [...shape.slice().reverse()],
    ];
    return g.node("Reshape", [x, g.ints(targets[at(targets.length)] as number[])]);
  },
  Unsqueeze: (g, x, shape, at) =>
    shape.length < 4
      ? g.node("Unsqueeze", [x, g.ints([at(2) === 0 ? at(shape.length + 1) : -1 - at(shape.length + 1)])])
      : undefined,
  Squeeze: (g, x, shape, at) => {
    const ones = shape.flatMap((length, i) => (length === 1 ? [i] : []));
    if (ones.length === 0) return undefined;
    return at(3) === 0
      ? g.node("Squeeze", [x])
      : g.node("Squeeze", [x, g.ints([ones[at(ones.length)] as number])]);
  },
  Concat: (g, x, shape, at) =>
    shape.length > 0 ? g.node("Concat", [x, x], { axis: at(2 * shape.length) - shape.length }) : undefined,
  Slice: (g, x, shape, at) => {
    if (shape.length === 0) return undefined;
    const axis = at(shape.length);
    const length = shape[axis] as number;
    const [start, end] = [at(2 * length) - length, [length, 2 ** 31, -1, at(length) + 1][at(4)] as number];
    return g.node("Slice", [x, g.ints([start]), g.ints([end]), g.ints([axis]), g.ints([1 + at(3)])]);
  },
  Gather: (g, x, shape, at) => {
    if (shape.length === 0) return undefined;
    const axis = at(shape.length);
    const index = at(2 * (shape[axis] as number)) - (shape[axis] as number);
    const indices = [g.ints([index], []), g.ints([index, 0], [2]), g.ints([0, index], [1, 2])];
    return shape.length < 3 || at(2) === 0
      ? g.node("Gather", [x, indices[at(shape.length < 3 ? 3 : 1)] as string], { axis })
      : undefined;
  },
  Pad: (g, x, shape, at) =>
    shape.length > 0 ? g.node("Pad", [x, g.ints([...shape, ...shape].map(() => at(3)))]) : undefined,
  ReduceMean: (g, x, shape, at) =>
    shape.length > 0
      ? g.node("ReduceMean", [x], { axes: [at(2 * shape.length) - shape.length], keepdims: at(2) })
      : undefined,
  ReduceSum: (g, x, shape, at) =>
    shape.length > 0
      ? g.node("ReduceSum", at(3) === 0 ? [x] : [x, g.ints([at(shape.length)])], {
          keepdims: at(2),
          noop_with_empty_axes: at(2),
        })
      : undefined,
  MatMul: (g, x, shape, at) => {
    const inner = shape.at(-1);
    if (inner === undefined) return undefined;
    const dims = [[inner], [inner, 3], [1, inner, 2], [inner, 1]][at(shape.length === 1 ? 2 : 4)] as number[];
    return g.node("MatMul", [x, weights(g, dims)]);
  },
  Gemm: (g, x, shape, at) => {
    if (shape.length !== 2) return undefined;
    const [transA, transB] = [at(2), at(2)];
    const inner = shape[transA === 1 ? 0 : 1] as number;
    return g.node("Gemm", [x, weights(g, transB === 1 ? [5, inner] : [inner, 5])], { transA, transB });
  },
  Add: (g, x, shape, at) => {
    const dims = shape.slice(at(shape.length + 1)).map((length) => (at(2) === 0 ? 1 : length));
    return g.node("Add", [
      weights(g, at(3) === 0 && shape.length < 4 ? [2, ...shape.map(() => 1)] : dims),
      x,
    ]);
  },
  Greater: (g, x, shape) =>
    g.node(
      "Cast",
      [
        g.node("Greater", [
          x,
          weights(
            g,
            shape.map(() => 1),
          ),
        ]),
      ],
      { to: 1 },
    ),
  Split: (g, x, shape, at) => {
    if (shape.length === 0) return undefined;
    const axis = at(shape.length);
    const length = shape[axis] as number;
    if (length < 2) return undefined;
    const first = 1 + at(length - 1);
    const parts = [g.ints([first, length - first])];
    const even = length % 2 === 0 && at(2) === 0;
    return g.nodes("Split", even ? [x] : [x, ...parts], 2, { axis })[at(2)];
  },
  Expand: (g, x, shape, at) => g.node("Expand", [x, g.ints([...(at(2) ? [2] : []), ...shape.map(() => 1)])]),
  Tile: (g, x, shape, at) =>
    shape.length > 0 ? g.node("Tile", [x, g.ints(shape.map(() => 1 + at(2)))]) : undefined,
  ConvTranspose: (g, x, shape, at) => {
    if (!image(shape)) return undefined;
    const strides = [1 + at(3), 1 + at(2)];
    return g.node("ConvTranspose", [x, weights(g, [shape[1] as number, 2, 3, 2 + at(2)])], {
      strides,
      pads: [at(2), at(2), at(2), at(2)],
      output_padding: strides.map((stride) => at(stride)),
    });
  },
  Resize: (g, x, shape, at) => {
    if (!image(shape)) return undefined;
    const scales = g.constant("scales", float32([1, 1, [0.5, 1.7, 2][at(3)] as number, 1 + at(2)]));
    const sizes = g.ints([shape[0] as number, shape[1] as number, 3 + at(9), 5]);
    return g.node("Resize", at(2) === 0 ? [x, "", scales] : [x, "", "", sizes]);
  },
  DepthToSpace: (g, x, shape) =>
    image(shape) && (shape[1] as number) % 4 === 0
      ? g.node("DepthToSpace", [x], { blocksize: 2 })
      : undefined,
  SpaceToDepth: (g, x, shape) =>
    image(shape) && (shape[2] as number) % 2 === 0 && (shape[3] as number) % 2 === 0
      ? g.node("SpaceToDepth", [x], { blocksize: 2 })
      : undefined,
  ArgMax: (g, x, shape, at) =>
    shape.length > 0
      ? g.node("Cast", [g.node("ArgMax", [x], { axis: at(shape.length), keepdims: at(2) })], { to: 1 })
      : undefined,
  TopK: (g, x, shape, at) =>
    shape.length > 0 ? g.nodes("TopK", [x, g.ints([1])], 2, { axis: at(shape.length) })[0] : undefined,
  /** Arithmetic on shapes, as exporters write it. */
  ShapeArithmetic: (g, x, shape, at) => {
    if (shape.length === 0) return undefined;
    const length = g.node("Gather", [g.node("Shape", [x]), g.ints([at(shape.length)], [])]);
    const half = g.node(
      "Cast",
      [g.node("Floor", [g.node("Div", [g.node("Cast", [length], { to: 1 }), g.floats([2], [])])])],
      { to: 7 },
    );
    const steps: (() => string)[] = [
      () => g.node("Range", [g.ints([0], []), half, g.ints([1], [])]),
      () => g.node("ConstantOfShape", [g.node("Unsqueeze", [half, g.ints([0])])], { value: int64([3]) }),
      () => g.node("Where", [g.node("Equal", [half, g.ints([1], [])]), length, half]),
      () => g.node("ReduceProd", [g.node("Shape", [x])], { keepdims: at(2) }),
      () => g.node("Mod", [g.node("Neg", [length]), g.ints([3], [])]),
      () => g.node("Max", [g.node("Size", [x]), length, g.ints([4], [1])]),
      () => g.node("Slice", [g.node("Shape", [x]), g.ints([-1]), g.ints([-9]), g.ints([0]), g.ints([-1])]),
    ];
    return g.node("Cast", [(steps[at(steps.length)] as () => string)()], { to: 1 });
  },
  Shape: (g, x, shape, at) =>
    shape.length > 0
      ? g.node("Cast", [g.node("Shape", [x], { start: at(2 * shape.length) - shape.length })], { to: 1 })
      : undefined,
};

describe("inferred shapes are those of ONNX Runtime", () => {
  test("of random networks", { timeout: 60_000 }, () =>
    fc.assert(
      fc.asyncProperty(recipes, (recipe) => compareShapes(build(recipe))),
      { numRuns: 100, seed: 5 },
    ),
  );

  test("of PyTorch's network and its flatten", async () => {
    await compareShapes(readOnnx(PYTORCH));
    await compareShapes(flattenIdiom());
  });

  test.each(["MaxPool", "AveragePool"])(
    "of %s in ceil_mode, with windows that reach beyond the border",
    async (op) => {
      for (const kernel of [1, 2, 3])
        for (const stride of [1, 2, 3])
          for (const before of [0, 1])
            for (const after of [0, 1]) {
              const g = new GraphBuilder("pool", 17);
              const pads = [0, before, 0, after].map((pad) => Math.min(pad, kernel - 1));
              const attributes = { kernel_shape: [2, kernel], strides: [1, stride], pads, ceil_mode: 1 };
              g.node(op, [g.input("x", "float32", ["N", 2, 6, 8])], attributes);
              await compareShapes(g.build());
            }
    },
  );

  const programs = fc.record({
    shape: fc.constantFrom<number[]>([2, 3, 8, 8], [1, 2, 7, 5], [4, 6], [5], [2, 1, 3]),
    steps: fc.array(
      fc.tuple(
        fc.constantFrom(...Object.keys(STEPS)),
        fc.array(fc.nat(999), { minLength: 12, maxLength: 12 }),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
  });
  test("of random operators on random shapes", { timeout: 60_000 }, () =>
    fc.assert(
      fc.asyncProperty(programs, async ({ shape, steps }) => {
        const g = new GraphBuilder("program", 17);
        let x = g.input("x", "float32", shape);
        let now: number[] = shape;
        for (const [name, free] of steps) {
          let next = 0;
          const at = (below: number) => (free[next++ % free.length] as number) % below;
          const y = now.includes(0) || volume(now) > 20000 ? undefined : STEPS[name]?.(g, x, now, at);
          if (y === undefined) continue;
          x = y;
          now = inferShapes(g.build()).get(x)?.shape as number[];
        }
        if (g.build().nodes.length > 0) await compareShapes(g.build());
      }),
      { numRuns: 400, seed: 6 },
    ),
  );

  test.each<[string, (g: GraphBuilder, x: string) => string, RegExp]>([
    [
      "an operator without rule",
      (g, x) => g.node("Einsum", [x], { equation: "a->a" }),
      /Einsum node "Einsum": no shape rule/,
    ],
    [
      "shapes that do not broadcast",
      (g, x) => g.node("Add", [x, weights(g, [5])]),
      /\[2, 3, 8, 8\] and \[5\] do not broadcast/,
    ],
    [
      "channels that differ",
      (g, x) => g.node("Conv", [x, weights(g, [1, 2, 1, 1])]),
      /3 channels, the weight \[1, 2, 1, 1\] expects 2/,
    ],
    [
      "a window that does not fit",
      (g, x) => g.node("Conv", [x, weights(g, [1, 3, 9, 9])]),
      /window of 9 does not fit into a padded length of 8/,
    ],
    [
      "a product of lengths that differ",
      (g, x) => g.node("MatMul", [x, weights(g, [7, 2])]),
      /inner lengths 8 and 7 differ/,
    ],
    [
      "a reshape that does not divide",
      (g, x) => g.node("Reshape", [x, g.ints([-1, 7])]),
      /cannot be reshaped to \[-1, 7\]/,
    ],
    [
      "an axis out of range",
      (g, x) => g.node("Flatten", [x], { axis: 6 }),
      /axis 6 is out of range for rank 4/,
    ],
  ])("refused: %s", (_, make, message) => {
    const g = new GraphBuilder("wrong");
    make(g, g.input("x", "float32", [2, 3, 8, 8]));
    expect(() => inferShapes(g.build())).toThrow(OnnxError);
    expect(() => inferShapes(g.build())).toThrow(message);
  });
});

describe("parts of a file that this package does not use stay as they are:", () => {
  const { withField, message, varint } = wire();

  test("element types without an array, sparse constants, functions, later IR versions", () => {
    const proto = fromBinary(ModelProtoSchema, writeOnnx(flattenIdiom()));
    proto.irVersion = 11n;
    proto.functions = [Uint8Array.of(0x0a, 1, 0x66)];
    const graph = proto.graph as NonNullable<typeof proto.graph>;
    const types = [
      [8, { stringData: [new TextEncoder().encode("é"), new Uint8Array([0xff])] }],
      [21, { rawData: Uint8Array.of(0x21) }],
      [16, { rawData: Uint8Array.of(0x80, 0x3f, 0, 0xc0) }],
      [17, { int32Data: [7, 255] }],
      [12, { uint64Data: [2n ** 32n - 1n, 3n] }],
      [13, { uint64Data: [2n ** 64n - 1n, 3n] }],
      [14, { floatData: [1, 2, 3, 4] }],
    ] as const;
    for (const [dataType, data] of types)
      graph.initializer.push(
        create(TensorProtoSchema, { name: `t${dataType}`, dims: [2n], dataType, ...data } as never),
      );
    graph.sparseInitializer.push(
      create(SparseTensorProtoSchema, {
        values: { name: "sparse", dataType: 1, dims: [2n], floatData: [5, 6] },
        indices: { dataType: 7, dims: [2n, 2n], int64Data: [0n, 1n, 1n, 2n] },
        dims: [2n, 3n],
      }),
    );
    const read = readOnnx(toBinary(ModelProtoSchema, proto));
    expect(read.initializers.get("t16")?.data).toEqual(Uint16Array.of(0x3f80, 0xc000));
    expect(read.initializers.get("t12")?.data).toEqual(Uint32Array.of(2 ** 32 - 1, 3));
    expect(read.initializers.get("t13")?.data).toEqual(BigUint64Array.of(2n ** 64n - 1n, 3n));
    expect(read.initializers.get("sparse")).toEqual(float32([0, 5, 0, 0, 0, 6], [2, 3]));
    expect(readOnnx(writeOnnx(read))).toEqual(read);
    const again = fromBinary(ModelProtoSchema, writeOnnx(read));
    expect([again.irVersion, again.functions]).toEqual([11n, proto.functions]);
    const [text, packed] = ["t8", "t21"].map((name) =>
      again.graph?.initializer.find((tensor) => tensor.name === name),
    );
    expect(text?.stringData).toEqual(types[0][1].stringData);
    expect(packed?.rawData).toEqual(Uint8Array.of(0x21));
  });

  test("values that are not tensors, unknown lengths, attributes of later versions", () => {
    const proto = fromBinary(ModelProtoSchema, writeOnnx(flattenIdiom()));
    const graph = proto.graph as NonNullable<typeof proto.graph>;
    // TypeProto.sequence_type = 4 { elem_type = 1 { tensor_type = 1 { elem_type = 1 } } }
    const sequence = withField(4, withField(1, withField(1, varint(1, 1))));
    graph.output.push(message("list", sequence));
    graph.node[0]?.output.push("list");
    const shape = graph.input[0]?.type?.value;
    if (shape?.case === "tensorType")
      (shape.value.shape?.dim ?? [])[1] = create(TensorShapeProto_DimensionSchema, {
        value: { case: "dimValue", value: -1n },
      });
    const read = readOnnx(toBinary(ModelProtoSchema, proto));
    expect(read.outputs[1]).toMatchObject({ name: "list", type: "other" });
    expect(read.inputs[0]?.shape).toEqual(["batch", "x_1", 8, 8]);
    expect(readOnnx(writeOnnx(read))).toEqual(read);
  });
});

/** A few bytes of protobuf, written by hand. */
function wire() {
  const varint = (field: number, value: number) => Uint8Array.of(field << 3, value);
  const withField = (field: number, bytes: Uint8Array) =>
    Uint8Array.of((field << 3) | 2, bytes.length, ...bytes);
  const message = (name: string, type: Uint8Array) =>
    create(ValueInfoProtoSchema, { name, type: fromBinary(TypeProtoSchema, type) });
  return { varint, withField, message };
}

describe("constants in files beside the model", () => {
  const weights = Uint8Array.from({ length: 64 }, (_, i) => i);
  const model = (...entries: [string, string][]) => {
    const proto = fromBinary(ModelProtoSchema, writeOnnx(flattenIdiom()));
    proto.graph?.initializer.push(
      create(TensorProtoSchema, {
        name: "outside",
        dataType: 1,
        dims: [3n],
        dataLocation: 1,
        externalData: entries.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
      }),
    );
    return toBinary(ModelProtoSchema, proto);
  };
  const external = (location: string) => {
    if (location !== "sub/w.bin") throw new OnnxError(`no ${location}`);
    return weights;
  };

  test("are read into the graph", () => {
    const file = model(["location", "sub/w.bin"], ["offset", "8"], ["length", "12"]);
    const graph = readOnnx(file, { external });
    const expected = new Float32Array(weights.slice(8, 20).buffer);
    expect(graph.initializers.get("outside")).toEqual(float32(expected, [3]));
    expect(readOnnx(writeOnnx(graph)).initializers.get("outside")?.data).toEqual(expected);
    expect(readOnnx(model(["location", "sub/w.bin"]), { external }).initializers.has("outside")).toBe(true);
  });

  test.each<[string, [string, string][], RegExp]>([
    [
      "a path upwards",
      [["location", "../w.bin"]],
      /"\.\.\/w.bin", expected a path inside the model's folder/,
    ],
    ["a path upwards, later", [["location", "a/../../w.bin"]], /expected a path inside/],
    ["a path of Windows", [["location", "a\\..\\w.bin"]], /expected a path inside/],
    ["a path from the root", [["location", "/etc/passwd"]], /expected a path inside/],
    ["a drive", [["location", "C:w.bin"]], /expected a path inside/],
    ["no path", [["offset", "0"]], /"", expected a path inside/],
    [
      "another length",
      [
        ["location", "sub/w.bin"],
        ["length", "8"],
      ],
      /at 0 with 8 bytes, expected 12/,
    ],
    [
      "an offset that is none",
      [
        ["location", "sub/w.bin"],
        ["offset", "-4"],
      ],
      /at -4 with/,
    ],
    [
      "a file that is too short",
      [
        ["location", "sub/w.bin"],
        ["offset", "60"],
      ],
      /from byte 60 to 72, which holds 64 bytes/,
    ],
  ])("refused: %s", (_, entries, reason) => {
    expect(() => readOnnx(model(...entries), { external })).toThrow(OnnxError);
    expect(() => readOnnx(model(...entries), { external })).toThrow(reason);
  });
});

describe("partial inference", () => {
  test("leaves out what it cannot infer, and trusts the shapes in the file", () => {
    const g = new GraphBuilder("partial");
    const x = g.input("x", "float32", ["N", 3, 8, 8]);
    const unknown = g.node("Unknown", [x]);
    const after = g.node("Relu", [unknown]);
    const told = g.node("Unknown", [after], {}, "told");
    const then = g.node("Flatten", [told]);
    g.node("Slice", [x, g.ints([0]), unknown], {}, "sliced");
    const graph = { ...g.build(), values: [{ name: "told", type: "float32" as const, shape: ["N", 5, 2] }] };
    const facts = inferShapes(graph, { partial: true });
    expect([unknown, after].map((name) => facts.get(name))).toEqual([undefined, undefined]);
    expect(facts.get(then)?.shape).toEqual(["N", 10]);
    expect(() => inferShapes(graph)).toThrow(/Unknown node "Unknown": no shape rule/);
  });

  test("follows lengths that are only known at run time through arithmetic on shapes", () => {
    const g = new GraphBuilder("dynamic");
    const x = g.input("x", "float32", ["N", 3, "H", "W"]);
    const shape = g.node("Shape", [x]);
    const spatial = g.node("Slice", [shape, g.ints([2]), g.ints([2 ** 31])]);
    const doubled = g.node("Mul", [spatial, g.ints([2])]);
    const front = g.node("Slice", [shape, g.ints([0]), g.ints([2])]);
    const target = g.node("Concat", [front, doubled], { axis: 0 });
    const y = g.node("Resize", [x, "", "", target], { mode: "nearest" });
    const flat = g.node("Reshape", [y, g.ints([0, 3, -1])]);
    const facts = inferShapes(g.build());
    const [n, c, h, w] = facts.get(y)?.shape ?? [];
    expect([n, c]).toEqual(["N", 3]);
    expect(typeof h).toBe("string");
    expect(h).not.toBe(w);
    expect(facts.get(flat)?.shape.slice(0, 2)).toEqual(["N", 3]);
  });

  test("folds constants of each type to the same type", () => {
    const g = new GraphBuilder("types", 17);
    const x = g.input("x", "float32", [4]);
    const eps = g.node("Add", [g.floats([0.1, 0.2, 0.3, 0.4]), g.floats([1e-5], [])]);
    const scale = g.node("Div", [g.floats([1], []), g.node("Sqrt", [eps])]);
    g.output(g.node("Mul", [x, scale]), "y", "float32", [4]);
    const { nodes, initializers } = foldConstants(g.build());
    expect(nodes.map(({ op }) => op)).toEqual(["Mul"]);
    const folded = initializers.get(nodes[0]?.inputs[1] as string);
    const expected = [0.1, 0.2, 0.3, 0.4].map((v) => Math.fround(v) + Math.fround(1e-5)).map(Math.fround);
    expect(folded).toEqual(float32(expected.map((v) => 1 / Math.fround(Math.sqrt(v)))));
  });
});
