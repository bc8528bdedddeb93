import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { D_n } from "../packages/coefficients/src/transform/tensors.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import type { ConvertOptions, Relu } from "../packages/conversion/src/convert/options.js";
import { approximations } from "../packages/conversion/src/convert/report.js";
import { float, GraphBuilder, makeNode } from "../packages/conversion/src/onnx/builder.js";
import { writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { inferShapes } from "../packages/conversion/src/onnx/infer.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";
import { lehmer } from "./reference/lehmer.js";
import { buildMaps, mapRecipes } from "./reference/random-maps.js";

const ONE_THREAD = { intraOpNumThreads: 1 };

async function run(model: Graph, data: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await openSession(writeOnnx(model), ONE_THREAD);
  const feeds = { [session.inputNames[0] as string]: new Tensor("float32", data, shape) };
  const result = (await session.run(feeds))[session.outputNames[0] as string] as Tensor;
  await session.release();
  return result.data as Float32Array;
}

const wholeBlocks = (length: number) => 8 * Math.ceil(length / 8);

/** Planes `[…, H, W]` in whole blocks, with `beyond` outside the image. */
function padded(planes: Float32Array, [n, c, height, width]: number[], beyond: () => number) {
  const [H, W] = [wholeBlocks(height as number), wholeBlocks(width as number)];
  const shape = [n as number, c as number, H, W];
  const data = Float32Array.from({ length: volume(shape) }, (_, at) => {
    const [plane, s, r] = [Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W];
    const inside = s < (height as number) && r < (width as number);
    return inside ? (planes[(plane * (height as number) + s) * (width as number) + r] as number) : beyond();
  });
  return { data, shape };
}

/** The outputs of a converted network (plan `blockwise` by default), and the domains of its nodes. */
async function converted(graph: Graph, planes: Float32Array, shape: number[], options: ConvertOptions = {}) {
  const { graph: made, report } = convertGraph(graph, { plan: "blockwise", ...options });
  // Values beyond the image in the last blocks must not matter.
  const whole = padded(planes, shape, () => 3);
  const packed = compress(whole.data, whole.shape, options.table ? { table: options.table } : {});
  return { data: await run(made, packed.data, packed.shape), report };
}

/** Why nodes after a mean, or after another tensor that is not a feature map, are not on coefficients. */
const NO_MAP = "it reads no feature map";

const imageShape = (graph: Graph, batch: number) => [
  batch,
  ...((graph.inputs[0]?.shape ?? []).slice(1) as number[]),
];

/** The graph with poolings, which have no rule, after about every other feature map. */
function withIslands(graph: Graph, seed: number): Graph {
  const facts = inferShapes(graph);
  const random = lehmer(seed);
  const nodes = graph.nodes.flatMap((node) => {
    const [name, ...others] = node.outputs as [string, ...string[]];
    // ONNX Runtime takes a Pad into the pooling after it, and then refuses pads larger than the kernel.
    if (facts.get(name)?.shape.length !== 4 || node.op === "Pad" || random() < 0.5) return node;
    const before = `${name}.before`;
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    const pooling = { ...makeNode("MaxPool", [before], [name], attributes), name: before };
    return [{ ...node, outputs: [before, ...others] }, pooling];
  });
  return { ...graph, nodes };
}

describe("random networks over maps of any side", () => {
  const tables = fc.constantFrom(
    undefined,
    Array.from({ length: 64 }, (_, k) => 3 + ((k * 29) % 60)),
  );

  test("have the outputs of the spatial ones, and stay on coefficients", { timeout: 300_000 }, async () => {
    const ways = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(mapRecipes, fc.constantFrom(1, 3), tables, async (recipe, batch, table) => {
        const graph = buildMaps(recipe);
        const shape = imageShape(graph, batch);
        const planes = uniform(77, volume(shape), -2, 2);
        const expected = await run(graph, planes, shape);
        const { data, report } = await converted(graph, planes, shape, table ? { table } : {});
        expect(data.length).toBe(expected.length);
        const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        expect(largestDifference(data, expected) / scale).toBeLessThanOrEqual(5e-5);
        for (const { reason = "" } of report) {
          const way = /^(dense|factored|pointwise|shared) [\d.e+-]+ million/.exec(reason)?.[1];
          if (way !== undefined) ways.set(way, (ways.get(way) ?? 0) + 1);
        }
        const left = report.filter(({ domain, reason }) => domain === "pixels" && reason !== NO_MAP);
        expect(left.map(({ op }) => op)).toEqual(recipe.ending === "flatten" ? ["Flatten"] : []);
      }),
      { numRuns: 250, seed: 1957 },
    );
    // Every algorithm for convolutions was used.
    for (const way of ["dense", "factored", "pointwise", "shared"])
      expect(ways.get(way), way).toBeGreaterThan(10);
  });

  test("have them with operators on pixels in between, exactly and by ASM of all frequencies", {
    timeout: 300_000,
  }, async () => {
    let reentered = 0;
    const relus = fc.constantFrom<Relu>("exact", { asm: 14 });
    await fc.assert(
      fc.asyncProperty(mapRecipes, relus, async (recipe, relu) => {
        const graph = withIslands(buildMaps(recipe), recipe.seed);
        const shape = imageShape(graph, 2);
        const planes = uniform(77, volume(shape), -2, 2);
        const expected = await run(graph, planes, shape);
        const { data, report } = await converted(graph, planes, shape, { relu });
        const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        expect(largestDifference(data, expected) / scale).toBeLessThanOrEqual(5e-5);
        reentered += report.filter(({ reason }) => reason?.startsWith("re-enters")).length;
      }),
      { numRuns: 200, seed: 1958 },
    );
    expect(reentered).toBeGreaterThan(50);
  });
});

