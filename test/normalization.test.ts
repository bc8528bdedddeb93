/** Normalisation by a feature map's own statistics, converted by every plan, against ONNX Runtime on the model itself. */
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import { PLAN_NAMES, type PlanName } from "../packages/conversion/src/convert/options.js";
import { float, GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";

const CHANNELS = 6;
let seed = 1;
const parameter = (g: GraphBuilder, ...dims: number[]) =>
  g.constant("p", float32(uniform(seed++, volume(dims), -1, 2), dims));

/** A convolution, the normalisation, an activation and another convolution. */
function network(
  opset: number,
  [height, width]: number[],
  normalize: (g: GraphBuilder, x: string) => string,
): Graph {
  const g = new GraphBuilder("normalization", opset);
  const convolve = (x: string, from: number, to: number) =>
    g.node("Conv", [x, parameter(g, to, from, 3, 3)], { pads: [1, 1, 1, 1] });
  const x = g.input("image", "float32", ["N", 3, height as number, width as number]);
  const normal = normalize(g, convolve(x, 3, CHANNELS));
  g.output(convolve(g.node("Relu", [normal]), CHANNELS, 4), "y", "float32", undefined);
  return readOnnx(writeOnnx(g.build()));
}

async function run(graph: Graph, data: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await openSession(graph, { intraOpNumThreads: 1 });
  const { y } = await session.run({ [session.inputNames[0] as string]: new Tensor("float32", data, shape) });
  await session.release();
  return y?.data as Float32Array;
}

/** Planes in whole blocks, with something other than zero beyond the image. */
function inBlocks(planes: Float32Array, [n, c, h, w]: number[]) {
  const [height, width] = [h, w].map((length) => 8 * Math.ceil((length as number) / 8)) as [number, number];
  const data = new Float32Array((n as number) * (c as number) * height * width).fill(9);
  for (let row = 0; row < (n as number) * (c as number) * (h as number); row++) {
    const at = (Math.floor(row / (h as number)) * height + (row % (h as number))) * width;
    data.set(planes.subarray(row * (w as number), (row + 1) * (w as number)), at);
  }
  return compress(data, [n as number, c as number, height, width]);
}

/** How far a plan's outputs are from the model's own, in sizes of the largest. */
async function apart(graph: Graph, plan: PlanName): Promise<number> {
  const shape = [2, ...((graph.inputs[0]?.shape ?? []).slice(1) as number[])];
  // Far from zero, where a variance as a difference of squares would round away.
  const planes = uniform(9, volume(shape), 5, 8);
  const expected = await run(graph, planes, shape);
  const packed = inBlocks(planes, shape);
  const found = await run(convertGraph(graph, { plan }).graph, packed.data, packed.shape);
  const size = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(size).toBeGreaterThan(0.5);
  return largestDifference(found, expected) / size;
}

const group = (groups: number, parameters: number) => (g: GraphBuilder, x: string) =>
  g.node("GroupNormalization", [x, parameter(g, parameters), parameter(g, parameters)], {
    num_groups: groups,
    epsilon: float(1e-3),
  });
const overLast = (axis: number, hasShift: boolean) => (g: GraphBuilder, x: string) => {
  const last = g.node("Transpose", [x], { perm: [0, 2, 3, 1] });
  const parameters = [parameter(g, CHANNELS), ...(hasShift ? [parameter(g, CHANNELS)] : [])];
  const normal = g.node("LayerNormalization", [last, ...parameters], { axis, epsilon: float(1e-4) });
  return g.node("Transpose", [normal], { perm: [0, 3, 1, 2] });
};

const CASES: [string, number, (g: GraphBuilder, x: string) => string][] = [
  ["GroupNormalization of operator set 18", 18, group(3, 3)],
  ["GroupNormalization of operator set 21", 21, group(2, CHANNELS)],
  ["GroupNormalization of one group", 21, group(1, CHANNELS)],
  [
    "InstanceNormalization",
    9,
    (g, x) => g.node("InstanceNormalization", [x, parameter(g, CHANNELS), parameter(g, CHANNELS)]),
  ],
  ["LayerNormalization over channels", 17, overLast(-1, true)],
  ["LayerNormalization over axis 3, without a shift", 17, overLast(3, false)],
];

describe.each(CASES)("%s", (_, opset, normalize) => {
  test.each(PLAN_NAMES)("plan %s, on whole blocks", async (plan) => {
    const graph = network(opset, [16, 24], normalize);
    expect(await apart(graph, plan)).toBeLessThan(1e-5);
    const { report } = convertGraph(graph, { plan });
    if (plan !== "fused")
      expect(new Set(report.map(({ domain }) => domain))).toEqual(new Set(["coefficients"]));
  });

  test.each([
    [13, 18],
    [5, 3],
    [24, 9],
  ])("on %i x %i", async (height, width) => {
    const graph = network(opset, [height, width], normalize);
    for (const plan of ["fused", "blockwise"] as const)
      expect(await apart(graph, plan), plan).toBeLessThan(1e-5);
    const { report } = convertGraph(graph, { plan: "blockwise" });
    expect(report.every(({ domain }) => domain === "coefficients")).toBe(true);
  });
});

test("a layer normalisation of something else than channels is done on pixels", async () => {
  const whole = (g: GraphBuilder, x: string) =>
    g.node("LayerNormalization", [x, parameter(g, CHANNELS, 16, 16)], { axis: 1 });
  const alsoRead = (g: GraphBuilder, x: string) => {
    const last = g.node("Transpose", [x], { perm: [0, 2, 3, 1] });
    const normal = g.node("LayerNormalization", [last, parameter(g, CHANNELS)]);
    return g.node("Transpose", [g.node("Add", [normal, last])], { perm: [0, 3, 1, 2] });
  };
  for (const normalize of [whole, alsoRead]) {
    const graph = network(17, [16, 16], normalize);
    const { report } = convertGraph(graph, { plan: "blockwise" });
    expect(report.find(({ op }) => op === "LayerNormalization")?.domain).toBe("pixels");
    for (const plan of ["fused", "blockwise"] as const)
      expect(await apart(graph, plan), plan).toBeLessThan(1e-5);
    expect(() => convertGraph(graph, { plan: "exploded" })).toThrow(/cannot be converted/);
  }
});
