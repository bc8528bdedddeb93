/** Each rewrite of a model: where it applies, and that what it leaves computes the same in ONNX Runtime. */
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { findImage } from "../packages/conversion/src/convert/image-input.js";
import { REWRITES, rewritesFor } from "../packages/conversion/src/convert/rewrites/list.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { graphAttribute, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import {
  type Constant,
  float32,
  type Graph,
  type Node,
  volume,
} from "../packages/conversion/src/onnx/graph.js";
import { GraphIndex } from "../packages/conversion/src/onnx/graph-index.js";
import { ANY, EditableGraph, type Rewrite, rewrite } from "../packages/conversion/src/onnx/rewrite.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";
import { buildMaps, mapRecipes } from "./reference/random-maps.js";
import { build, recipes } from "./reference/random-networks.js";

type Layers = (g: GraphBuilder, x: string) => string | string[];

const SHAPE = [2, 4, 6, 5];

function network(layers: Layers, opset = 17): Graph {
  const g = new GraphBuilder("network", opset);
  const x = g.input("x", "float32", ["N", ...SHAPE.slice(1)]);
  for (const [i, y] of [layers(g, x)].flat().entries()) g.output(y, `y${i}`, "float32", undefined);
  return g.build();
}

async function run(graph: Graph): Promise<Float32Array[]> {
  const session = await openSession(graph);
  const results = await session.run({ x: new Tensor("float32", uniform(3, volume(SHAPE), -2, 2), SHAPE) });
  await session.release();
  return graph.outputs.map(({ name }) => results[name]?.data as Float32Array);
}

async function expectSame(graph: Graph, other: Graph): Promise<void> {
  const [expected, found] = [await run(graph), await run(other)];
  for (const [i, data] of expected.entries()) {
    expect(found[i]).toHaveLength(data.length);
    expect(largestDifference(found[i] as Float32Array, data)).toBeLessThan(1e-5);
  }
}

const weight = (g: GraphBuilder, dims: number[], seed = 5) =>
  g.constant("w", float32(uniform(seed, volume(dims), -0.5, 0.5), dims));
const convolution = (g: GraphBuilder, x: string, w = weight(g, [4, 4, 3, 3])) =>
  g.node("Conv", [x, w, weight(g, [4])], { pads: [1, 1, 1, 1] });
const normalization = (g: GraphBuilder, x: string) =>
  g.node("BatchNormalization", [
    x,
    ...[1, 2, 3, 4].map((seed) => g.constant("p", float32(uniform(seed, 4, 0.5, 2)))),
  ]);
const zeros = (g: GraphBuilder, x: string, channels: number) => {
  const batch = g.slice(g.node("Shape", [x]), { axis: 0, from: 0, to: 1 });
  return g.node("ConstantOfShape", [g.node("Concat", [batch, g.ints([channels, 6, 5])], { axis: 0 })]);
};
const shuffle = (g: GraphBuilder, x: string) => {
  const apart = g.node("Reshape", [x, g.ints([0, 2, 2, 6, 5])]);
  return g.node("Reshape", [g.node("Transpose", [apart], { perm: [0, 2, 1, 3, 4] }), g.ints([0, 4, 6, 5])]);
};
const NHWC = { perm: [0, 2, 3, 1] };
const NCHW = { perm: [0, 3, 1, 2] };