/** One operator on a feature map. */
function oneNode(
  make: (g: GraphBuilder, x: string) => string,
  [c, h, w]: number[],
  output = [c, h, w],
): Graph {
  const g = new GraphBuilder("one");
  const x = g.input("image", "float32", ["N", c as number, h as number, w as number]);
  g.output(make(g, x), "y", "float32", ["N", ...(output as number[])]);
  return g.build();
}

describe("approximate activations", () => {
  const shape = [2, 2, 13, 10];
  const [, channels, height, width] = shape as [number, number, number, number];
  /** Clipping of `x`, depending on where `low` is. */
  const clip = (from: number, to: number) => (x: number, low: number) =>
    low < from ? from : low > to ? to : x;
  const gate = (alpha: number, beta: number) => (x: number, low: number) => {
    const at = alpha * low + beta;
    return at < 0 ? 0 : at > 1 ? 1 : alpha * x + beta;
  };
  const scalar = (g: GraphBuilder, value: number) => g.floats([value], []);
  const slopes = [-0.4, 0.3];
  const perChannel = (g: GraphBuilder) => g.constant("slopes", float32(slopes, [channels, 1, 1]));

  /** An operator; ASM of it, from the pixel x and its reconstruction; where its pieces meet. With x for low, it is f itself. */
  type Case = [
    name: string,
    make: (g: GraphBuilder, x: string) => string,
    asm: (x: number, low: number, channel: number) => number,
    joints: number[],
  ];
  const cases: Case[] = [
    ["Relu", (g, x) => g.node("Relu", [x]), (x, low) => (low < 0 ? 0 : x), [0]],
    [
      "LeakyRelu",
      (g, x) => g.node("LeakyRelu", [x], { alpha: float(0.2) }),
      (x, low) => (low < 0 ? 0.2 * x : x),
      [0],
    ],
    [
      "PRelu",
      (g, x) => g.node("PRelu", [x, perChannel(g)]),
      (x, low, c) => (low < 0 ? (slopes[c] as number) * x : x),
      [0],
    ],
    ["ReLU6", (g, x) => g.node("Clip", [x, scalar(g, 0), scalar(g, 6)]), clip(0, 6), [0, 6]],
    ["Clip", (g, x) => g.node("Clip", [x, scalar(g, 0.25), scalar(g, 1)]), clip(0.25, 1), [0.25, 1]],
    ["Clip from below", (g, x) => g.node("Clip", [x, scalar(g, -0.5)]), clip(-0.5, 1e9), [-0.5]],
    ["Clip from above", (g, x) => g.node("Clip", [x, "", scalar(g, 0.5)]), clip(-1e9, 0.5), [0.5]],
    [
      "HardSigmoid",
      (g, x) => g.node("HardSigmoid", [x], { alpha: float(0.3), beta: float(0.4) }),
      gate(0.3, 0.4),
      [-4 / 3, 2],
    ],
    ["HardSwish", (g, x) => g.node("HardSwish", [x]), (x, low) => x * gate(1 / 6, 1 / 2)(x, low), [-3, 3]],
    [
      "ThresholdedRelu",
      (g, x) => g.node("ThresholdedRelu", [x], { alpha: float(1.5) }),
      (x, low) => (low > 1.5 ? x : 0),
      [1.5],
    ],
    [
      "Shrink",
      (g, x) => g.node("Shrink", [x], { lambd: float(1), bias: float(0.5) }),
      (x, low) => (low < -1 ? x + 0.5 : low > 1 ? x - 0.5 : 0),
      [-1, 1],
    ],
    ["Abs", (g, x) => g.node("Abs", [x]), (x, low) => (low < 0 ? -x : x), [0]],
    [
      "Max",
      (g, x) => g.node("Max", [perChannel(g), x]),
      (x, low, c) => (low < (slopes[c] as number) ? (slopes[c] as number) : x),
      slopes,
    ],
    ["Min", (g, x) => g.node("Min", [x, scalar(g, 0.5)]), clip(-1e9, 0.5), [0.5]],
    ["Sigmoid", (g, x) => g.node("Sigmoid", [x]), (x) => 1 / (1 + Math.exp(-x)), []],
  ];

  /** Each pixel from the frequencies alpha + beta <= n of its block alone, zeros beyond the map, in float64. */
  function lowFrequencies(planes: Float32Array, n: number): Float64Array {
    const { data: D } = D_n(n);
    const low = new Float64Array(planes.length);
    for (let plane = 0; plane < planes.length / (height * width); plane++)
      for (let block = 0; block < 4; block++) {
        const at = (p: number) => {
          const [s, r] = [8 * (block >> 1) + (p >> 3), 8 * (block & 1) + (p & 7)];
          return s < height && r < width ? (plane * height + s) * width + r : -1;
        };
        const places = Array.from({ length: 64 }, (_, p) => at(p));
        for (let f = 0; f < 64; f++) {
          let coefficient = 0;
          for (const [p, place] of places.entries())
            if (place >= 0) coefficient += (D[64 * p + f] as number) * (planes[place] as number);
          for (const [p, place] of places.entries())
            if (place >= 0) low[place] = (low[place] as number) + (D[64 * p + f] as number) * coefficient;
        }
      }
    return low;
  }

  const everyPlan = (["blockwise", "fused"] as const).flatMap((plan) =>
    cases.map(([name, ...rest]) => [plan, name, ...rest] as const),
  );
  test.each(everyPlan)(
    "%s, %s: by ASM, APX and exactly, on maps of 13x10",
    async (plan, _, make, asm, joints) => {
      const planes = uniform(5, volume(shape), -4, 7);
      const graph = oneNode(make, shape.slice(1));
      const smooth = joints.length === 0;
      for (const n of [0, 3, 10, 13, 14]) {
        const low = lowFrequencies(planes, n);
        // Where the reconstruction is at a joint of two pieces, rounding decides, so these pixels are left out.
        const decided = planes.map((x, i) =>
          Number(
            joints.every(
              (joint) => Math.abs((low[i] as number) - joint) > 2e-5 && Math.abs(x - joint) > 2e-5,
            ),
          ),
        );
        expect(decided.reduce((sum, one) => sum + one)).toBeGreaterThan(planes.length - 5);
        for (const kind of ["asm", "apx"] as const) {
          const relu = kind === "asm" ? { asm: n } : { apx: n };
          const { data, report } = await converted(graph, planes, shape, { relu, plan });
          const where = plan === "blockwise" ? "coefficients" : "pixels";
          expect(report.every(({ domain }) => domain === where)).toBe(true);
          const expected = planes.map((x, i) => {
            const channel = Math.floor(i / (height * width)) % channels;
            const kept = low[i] as number;
            return (
              (decided[i] as number) * asm(kind === "apx" && !smooth ? kept : x, smooth ? x : kept, channel)
            );
          });
          const found = data.map((y, i) => y * (decided[i] as number));
          expect(largestDifference(found, expected), `${kind}:${n}`).toBeLessThan(2e-5);
        }
      }
    },
  );

  test("ReLU behind an operator without rule: by ASM", async () => {
    const planes = uniform(5, volume(shape), -4, 7);
    // Of a window of one pixel, the largest is that pixel.
    const graph = oneNode((g, x) => {
      const same = g.node("MaxPool", [x], { kernel_shape: [1, 1] });
      return g.node("Neg", [g.node("Relu", [same])]);
    }, shape.slice(1));
    const low = lowFrequencies(planes, 6);
    const { data, report } = await converted(graph, planes, shape, { relu: { asm: 6 } });
    expect(report.map(({ domain }) => domain)).toEqual(["pixels", "coefficients", "coefficients"]);
    const isDecided = (i: number) => Math.abs(low[i] as number) > 2e-5;
    const found = data.filter((_, i) => isDecided(i));
    const expected = planes.map((x, i) => ((low[i] as number) < 0 ? 0 : -x)).filter((_, i) => isDecided(i));
    expect(expected.length).toBeGreaterThan(planes.length - 5);
    expect(largestDifference(found, expected)).toBeLessThan(2e-5);
  });
});

