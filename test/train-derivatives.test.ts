import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { float, GraphBuilder, type PlainAttribute } from "../packages/conversion/src/onnx/builder.js";
import { type Constant, type Graph, int64 } from "../packages/conversion/src/onnx/graph.js";
import { inferShapes } from "../packages/conversion/src/onnx/infer.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { backward } from "../packages/training/src/train/backward.js";
import { DERIVATIVES } from "../packages/training/src/train/derivatives.js";
import { forwardPass, resolve } from "../packages/training/src/train/forward.js";
import { TrainingError } from "../packages/training/src/train/rule.js";
import { gradientGraph } from "../packages/training/src/train/training-graph.js";
import * as f64 from "./reference/float64.js";
import { lehmer } from "./reference/lehmer.js";

/** One operator on small odd shapes, and its definition. */
interface Case {
  op: string;
  what?: string;
  /** Shapes of the inputs to differentiate; if `open`, the first length is a name in the graph. */
  shapes: number[][];
  constants?: Constant[];
  attributes?: Record<string, PlainAttribute>;
  /** Uniform between these; the default straddles 0. */
  range?: [number, number];
  meaning: (...xs: f64.Array64[]) => f64.Array64;
}

const unary = (op: string, f: (x: number) => number, range?: [number, number]): Case => ({
  op,
  shapes: [[2, 3, 5]],
  ...(range && { range }),
  meaning: f64.map(f),
});
const binary = (op: string, f: (a: number, b: number) => number, range?: [number, number]): Case[] =>
  [
    [
      [2, 3, 5],
      [2, 3, 5],
    ],
    [
      [2, 3, 5],
      [3, 1],
    ],
    [
      [2, 1, 5],
      [2, 3, 1],
    ],
    [[4], [2, 3, 4]],
    [[2, 3], [1]],
  ].map((shapes) => ({
    op,
    what: JSON.stringify(shapes),
    shapes,
    ...(range && { range }),
    meaning: f64.zip(f),
  }));

const conv = (
  what: string,
  x: number[],
  w: number[],
  window: f64.Window64 & { group?: number; bias?: boolean } = {},
): Case => {
  const { group = 1, bias = false, ...rest } = window;
  return {
    op: "Conv",
    what,
    shapes: [x, w, ...(bias ? [[w[0] as number]] : [])],
    attributes: { group, ...(rest as Record<string, number[]>) },
    meaning: (input, weight, b) => f64.conv(input as f64.Array64, weight as f64.Array64, b, rest, group),
  };
};

const pool = (
  what: string,
  x: number[],
  kernel: number[],
  window: f64.Window64 = {},
  includePad = 0,
): Case => ({
  op: "AveragePool",
  what,
  shapes: [x],
  attributes: {
    kernel_shape: kernel,
    count_include_pad: includePad,
    ...(window as Record<string, number[]>),
  },
  meaning: (input) => f64.averagePool(input as f64.Array64, kernel, window, includePad === 1),
});

