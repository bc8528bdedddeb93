/** TensorFlow's models as tf2onnx exports them: images of [N, H, W, C]. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compress, toWholeBlocks } from "../packages/coefficients/src/transform/images.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import type { PlanName } from "../packages/conversion/src/convert/options.js";
import { NO_MAP } from "../packages/conversion/src/convert/report.js";
import { channelsFirst } from "../packages/conversion/src/convert/rewrites/channels-first.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { rewrite } from "../packages/conversion/src/onnx/rewrite.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { describeWith } from "./jpeg/tools.js";
import { largestDifference, uniform } from "./reference/arrays.js";

const PLANS = ["fused", "blockwise"] as const;
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

const python = ["/usr/bin/python3", "python3"].find((name) => {
  try {
    execFileSync(name, ["-c", "import numpy, onnx"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const absent = python === undefined && process.env.CI !== "true";
if (absent)
  console.warn("SKIPPED: tf2onnx's idioms, because no python3 here has onnx (Debian: python3-onnx)");

const BLAZEFACE = path("../out/blazeface");
const noBlazeface = !existsSync(BLAZEFACE);
if (noBlazeface)
  console.warn("SKIPPED: BlazeFace, because it is not in out/: sh test/reference/blazeface.sh downloads it");

async function run(model: Graph, input: Tensor): Promise<Float32Array[]> {
  const session = await openSession(model);
  const results = await session.run({ [session.inputNames[0] as string]: input });
  await session.release();
  return session.outputNames.map((name) => results[name]?.data as Float32Array);
}

/** Images [N, H, W, 3] as planes [N, 3, H, W]. */
function planesOf(images: Float32Array, area: number): Float32Array {
  return images.map((_, at) => {
    const [n, c, p] = [Math.floor(at / (3 * area)), Math.floor(at / area) % 3, at % area];
    return images[(n * area + p) * 3 + c] as number;
  });
}

/** The difference between the converted model's outputs and the spatial one's, relative to the largest; and the report. */
async function compare(model: Graph, [n, height, width]: [number, number, number], plan: PlanName) {
  const images = uniform(5, n * height * width * 3, -1, 1);
  const expected = await run(model, new Tensor("float32", images, [n, height, width, 3]));
  const whole = toWholeBlocks(planesOf(images, height * width), [n, 3, height, width]);
  const { data, shape } = compress(whole.data, whole.shape);
  const { graph, report } = convertGraph(model, { plan });
  const found = await run(graph, new Tensor("float32", data, shape));
  const differences = expected.map((values, i) => {
    expect(found[i]).toHaveLength(values.length);
    const size = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return largestDifference(found[i] as Float32Array, values) / size;
  });
  return { difference: Math.max(...differences), report };
}