/** By rewrite: layers to which it applies, how often, and the operators that are left. */
const APPLIES: Record<string, [layers: Layers, times: number, left: string[], opset?: number][]> = {
  "known value": [
    [
      (g, x) => {
        const two = g.node("Constant", [], { value: float32([2]) });
        return g.node("Add", [x, g.node("Mul", [two, g.floats([3])])]);
      },
      2,
      ["Add"],
    ],
  ],
  "Identity that changes nothing": [
    [(g, x) => g.node("Relu", [g.node("Identity", [g.node("Identity", [x])])]), 2, ["Relu"]],
  ],
  "Dropout that changes nothing": [[(g, x) => g.node("Relu", [g.node("Dropout", [x])]), 1, ["Relu"]]],
  "Cast that changes nothing": [[(g, x) => g.node("Relu", [g.node("Cast", [x], { to: 1 })]), 1, ["Relu"]]],
  "Pad that changes nothing": [
    [(g, x) => g.node("Relu", [g.node("Pad", [x, g.ints(Array(8).fill(0))])]), 1, ["Relu"]],
    [(g, x) => g.node("Relu", [g.node("Pad", [x], { pads: Array(8).fill(0) })]), 1, ["Relu"], 10],
  ],
  "Transpose that changes nothing": [
    [(g, x) => g.node("Relu", [g.node("Transpose", [g.node("Transpose", [x], NHWC)], NCHW)]), 1, ["Relu"]],
    // The first stays for what else reads it, and both pairs of four vanish.
    [
      (g, x) => {
        const first = g.node("Transpose", [x], NHWC);
        const back = g.node("Transpose", [first], NCHW);
        const again = g.node("Transpose", [g.node("Transpose", [back], NHWC)], NCHW);
        return [g.node("Relu", [again]), g.node("Neg", [first])];
      },
      2,
      ["Transpose", "Relu", "Neg"],
    ],
  ],
  "constant target of Reshape": [
    [
      (g, x) => {
        const batch = g.slice(g.node("Shape", [x]), { axis: 0, from: 0, to: 1 });
        return g.node("Reshape", [x, g.node("Concat", [batch, g.ints([-1])], { axis: 0 })]);
      },
      1,
      ["Reshape"],
    ],
  ],
  "channels first": [
    [
      (g, x) => {
        const last = g.node("Transpose", [x], NHWC);
        const sum = g.node("Add", [last, weight(g, [4])]);
        return g.node("Relu", [g.node("Transpose", [g.node("Sigmoid", [sum])], NCHW)]);
      },
      4,
      ["Add", "Sigmoid", "Relu"],
    ],
  ],
  "batch normalisation into convolution": [
    [(g, x) => g.node("Relu", [normalization(g, convolution(g, x))]), 1, ["Conv", "Relu"]],
    [(g, x) => normalization(g, normalization(g, convolution(g, x))), 2, ["Conv"]],
    // Two convolutions with one weight.
    [
      (g, x) => {
        const w = weight(g, [4, 4, 3, 3]);
        return [normalization(g, convolution(g, x, w)), normalization(g, convolution(g, x, w))];
      },
      2,
      ["Conv", "Conv"],
    ],
  ],
  "shuffle of channels": [[(g, x) => g.node("Relu", [shuffle(g, x)]), 1, ["Gather", "Relu"]]],
  "one channel": [
    [
      (g, x) => {
        const index = g.constant("i", { type: "int64", dims: [], data: BigInt64Array.of(-1n) });
        const one = g.node("Gather", [x, index], { axis: 1 });
        return g.node("Relu", [g.node("Unsqueeze", [one, g.ints([1])])]);
      },
      1,
      ["Gather", "Relu"],
    ],
  ],
  "channels of zeros": [
    [
      (g, x) => {
        const parts = [zeros(g, x, 1), x, g.node("Neg", [x]), zeros(g, x, 2)];
        return g.node("Relu", [g.node("Concat", parts, { axis: 1 })]);
      },
      1,
      ["Neg", "Concat", "Pad", "Relu"],
    ],
    [(g, x) => g.node("Concat", [x, zeros(g, x, 2)], { axis: -3 }), 1, ["Pad"], 10],
  ],
};

const NAMED = new Map(REWRITES.map(([one]) => [one.name, one]));

describe("every rewrite of the list, alone, leaves a graph with the same outputs", () => {
  test("all have examples", () => {
    expect(Object.keys(APPLIES).sort()).toEqual([...NAMED.keys()].sort());
  });

  const cases = Object.entries(APPLIES).flatMap(([name, all]) =>
    all.map(([layers, times, left, opset]) => ({ name, layers, times, left, opset })),
  );
  test.each(cases)("$name: $left", async ({ name, layers, times, left, opset }) => {
    const graph = network(layers, opset);
    const rule = NAMED.get(name) as Rewrite;
    const { graph: rewritten, applied } = rewrite(graph, [rule], { partial: true });
    expect(applied.get(name)).toBe(times);
    expect(rewritten.nodes.map(({ op }) => op)).toEqual(left);
    await expectSame(graph, rewritten);
    // Nothing is left to do, and the model that it came from is as it was.
    expect(rewrite(rewritten, [rule], { partial: true }).applied.get(name)).toBe(0);
    expect(graph).toEqual(network(layers, opset));
  });
});

describe("a chain of nodes is rewritten only where nothing else reads the values between them", () => {
  const stays = (layers: Layers) => {
    const graph = network(layers);
    const { graph: rewritten, applied } = rewrite(graph, rewritesFor("blockwise"), { partial: true });
    expect([...applied.values()].reduce((a, b) => a + b)).toBe(0);
    expect(rewritten.nodes).toEqual(graph.nodes);
    return expectSame(graph, rewritten);
  };

  test("another node", () =>
    stays((g, x) => {
      const map = convolution(g, x);
      return [normalization(g, map), g.node("Relu", [map])];
    }));

  test("an output of the graph", () =>
    stays((g, x) => {
      const map = convolution(g, x);
      return [normalization(g, map), map];
    }));

  test("a subgraph", () =>
    stays((g, x) => {
      const apart = g.node("Reshape", [x, g.ints([0, 2, 2, 6, 5])]);
      const swapped = g.node("Transpose", [apart], { perm: [0, 2, 1, 3, 4] });
      const inner = new GraphBuilder("inner");
      inner.output(inner.node("Neg", [apart]), "negative", "float32", undefined);
      const branch = inner.build();
      const condition = g.constant("yes", { type: "bool", dims: [], data: Uint8Array.of(1) });
      const choice = g.node("If", [condition], {
        then_branch: graphAttribute("then_branch", branch),
        else_branch: graphAttribute("else_branch", branch),
      });
      return [g.node("Reshape", [swapped, g.ints([0, 4, 6, 5])]), choice];
    }));
});