const same3 = [1, 1, 1, 1];
const CASES: Case[] = [
  conv("3x3", [2, 3, 5, 4], [4, 3, 3, 3], { pads: same3 }),
  conv("3x3, no padding", [2, 3, 6, 7], [4, 3, 3, 3], { bias: true }),
  conv("3x3, uneven padding", [2, 3, 5, 4], [4, 3, 3, 3], { pads: [2, 0, 1, 1] }),
  conv("3x3, wide padding", [2, 3, 4, 5], [4, 3, 3, 3], { pads: [3, 1, 4, 3] }),
  conv("3x3, one channel in", [2, 1, 6, 5], [4, 1, 3, 3], { pads: same3 }),
  conv("3x3, stride 2, even size", [2, 3, 8, 6], [4, 3, 3, 3], { pads: same3, strides: [2, 2] }),
  conv("3x3, stride 2, odd size", [2, 3, 7, 5], [4, 3, 3, 3], { pads: same3, strides: [2, 2], bias: true }),
  conv("3x3, stride 3 by 2, rows unread", [1, 2, 8, 8], [3, 2, 3, 3], { strides: [3, 2] }),
  conv("1x1", [2, 3, 4, 5], [4, 3, 1, 1]),
  conv("1x1, stride 2", [2, 3, 4, 5], [4, 3, 1, 1], { strides: [2, 2] }),
  conv("2x2", [2, 3, 5, 4], [4, 3, 2, 2], { pads: [1, 0, 0, 1] }),
  conv("5x3, dilated", [2, 2, 7, 6], [2, 2, 5, 3], { pads: [3, 2, 4, 2], dilations: [2, 2] }),
  conv("3x3, stride 2, dilated", [1, 2, 9, 8], [2, 2, 3, 3], {
    pads: same3,
    dilations: [2, 1],
    strides: [2, 2],
  }),
  conv("3x3, groups", [2, 4, 5, 6], [6, 2, 3, 3], { pads: same3, group: 2 }),
  conv("3x3, stride 2, groups", [2, 6, 5, 6], [6, 2, 3, 3], { pads: same3, group: 3, strides: [2, 2] }),
  conv("3x3, each channel by itself", [2, 4, 5, 6], [4, 1, 3, 3], { pads: same3, group: 4 }),
  conv("3, one dimension", [2, 3, 7], [4, 3, 3], { pads: [1, 1] }),
  conv("3, one dimension, stride 2", [2, 3, 7], [4, 3, 3], { pads: [1, 1], strides: [2] }),
  ...[
    [3, 4, 5, 2],
    [2, 3, 7],
    [7, 3],
  ].map(
    (shape): Case => ({
      op: "BatchNormalization",
      what: JSON.stringify(shape),
      shapes: [shape, [shape[1] as number], [shape[1] as number]],
      constants: [0, 1].map((fill) => ({
        type: "float32",
        dims: [shape[1] as number],
        data: new Float32Array(shape[1] as number).fill(fill),
      })),
      attributes: { epsilon: float(1e-3) },
      meaning: (x, gamma, beta) =>
        f64.batchNorm(x as f64.Array64, gamma as f64.Array64, beta as f64.Array64, 1e-3),
    }),
  ),
  pool("3x3, stride 1", [2, 3, 5, 6], [3, 3]),
  pool("2x2, stride 2, rows unread", [2, 3, 5, 6], [2, 2], { strides: [2, 2] }),
  pool("3x2, padding left out", [2, 3, 5, 6], [3, 2], { strides: [2, 1], pads: [1, 0, 1, 1] }),
  pool("3x2, padding counted", [2, 3, 5, 6], [3, 2], { strides: [2, 1], pads: [1, 0, 1, 1] }, 1),
  pool("the whole image", [2, 3, 5, 6], [5, 6]),
  {
    op: "GlobalAveragePool",
    shapes: [[2, 3, 5, 4]],
    meaning: (x) => f64.sum(x as f64.Array64, [2, 3], true),
  },
  ...[0, 1, 2, 3].map((bits): Case => {
    const [transA, transB] = [bits & 1, bits >> 1];
    const turned = (x: f64.Array64, turn: number) => (turn ? f64.transpose(x, [1, 0]) : x);
    const scale = (factor: number) => f64.map((x) => factor * x);
    return {
      op: "Gemm",
      what: `transA ${transA}, transB ${transB}`,
      shapes: [transA ? [5, 3] : [3, 5], transB ? [4, 5] : [5, 4], bits % 2 ? [4] : [3, 1]],
      attributes: { transA, transB, alpha: float(0.5), beta: float(2) },
      meaning: (a, b, c) =>
        f64.zip((x, y) => x + y)(
          scale(0.5)(f64.matmul(turned(a as f64.Array64, transA), turned(b as f64.Array64, transB))),
          scale(2)(c as f64.Array64),
        ),
    };
  }),
  ...[
    [
      [3, 4],
      [4, 5],
    ],
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    [
      [2, 3, 4],
      [4, 5],
    ],
    [
      [3, 4],
      [2, 4, 5],
    ],
    [
      [2, 1, 3, 4],
      [3, 4, 2],
    ],
  ].map(
    (shapes): Case => ({
      op: "MatMul",
      what: JSON.stringify(shapes),
      shapes,
      meaning: (a, b) => f64.matmul(a as f64.Array64, b as f64.Array64),
    }),
  ),
  unary("Relu", (x) => Math.max(0, x)),
  unary("Sigmoid", (x) => 1 / (1 + Math.exp(-x))),
  unary("Tanh", Math.tanh),
  unary("Exp", Math.exp),
  unary("Log", Math.log, [0.5, 2]),
  unary("Neg", (x) => -x),
  unary("Identity", (x) => x),
  ...binary("Add", (a, b) => a + b),
  ...binary("Sub", (a, b) => a - b),
  ...binary("Mul", (a, b) => a * b),
  ...binary("Div", (a, b) => a / b, [0.5, 2]),
  { op: "Flatten", shapes: [[2, 3, 5]], meaning: (x) => f64.reshape(x as f64.Array64, [2, 15]) },
  {
    op: "Reshape",
    shapes: [[2, 6]],
    constants: [int64([0, 2, -1])],
    meaning: (x) => f64.reshape(x as f64.Array64, [2, 2, 3]),
  },
  {
    op: "Squeeze",
    shapes: [[2, 1, 3]],
    constants: [int64([1])],
    meaning: (x) => f64.reshape(x as f64.Array64, [2, 3]),
  },
  {
    op: "Unsqueeze",
    shapes: [[2, 3]],
    constants: [int64([0, 3])],
    meaning: (x) => f64.reshape(x as f64.Array64, [1, 2, 3, 1]),
  },
  {
    op: "Transpose",
    shapes: [[2, 3, 4]],
    attributes: { perm: [2, 0, 1] },
    meaning: (x) => f64.transpose(x as f64.Array64, [2, 0, 1]),
  },
  {
    op: "Pad",
    shapes: [[2, 3, 4]],
    constants: [int64([0, 1, 2, 0, 0, 1])],
    meaning: (x) => f64.pad(x as f64.Array64, [0, 1, 2, 0, 0, 1]),
  },
  {
    op: "Concat",
    shapes: [
      [2, 3, 2],
      [2, 1, 2],
      [2, 2, 2],
    ],
    attributes: { axis: 1 },
    meaning: (...parts) => f64.concat(parts, 1),
  },
  {
    op: "ReduceSum",
    shapes: [[2, 3, 4]],
    constants: [int64([0, 2])],
    attributes: { keepdims: 0 },
    meaning: (x) => f64.sum(x as f64.Array64, [0, 2]),
  },
  {
    op: "ReduceMean",
    shapes: [[2, 3, 4]],
    attributes: { axes: [1, 2] },
    meaning: (x) => f64.sum(x as f64.Array64, [1, 2], true),
  },
];