describe("plan blockwise", () => {
  const weight = (g: GraphBuilder, ...dims: number[]) =>
    g.constant("w", float32(uniform(4, volume(dims), -0.1, 0.1), dims));

  const pad = { pads: [1, 1, 1, 1] };
  const pool = (g: GraphBuilder, x: string, name?: string) =>
    g.node("MaxPool", [x], { kernel_shape: [2, 2], strides: [2, 2] }, name);
  const domains = (graph: Graph, options: ConvertOptions = {}) =>
    convertGraph(graph, { ...options, plan: "blockwise" }).report.map(({ op, domain }) =>
      domain === "pixels" ? `(${op})` : op,
    );
  const operations = (graph: Graph) => convertGraph(graph, { plan: "blockwise" }).cost.multiplyAdds;

  test("leaves the coefficients at an operator without a rule, re-enters after it, and says why", async () => {
    const graph = oneNode(
      (g, x) => {
        const y = g.node("Relu", [g.node("Conv", [x, weight(g, 4, 3, 3, 3)], pad)]);
        const deep = g.node("Conv", [pool(g, y, "pool"), weight(g, 4, 4, 3, 3)], pad);
        return g.node("Add", [g.node("Relu", [deep]), "pool"]);
      },
      [3, 18, 21],
      [4, 9, 10],
    );
    const planes = uniform(1, 3 * 18 * 21);
    const { data, report } = await converted(graph, planes, [1, 3, 18, 21]);
    expect(
      report.map(({ op, domain, reason }) => [op, domain, reason?.split(" ").slice(0, 4).join(" ")]),
    ).toEqual([
      ["Conv", "coefficients", expect.stringMatching(/^factored [\d.]+ million multiplications;/)],
      ["Relu", "coefficients", undefined],
      ["MaxPool", "pixels", "no rule for this"],
      ["Conv", "coefficients", expect.stringMatching(/^re-enters: factored [\d.]+ million/)],
      ["Relu", "coefficients", undefined],
      ["Add", "coefficients", "re-enters with input 1"],
    ]);
    expect(report[2]?.node).toBe("pool");
    // The pooled pixels are convolved as pixels; only the result is compressed: 128 multiplications per pixel.
    const compression = 128 * 4 * 16 * 16;
    expect(report[2]?.multiplyAdds).toBe(0);
    expect(report[3]?.multiplyAdds).toBe(4 * 4 * 9 * 9 * 10);
    expect(report[4]?.multiplyAdds).toBe(2 * compression);
    expect(report[5]?.multiplyAdds).toBe(2 * compression);
    expect(largestDifference(data, await run(graph, planes, [1, 3, 18, 21]))).toBeLessThan(1e-5);
  });

  test("re-enters only for operators that gain from coefficients", async () => {
    const between = (make: (g: GraphBuilder, x: string) => string) =>
      oneNode((g, x) => pool(g, make(g, pool(g, x))), [3, 32, 32], [3, 8, 8]);
    const alone = between((g, x) => g.node("Conv", [x, weight(g, 3, 3, 3, 3)], pad));
    expect(domains(alone)).toEqual(["(MaxPool)", "(Conv)", "(MaxPool)"]);
    const pixelByPixel = between((g, x) => g.node("Relu", [g.node("Neg", [x])]));
    expect(domains(pixelByPixel)).toEqual(["(MaxPool)", "(Neg)", "(Relu)", "(MaxPool)"]);
    // As all plans do, it approximates every activation.
    expect(domains(pixelByPixel, { relu: { asm: 6 } })).toEqual(["(MaxPool)", "(Neg)", "Relu", "(MaxPool)"]);
    // The image is decompressed, and nothing is compressed.
    expect(operations(alone)).toBe(128 * 3 * 32 * 32 + 3 * 3 * 9 * 16 * 16);
    expect(operations(pixelByPixel)).toBe(128 * 3 * 32 * 32);
    for (const graph of [alone, pixelByPixel]) {
      const planes = uniform(1, 3 * 32 * 32);
      const { data } = await converted(graph, planes, [1, 3, 32, 32]);
      expect(largestDifference(data, await run(graph, planes, [1, 3, 32, 32]))).toBeLessThan(1e-5);
    }
    const two = between((g, x) => g.node("Relu", [g.node("Conv", [x, weight(g, 3, 3, 3, 3)], pad)]));
    expect(domains(two)).toEqual(["(MaxPool)", "Conv", "Relu", "(MaxPool)"]);
    expect(operations(two)).toBe(operations(alone) + 2 * 128 * 3 * 16 * 16);
  });

  test("passes pixels from one operator without a rule to the next", () => {
    const graph = oneNode(
      (g, x) => pool(g, g.node("Relu", [g.node("Conv", [x, weight(g, 3, 3, 3, 3)], pad)])),
      [3, 32, 32],
      [3, 16, 16],
    );
    const { report } = convertGraph(graph, { plan: "blockwise" });
    expect(report.map(({ op, domain }) => [op, domain])).toEqual([
      ["Conv", "coefficients"],
      ["Relu", "coefficients"],
      ["MaxPool", "pixels"],
    ]);
    expect(report[2]?.multiplyAdds).toBe(0);
  });

  test("re-enters after a change of shape at a convolution, whose input is an image", async () => {
    const graph = oneNode(
      (g, x) => {
        const rows = g.node("Reshape", [x, g.ints([0, 3, 288])]);
        const image = g.node("Reshape", [g.node("Relu", [rows]), g.ints([0, 3, 16, 18])]);
        return g.node("Relu", [g.node("Conv", [image, weight(g, 4, 3, 3, 3)], pad)]);
      },
      [3, 18, 16],
      [4, 16, 18],
    );
    expect(domains(graph)).toEqual(["(Reshape)", "(Relu)", "(Reshape)", "Conv", "Relu"]);
    const planes = uniform(1, 3 * 18 * 16);
    const { data } = await converted(graph, planes, [1, 3, 18, 16]);
    expect(largestDifference(data, await run(graph, planes, [1, 3, 18, 16]))).toBeLessThan(1e-5);
  });

  test.each([
    ["asymmetric", "floor", [2, 2], [9, 20], true],
    ["asymmetric", "floor", [3, 1], [5, 8], true],
    ["half_pixel", "round_prefer_floor", [4, 2], [17, 3], true],
    ["half_pixel", "round_prefer_ceil", [8, 8], [4, 8], true],
    ["half_pixel", "floor", [2, 2], [9, 20], false],
    ["asymmetric", "floor", [2.2, 2], [5, 8], false],
    ["asymmetric", "floor", [0.5, 0.5], [16, 16], false],
  ])("enlarges by repetition: %s, %s, %j times %j: %s", async (mode, rounding, scales, sides, isRule) => {
    const attributes = { coordinate_transformation_mode: mode, nearest_mode: rounding };
    const [height, width] = sides.map((side, i) => Math.floor(side * (scales[i] as number))) as [
      number,
      number,
    ];
    const graph = oneNode(
      (g, x) => g.node("Neg", [g.node("Resize", [x, "", g.floats([1, 1, ...scales])], attributes)]),
      [3, ...sides],
      [3, height, width],
    );
    expect(domains(graph)).toEqual(isRule ? ["Resize", "Neg"] : ["(Resize)", "(Neg)"]);
    const planes = uniform(1, 2 * 3 * volume(sides));
    const { data } = await converted(graph, planes, [2, 3, ...sides]);
    expect(largestDifference(data, await run(graph, planes, [2, 3, ...sides]))).toBeLessThan(1e-5);
  });

  test.each([
    { parts: ["zeros", "x", "zeros"], expected: ["Pad", "Neg"] },
    { parts: ["zeros", "computed", "x", "x"], expected: ["Concat", "Pad", "Neg"] },
    { parts: ["x", "zeros", "x", "constant"], expected: ["Concat", "Neg"] },
    { parts: ["ones", "x"], expected: ["(ConstantOfShape)", "Concat", "Neg"] },
  ])("concatenates with zeros and constants: $parts", async ({ parts, expected }) => {
    const [batch, side] = [2, 43];
    const constants: Record<string, (g: GraphBuilder, x: string) => string> = {
      x: (_, x) => x,
      zeros: (g) => g.floats(new Array(2 * batch * side).fill(0), [batch, 2, side, 1]),
      constant: (g) => g.constant("c", float32(uniform(3, batch * side, -1, 1), [batch, 1, side, 1])),
      // Too many values to count as a constant.
      computed: (g) => g.node("ConstantOfShape", [g.ints([batch, 50, side, 1])]),
      ones: (g) =>
        g.node("ConstantOfShape", [g.ints([batch, 50, side, 1])], {
          value: float32([1]),
        }),
    };
    const image = [batch, 3, side, 1];
    const g = new GraphBuilder("concatenation");
    const x = g.input("x", "float32", image);
    const names = parts.map((part) => (constants[part] as (g: GraphBuilder, x: string) => string)(g, x));
    g.output(g.node("Neg", [g.node("Concat", names, { axis: 1 })]), "y", "float32", undefined);
    const graph = g.build();
    expect(domains(graph)).toEqual(expected);
    const planes = uniform(1, volume(image));
    const { data } = await converted(graph, planes, image);
    expect(largestDifference(data, await run(graph, planes, image))).toBeLessThan(1e-5);
  });

  test("leaves gates, which have one number per channel, alone", () => {
    const graph = oneNode(
      (g, x) => {
        const squeezed = g.node("GlobalAveragePool", [x]);
        const mixed = g.node("Relu", [g.node("Conv", [squeezed, weight(g, 3, 3, 1, 1)])]);
        return g.node("Mul", [x, g.node("Sigmoid", [g.node("Conv", [mixed, weight(g, 3, 3, 1, 1)])])]);
      },
      [3, 16, 16],
    );
    expect(domains(graph)).toEqual(["GlobalAveragePool", "(Conv)", "(Relu)", "(Conv)", "(Sigmoid)", "Mul"]);
    const { report } = convertGraph(graph, { plan: "blockwise", relu: { asm: 6 } });
    expect(approximations(report)).toEqual({ approximate: 0, exact: 0, exactByOperator: {} });
  });

  test("transforms once for several consecutive operators on single pixels", () => {
    const graph = oneNode(
      (g, x) => {
        const erf = g.node("Erf", [g.node("Div", [x, g.floats([Math.SQRT2], [])])]);
        const product = g.node("Mul", [x, g.node("Add", [erf, g.floats([1], [])])]);
        return g.node("Neg", [g.node("Mul", [product, g.floats([0.5], [])])]);
      },
      [2, 16, 16],
    );
    // x and x / √2 are decompressed, the product is compressed, and the output decompressed.
    expect(operations(graph)).toBe(4 * 128 * 2 * 16 * 16);
  });

  test("keeps a pooling on pixels if runtimes do not agree on its last window", async () => {
    const attributes = { kernel_shape: [2, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 };
    const graph = oneNode((g, x) => g.node("AveragePool", [x], attributes, "here"), [2, 10, 10], [2, 4, 4]);
    const { report } = convertGraph(graph, { plan: "blockwise" });
    expect(report[0]).toMatchObject({ domain: "pixels", reason: expect.stringContaining("runtimes differ") });
  });

  test("keeps operators small: no product of transforms and weights beyond the weights' own size or 1 MB", () => {
    for (const [dims, group] of [
      [[512, 512, 3, 3], 1],
      [[960, 1, 3, 3], 960],
      [[64, 3, 16, 16], 1],
    ] as const) {
      const [m, perGroup, kernel] = dims as readonly [number, number, number, number];
      const strides = kernel === 16 ? [16, 16] : [1, 1];
      const pads = kernel === 16 ? [0, 0, 0, 0] : [1, 1, 1, 1];
      const side = kernel === 16 ? 2 : 32;
      const graph = oneNode(
        (g, x) => g.node("Conv", [x, weight(g, ...dims)], { group, strides, pads }),
        [perGroup * group, 32, 32],
        [m, side, side],
      );
      const { cost } = convertGraph(graph, { plan: "blockwise" });
      expect(cost.largestOperatorBytes).toBeLessThanOrEqual(Math.max(4 * volume([...dims]), 1e6));
    }
  });

  test("adds nothing for maps of whole blocks", () => {
    const network = (side: number) =>
      oneNode(
        (g, x) => g.node("Relu", [g.node("Conv", [x, weight(g, 4, 3, 3, 3)], { pads: [1, 1, 1, 1] })]),
        [3, side, side],
        [4, side, side],
      );
    const operators = (side: number) =>
      convertGraph(network(side), { plan: "blockwise" }).graph.nodes.map(({ op }) => op);
    expect(operators(24)).not.toContain("Where");
    expect(operators(24)).not.toContain("Slice");
    expect(operators(24)).not.toContain("Pad");
    expect(operators(23)).toContain("Pad");
  });
});