describeWith(!absent, "a python3 with onnx", "tf2onnx's idioms", () => {
  let folder: string;
  beforeAll(() => {
    expect(python, "CI needs a python3 with onnx (Debian: python3-onnx)").toBeDefined();
    folder = mkdtempSync(join(tmpdir(), "jpeg-domain-tensorflow-"));
    execFileSync(python as string, [path("reference/tf2onnx-idioms.py"), folder], { stdio: "pipe" });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /**
   * Sides of the image, and the operators that plan blockwise does not run on coefficients, except those on vectors.
   */
  const MODELS: Record<string, { sides: [number, number]; pixels: string[]; coefficients: number }> = {
    mobilenet_v2: { sides: [32, 48], pixels: [], coefficients: 13 },
    mobilenet_v3: { sides: [32, 48], pixels: ["Transpose"], coefficients: 12 },
    efficientnet: { sides: [30, 45], pixels: [], coefficients: 12 },
    resnet: { sides: [32, 48], pixels: ["MaxPool", "Transpose", "Reshape"], coefficients: 9 },
    any_size: {
      sides: [40, 56],
      pixels: ["Conv", "Relu", "Conv", "Relu", "MaxPool", "ReduceMean", "Squeeze", "MatMul", "Add"],
      coefficients: 0,
    },
  };
  test.each(Object.entries(MODELS))("%s", async (name, { sides, pixels, coefficients }) => {
    const model = readOnnx(readFileSync(join(folder, `${name}.onnx`)));
    for (const plan of PLANS) {
      const { difference, report } = await compare(model, [2, ...sides], plan);
      expect(difference, plan).toBeLessThan(1e-4);
      if (plan === "fused") continue;
      const onPixels = report.filter(({ domain, reason }) => domain === "pixels" && reason !== NO_MAP);
      expect(onPixels.map(({ op }) => op)).toEqual(pixels);
      expect(report.filter(({ domain }) => domain === "coefficients")).toHaveLength(coefficients);
    }
  });
});

describe("feature maps [N, H, W, C]", () => {
  const NHWC = { perm: [0, 2, 3, 1] };
  const NCHW = { perm: [0, 3, 1, 2] };
  const SHAPE = [2, 6, 5, 3];

  /** A graph with an image `[2, 6, 5, 3]`; `make` gives the outputs. */
  function network(make: (g: GraphBuilder, x: string) => string[], opset = 17): Graph {
    const g = new GraphBuilder("maps", opset);
    const x = g.input("planes", "float32", [2, 3, 6, 5]);
    for (const [i, y] of make(g, g.node("Transpose", [x], NHWC)).entries())
      g.output(y, `y${i}`, "float32", undefined);
    return g.build();
  }
  /** An operator on planes. */
  const last = (g: GraphBuilder, x: string) => g.node("Tanh", [g.node("Transpose", [x], NCHW)]);
  const values = (g: GraphBuilder, dims: number[]) =>
    g.constant("parameter", float32(uniform(volume(dims) + 1, volume(dims), 0.5, 2), dims));
  const transpositions = ({ nodes }: Graph) => nodes.filter(({ op }) => op === "Transpose").length;

  /** Checks that the rewritten graph gives the same, and has this many transpositions. */
  async function check(graph: Graph, left: number) {
    const rewritten = rewrite(graph, [channelsFirst], { partial: true }).graph;
    const image = new Tensor("float32", uniform(9, volume(SHAPE), -2, 2), [2, 3, 6, 5]);
    const [expected, found] = [await run(graph, image), await run(rewritten, image)];
    for (const [i, data] of expected.entries()) {
      expect(found[i]).toHaveLength(data.length);
      expect(largestDifference(found[i] as Float32Array, data)).toBeLessThan(1e-5);
    }
    expect(transpositions(rewritten)).toBe(left);
    return rewritten;
  }

  type Layer = (g: GraphBuilder, x: string) => string;
  const beside =
    (op: string, ...dims: number[]): Layer =>
    (g, x) =>
      g.node(op, [x, values(g, dims)]);
  /** Layers that keep the shape of the map. */
  const LAYERS: Record<string, Layer> = {
    number: beside("Mul"),
    "one number": beside("Sub", 1),
    channels: beside("Add", 3),
    "channels, rank 4": beside("Div", 1, 1, 1, 3),
    rows: beside("Mul", 6, 1, 1),
    "pixels and channels": beside("Add", 6, 5, 3),
    images: beside("Add", 2, 6, 5, 3),
    "constant first": (g, x) => g.node("Sub", [values(g, [5, 1]), x]),
    slopes: (g, x) => g.node("PRelu", [x, values(g, [3])]),
    clip: (g, x) => g.node("Clip", [x, "", values(g, [])]),
    choice: (g, x) => g.node("Where", [g.node("Cast", [x], { to: 9 }), x, values(g, [3])]),
    "both sides of a pad": (g, x) => {
      const padded = g.node("Pad", [x, g.ints([0, 1, 2, 3, 0, 0, 1, 1]), g.floats([0.5], [])]);
      return g.node("Pad", [padded, g.ints([0, -1, -2, -3, 0, 0, -1, -1])]);
    },
    gate: (g, x) => {
      const mean = g.node("ReduceMean", [x], { axes: [1, -2], keepdims: 0 });
      return g.node("Mul", [x, g.node("Reshape", [g.node("Sigmoid", [mean]), g.ints([2, 1, 1, 3])])]);
    },
    "mean of rows": (g, x) => g.node("Add", [x, g.node("ReduceMean", [x], { axes: [1] })]),
    "largest of all": (g, x) => g.node("Sub", [x, g.node("ReduceMax", [x], { axes: [-2, -3] })]),
  };

  test.each(Object.entries(LAYERS))(
    "become planes through operators that do not depend on the order: %s",
    async (name, layer) => {
      // A gate is a vector until then, so its transposition is left.
      const left = name === "gate" ? 1 : 0;
      const graph = network((g, x) => [last(g, layer(g, x))]);
      await check(graph, left);
    },
  );

  test("become planes through concatenations and pads of old operator sets", async () => {
    const graph = network((g, x) => {
      const both = g.node("Concat", [x, values(g, [2, 6, 5, 2]), g.node("Neg", [x])], { axis: -1 });
      const tall = g.node("Concat", [both, both], { axis: 1 });
      return [last(g, g.node("Pad", [tall], { pads: [0, 1, 2, 3, 0, 0, 0, 0] }))];
    }, 10);
    const { nodes } = await check(graph, 0);
    expect(nodes.map(({ op }) => op)).toEqual(["Neg", "Concat", "Concat", "Pad", "Tanh"]);
  });

  test("stay if something reads them in this order, or if no transposition is saved", async () => {
    const shape = (g: GraphBuilder, x: string) => g.node("Reshape", [x, g.ints([2, -1])]);
    const flat = network((g, x) => [shape(g, g.node("Relu", [x]))]);
    expect((await check(flat, 1)).nodes).toEqual(flat.nodes);
    // A normalisation over channels.
    const normal = network((g, x) => {
      const mean = g.node("ReduceMean", [x], { axes: [-1] });
      return [last(g, g.node("Relu", [g.node("Sub", [x, mean])]))];
    });
    expect((await check(normal, 2)).nodes).toEqual(normal.nodes);
    // Without the height, the other axes have another order.
    await check(
      network((g, x) => [g.node("ReduceMean", [x], { axes: [1], keepdims: 0 })]),
      1,
    );
    // An output of the graph, whose planes are also read.
    await check(
      network((g, x) => {
        const y = g.node("Relu", [x]);
        return [y, last(g, g.node("Neg", [y]))];
      }),
      1,
    );
    // The transposition back is an output of the graph.
    await check(
      network((g, x) => [g.node("Transpose", [x], NCHW)]),
      2,
    );
  });

  test("random networks of them are the same, with no more transpositions", async () => {
    const names = [...Object.keys(LAYERS), "there and back", "sum", "flat"];
    const recipe = fc.array(fc.record({ name: fc.constantFrom(...names), from: fc.nat(20) }), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(recipe, async (layers) => {
        const graph = network((g, image) => {
          const maps = [image];
          for (const { name, from } of layers) {
            const x = maps.at(-1) as string;
            const other = maps[from % maps.length] as string;
            const pool = () => g.node("MaxPool", [last(g, x)], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
            maps.push(
              name === "sum"
                ? g.node("Add", [other, x])
                : name === "flat"
                  ? g.node("Reshape", [g.node("Reshape", [x, g.ints([2, -1])]), g.ints(SHAPE)])
                  : name === "there and back"
                    ? g.node("Transpose", [pool()], NHWC)
                    : (LAYERS[name] as Layer)(g, other),
            );
          }
          return [last(g, maps.at(-1) as string)];
        });
        const left = transpositions(rewrite(graph, [channelsFirst], { partial: true }).graph);
        expect(left).toBeLessThanOrEqual(transpositions(graph));
        await check(graph, left);
      }),
      { numRuns: 100, seed: 1957 },
    );
  });
});

describeWith(!noBlazeface, "its files", "BlazeFace", () => {
  // Its maps are extended by channels of zeros: on pixels after a max pooling, elsewhere on coefficients.
  test.each([
    { name: "front_128x128", side: 128, pads: { coefficients: 8, pixels: 3 }, coefficients: 78 },
    { name: "back_256x256", side: 256, pads: { coefficients: 0, pixels: 2 }, coefficients: 133 },
  ])("$name", async ({ name, side, pads, coefficients }) => {
    const model = readOnnx(readFileSync(join(BLAZEFACE, `face_detection_${name}_barracuda.onnx`)));
    for (const plan of PLANS) {
      const { difference, report } = await compare(model, [1, side, side], plan);
      expect(difference, plan).toBeLessThan(1e-4);
      if (plan === "fused") expect(report[0]?.reason).toMatch(/inverse transform of the image comes before/);
      else {
        const count = (wanted: string, op?: string) =>
          report.filter((node) => node.domain === wanted && node.op === (op ?? node.op)).length;
        expect({ coefficients: count("coefficients", "Pad"), pixels: count("pixels", "Pad") }).toEqual(pads);
        expect(count("coefficients")).toBe(coefficients);
      }
    }
  });
});