test("values in subgraphs follow what is rewritten outside", async () => {
  const graph = network((g, x) => {
    const map = g.node("Identity", [g.node("Neg", [g.node("Identity", [x])])]);
    const inner = new GraphBuilder("inner");
    inner.output(inner.node("Abs", [map]), "inside", "float32", undefined);
    const branch = inner.build();
    const condition = g.constant("yes", { type: "bool", dims: [], data: Uint8Array.of(1) });
    return g.node("If", [condition], {
      then_branch: graphAttribute("then_branch", branch),
      else_branch: graphAttribute("else_branch", branch),
    });
  });
  const { graph: rewritten } = rewrite(graph, rewritesFor("fused"), { partial: true });
  expect(rewritten.nodes.map(({ op }) => op)).toEqual(["Neg", "If"]);
  await expectSame(graph, rewritten);
});

/** What an index says of every value. */
const contentsOf = (index: GraphIndex, { nodes, inputs, initializers }: Graph) => {
  const values = [
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap(({ outputs }) => outputs),
  ];
  return values.map((name) => ({
    name,
    producer: index.producer(name)?.name,
    consumers: [...index.consumers(name)].map(({ outputs }) => outputs[0]).sort(),
    isNeeded: index.isNeeded(name),
  }));
};

test("the index of a rewritten graph is that of the graph made anew, after every rule", () => {
  const rules = rewritesFor("blockwise");
  const applied = new Map<string, number>();
  fc.assert(
    fc.property(fc.oneof(recipes.map(build), mapRecipes.map(buildMaps)), (graph) => {
      const edited = new EditableGraph(graph, { partial: true });
      for (const one of rules) {
        const rule = "analyse" in one ? one.analyse(edited) : one;
        const times = rule ? edited.apply(rule) : 0;
        applied.set(one.name, (applied.get(one.name) ?? 0) + times);
        const now = edited.build();
        expect(contentsOf(edited, now)).toEqual(contentsOf(new GraphIndex(now), now));
      }
    }),
    { numRuns: 150, seed: 41 },
  );
  // The networks exercise it.
  expect([...applied.values()].filter((times) => times > 0).length).toBeGreaterThan(2);
});

describe("long graphs are rewritten in linear time", () => {
  const seconds = (make: (g: GraphBuilder, x: string) => string) => {
    const graph = network(make);
    const start = process.cpuUsage();
    const { graph: rewritten, applied } = rewrite(graph, rewritesFor("blockwise"), { partial: true });
    const { user, system } = process.cpuUsage(start);
    return { seconds: (user + system) / 1e6, rewritten, applied };
  };
  const COUNT = 20_000;

  test("a chain of nodes that change nothing", () => {
    const chain = seconds((g, x) => {
      let last = x;
      for (let i = 0; i < COUNT; i++) last = g.node("Identity", [last]);
      return g.node("Relu", [last]);
    });
    expect(chain.rewritten.nodes).toHaveLength(1);
    expect(chain.seconds).toBeLessThan(2);
  });

  test("a value that many such nodes read, and one node that reads them all", () => {
    const wide = seconds((g, x) => {
      const all = Array.from({ length: 9000 }, () => g.node("Identity", [x]));
      const sums = [g.node("Sum", all), g.node("Max", all), g.node("Min", all)];
      return g.node("Sum", sums);
    });
    expect(wide.rewritten.nodes.map(({ op }) => op)).toEqual(["Sum", "Max", "Min", "Sum"]);
    expect(wide.seconds).toBeLessThan(2);
  });

  test("a weight behind them, which the image's layout is read from", () => {
    const graph = network((g, x) => {
      let w = weight(g, [4, 4, 3, 3]);
      for (let i = 0; i < COUNT; i++) w = g.node("Identity", [w]);
      return g.node("Conv", [x, w]);
    });
    expect(findImage(graph).image).toMatchObject({ name: "x", channels: 4 });
  });

  test("transpositions that undo each other in turn", () => {
    const turns = seconds((g, x) => {
      let last = x;
      for (let i = 0; i < COUNT; i++) last = g.node("Transpose", [last], i % 2 ? NCHW : NHWC);
      return g.node("Relu", [last]);
    });
    expect(turns.rewritten.nodes).toHaveLength(1);
    expect(turns.seconds).toBeLessThan(2);
  });
});

test("a constant that several replacements read is there once", () => {
  const graph = network((g, x) => g.node("Add", [g.node("Neg", [x]), g.node("Abs", [x])]));
  const two: Constant = float32([2], [1, 1, 1, 1]);
  const rule: Rewrite<true, [Node]> = {
    name: "times two",
    pattern: [ANY],
    check: ([{ op }]) => (op === "Neg" || op === "Abs" ? true : undefined),
    replace: (_, [node], edited) => [{ ...node, op: "Mul", inputs: ["x", edited.constant("two", two)] }],
  };
  const { graph: rewritten, applied } = rewrite(graph, [rule]);
  expect(applied).toEqual(new Map([["times two", 2]]));
  expect([...rewritten.initializers.keys()]).toEqual(["two"]);
  expect(writeOnnx(rewritten).length).toBeGreaterThan(0);
});