/** A graph of the node alone, whose differentiated inputs are the graph's inputs `x0`, `x1`, … */
function graphOf({ op, shapes, constants = [], attributes = {} }: Case): Graph {
  const g = new GraphBuilder(op, 17);
  const xs = shapes.map((shape, i) => g.input(`x${i}`, "float32", shape));
  const rest = constants.map((value) => g.constant("constant", value));
  const y = g.node(op, [...xs, ...rest], attributes);
  g.output(y, "y", "float32", inferShapes(g.graph).get(y)?.shape ?? []);
  return g.build();
}

async function gradients(graph: Graph, xs: f64.Array64[], s: f64.Array64): Promise<Float32Array[]> {
  const g = new GraphBuilder("gradients", 17);
  const values = new Map<string, string>();
  for (const { name, type, shape } of graph.inputs) values.set(name, g.input(name, type, shape ?? []));
  for (const [name, value] of graph.initializers) values.set(name, g.constant(name, value));
  const seed = g.input("seed", "float32", s.dims);
  const names = graph.inputs.map(({ name }) => name);
  const { contexts } = forwardPass(g, graph, values, names);
  const found = backward(g, contexts, [resolve(values, "y"), seed]);
  for (const [i, name] of names.entries())
    g.output(found.get(resolve(values, name)) as string, `d${name}`, "float32", xs[i]?.dims ?? []);
  const session = await openSession(g.build());
  const tensor = ({ dims, data }: f64.Array64) => new Tensor("float32", Float32Array.from(data), dims);
  const feeds = Object.fromEntries(names.map((name, i) => [name, tensor(xs[i] as f64.Array64)]));
  const results = await session.run({ ...feeds, seed: tensor(s) });
  const read = names.map((name, i) => {
    expect(results[`d${name}`]?.dims).toEqual(xs[i]?.dims);
    return results[`d${name}`]?.data as Float32Array;
  });
  await session.release();
  return read;
}

describe("each derivative against central differences in float64", () => {
  test.each(CASES.map((one) => [`${one.op}${one.what ? `: ${one.what}` : ""}`, one] as const))(
    "%s",
    async (_, one) => {
      const random = lehmer(3);
      const [low, high] = one.range ?? [-1, 1];
      const filled = (dims: number[]): f64.Array64 => ({
        dims,
        // float32 values, none within 0.01 of the kink of ReLU
        data: Float64Array.from({ length: f64.size(dims) }, () => {
          const value = Math.fround(low + (high - low) * random());
          return Math.abs(value) < 0.01 ? 0.01 : value;
        }),
      });
      const xs = one.shapes.map(filled);
      const s = filled(one.meaning(...xs).dims);
      const expected = f64.centralDifferences(one.meaning, xs, s);
      const graph = graphOf(one);
      s.dims = graph.outputs[0]?.shape as number[];
      const actual = await gradients(graph, xs, s);
      for (const [i, gradient] of expected.entries()) {
        const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
        for (const [j, value] of gradient.entries())
          expect(Math.abs((actual[i]?.[j] as number) - value), `d x${i}[${j}]`).toBeLessThan(2e-5 * largest);
      }
    },
  );

  test("every derivative has a case", () => {
    expect(new Set(CASES.map(({ op }) => op))).toEqual(new Set(Object.keys(DERIVATIVES)));
  });
});

describe("what cannot be differentiated is refused by node, operator and reason", () => {
  const classifier = (op: string, inputs: string[] = [], attributes: Record<string, PlainAttribute> = {}) => {
    const g = new GraphBuilder("small", 17);
    const x = g.input("x", "float32", ["N", 6]);
    const w = g.constant("w", { type: "float32", dims: [6, 4], data: new Float32Array(24) });
    const y = g.node(op, [g.node("MatMul", [x, w]), ...inputs], attributes, "odd");
    g.output(y, "y", "float32", ["N", 4]);
    return g.build();
  };

  test("an operator without a derivative", () => {
    expect(() => gradientGraph(classifier("Erf"))).toThrow(TrainingError);
    expect(() => gradientGraph(classifier("Erf"))).toThrow(
      /Erf node "odd" cannot be trained: Erf has no derivative; these operators have one/,
    );
  });

  test("a case that a derivative does not support", () => {
    const g = new GraphBuilder("ceil", 17);
    const x = g.input("x", "float32", ["N", 1, 5, 5]);
    const w = g.constant("w", { type: "float32", dims: [2, 1, 1, 1], data: new Float32Array(2) });
    const pooled = g.node(
      "AveragePool",
      [g.node("Conv", [x, w])],
      { kernel_shape: [2, 2], ceil_mode: 1 },
      "pool",
    );
    g.output(g.node("Flatten", [pooled]), "y", "float32", ["N", 32]);
    expect(() => gradientGraph(g.build())).toThrow(/AveragePool node "pool" cannot be trained: ceil_mode/);
  });

  test("any operator is allowed before the parameters", async () => {
    const g = new GraphBuilder("small", 17);
    const x = g.node("Erf", [g.input("x", "float32", ["N", 6])]);
    const w = g.constant("w", { type: "float32", dims: [6, 4], data: new Float32Array(24) });
    g.output(g.node("MatMul", [x, w]), "y", "float32", ["N", 4]);
    expect(gradientGraph(g.build()).outputs.map(({ name }) => name)).toEqual(["loss", "correct", "d.w", "y"]);
  });
});
