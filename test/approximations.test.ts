/** Activations that `asm:N` and `apx:N` cannot approximate are reported. If none can be approximated, it is an error. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { convert, convertGraph } from "../packages/conversion/src/convert/convert.js";
import { PLAN_NAMES, type PlanName, type Relu } from "../packages/conversion/src/convert/options.js";
import { approximations } from "../packages/conversion/src/convert/report.js";
import { summarizeModel } from "../packages/conversion/src/convert/summary.js";
import { float, GraphBuilder, type PlainAttribute } from "../packages/conversion/src/onnx/builder.js";
import { writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { type Dimension, float32, type Graph } from "../packages/conversion/src/onnx/graph.js";
import { loadModel } from "../packages/node/src/runtime/model.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";

type Activation = [op: string, attributes?: Record<string, PlainAttribute>, constants?: number[][]];

/** 3x3 convolutions with an activation after each. */
function network(activations: Activation[], side: Dimension = 16): Graph {
  const g = new GraphBuilder("activations", 17);
  let x = g.input("x", "float32", ["N", 3, side, side]);
  for (const [op, attributes = {}, constants = []] of activations) {
    const weight = g.constant("w", float32(uniform(5, 81, -0.3, 0.3), [3, 3, 3, 3]));
    x = g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] });
    const others = constants.map((values) =>
      values.length === 1 ? g.floats(values, []) : g.floats(values, [values.length, 1, 1]),
    );
    x = g.node(op, [x, ...others], attributes);
  }
  g.output(x, "out", "float32", ["N", 3, side, side]);
  return g.build();
}

const RELU6: Activation = ["Clip", {}, [[0], [6]]];
const OTHERS: Activation[] = [
  RELU6,
  ["LeakyRelu", { alpha: float(0.1) }],
  ["PRelu", {}, [[0.1, 0.2, 0.3]]],
  ["HardSwish"],
  ["HardSigmoid"],
];

describe.each([{ asm: 10 }, { apx: 6 }])("with %j", (relu) => {
  test.each(OTHERS)("plan fused approximates all of %s, or says that it does not", (...activation) => {
    const graph = network([activation as Activation, ["Relu"]]);
    const { report } = convertGraph(graph, { relu });
    const { approximate, exact, exactByOperator } = approximations(report);
    expect(approximate + exact).toBe(2);
    expect(approximate).toBeGreaterThan(0);
    expect(exactByOperator).toEqual(exact === 0 ? {} : { [activation[0]]: 1 });
    expect(summarizeModel(graph, { relu }).activations).toEqual({ approximate, exact, exactByOperator });
    expect(summarizeModel(graph).activations).toBeUndefined();
    expect(approximations(convertGraph(graph, { relu, plan: "blockwise" }).report)).toEqual({
      approximate: 2,
      exact: 0,
      exactByOperator: {},
    });
  });
});

async function run(graph: Graph, data: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await openSession(graph, { intraOpNumThreads: 1 });
  const feeds = { [session.inputNames[0] as string]: new Tensor("float32", data, shape) };
  const { out } = await session.run(feeds);
  await session.release();
  return out?.data as Float32Array;
}

const ALL: Activation[] = [
  ...OTHERS,
  ["Relu"],
  ["Clip", {}, [[-0.25], [0.5]]],
  ["PRelu", {}, [[-0.3]]],
  ["HardSigmoid", { alpha: float(0.4), beta: float(0.3) }],
  ["Abs"],
  ["ThresholdedRelu", { alpha: float(0.2) }],
  ["Shrink", { lambd: float(0.1), bias: float(0.05) }],
  ["Max", {}, [[-0.1, 0, 0.1]]],
  ["Min", {}, [[0.2]]],
];

describe.each([
  { side: 16, plans: PLAN_NAMES },
  { side: 13, plans: ["fused", "blockwise"] as const },
])("maps of $side x $side", ({ side, plans }) => {
  test.each(ALL)(
    "%s: all plans agree by ASM and APX, and differ from the exact ones",
    async (...activation) => {
      const graph = network([activation as Activation, activation as Activation], side);
      const planes = uniform(21, 2 * 3 * side * side, -3, 3);
      const expected = await run(graph, planes, [2, 3, side, side]);
      const whole = 8 * Math.ceil(side / 8);
      const beyond = new Float32Array(2 * 3 * whole * whole).fill(7);
      for (let row = 0; row < 2 * 3 * side; row++) {
        const at = (Math.floor(row / side) * whole + (row % side)) * whole;
        beyond.set(planes.subarray(row * side, (row + 1) * side), at);
      }
      const packed = compress(beyond, [2, 3, whole, whole]);
      const converted = (plan: PlanName, relu: Relu) =>
        run(convertGraph(graph, { plan, relu }).graph, packed.data, packed.shape);
      for (const kind of ["asm", "apx"] as const) {
        const found = await Promise.all(plans.map((plan) => converted(plan, `${kind}:4`)));
        for (const [i, logits] of found.entries()) {
          expect(largestDifference(logits, found[0] as Float32Array), plans[i]).toBeLessThan(2e-5);
          expect(largestDifference(logits, expected), plans[i]).toBeGreaterThan(0.02);
        }
        for (const plan of plans)
          expect(largestDifference(await converted(plan, `${kind}:14`), expected), plan).toBeLessThan(2e-5);
      }
    },
  );
});

test("activations without pieces are counted apart", () => {
  const graph = network([["Sigmoid"], RELU6, ["Softplus"], ["Sigmoid"]]);
  for (const plan of ["fused", "blockwise"] as const)
    expect(approximations(convertGraph(graph, { plan, relu: "asm:6" }).report)).toEqual({
      approximate: 1,
      exact: 0,
      exactByOperator: {},
      impossible: { Sigmoid: 2, Softplus: 1 },
    });
});

describe("relu as an option", () => {
  const graph = network([["Relu"]]);

  test.each(["asm:6", "apx:3", "exact"] as const)("%s is its object", async (text) => {
    const [kind, n] = text.split(":") as ["asm" | "apx", string?];
    const relu = n === undefined ? "exact" : ({ [kind]: Number(n) } as Relu);
    const files = [text, relu].map((given) => convert(writeOnnx(graph), { relu: given }));
    expect(files[0]).toEqual(files[1]);
    await (await loadModel(writeOnnx(graph), { relu: text })).close();
  });

  test.each([
    [{}, "{}"],
    [{ asm: "6" }, '{"asm":"6"}'],
    [{ asm: 6, apx: 6 }, '{"asm":6,"apx":6}'],
    [null, "null"],
    [5, "5"],
    ["asm6", '"asm6"'],
    ["asm:", '"asm:"'],
    [[6], "[6]"],
  ])("%j is refused", async (relu, found) => {
    const message = `relu ${found} is unknown; expected exact, asm:N or apx:N with N from 0 to 14, or { asm: N } or { apx: N }`;
    const options = { relu: relu as Relu };
    expect(() => convert(writeOnnx(graph), options)).toThrow(message);
    expect(() => summarizeModel(graph, options)).toThrow(message);
    await expect(loadModel(writeOnnx(graph), options)).rejects.toThrow(message);
  });
});

const REFUSAL =
  "relu asm:10 would approximate no activation of this model under plan fused (left exact: 2 Clip); expected relu exact";

test("a model without an activation that can be approximated is refused, when converted and when loaded", async () => {
  // If the size is unknown, so is whether the border is inside a block.
  const graph = network([RELU6, RELU6], "H");
  expect(() => convertGraph(graph, { relu: { asm: 10 } })).toThrow(REFUSAL);
  expect(() => convertGraph(graph, { relu: { asm: 14 } })).not.toThrow();
  await expect(loadModel(writeOnnx(graph), { relu: { asm: 10 } })).rejects.toThrow(REFUSAL);
});

test("the commands say so in one line", () => {
  const folder = mkdtempSync(join(tmpdir(), "approximations-"));
  const [model, made] = ["in.onnx", "out.onnx"].map((name) => join(folder, name)) as [string, string];
  // The slopes of the last one are computed.
  const graph = network([RELU6, ["Sigmoid"], ["Relu"]]);
  const g = new GraphBuilder("computed slopes", 17);
  Object.assign(g.graph, graph, { outputs: [] });
  const slopes = g.node("Flatten", [g.node("GlobalAveragePool", ["x"])], { axis: 1 });
  const column = g.node("Reshape", [slopes, g.ints([3, 1, 1])]);
  g.output(g.node("PRelu", ["out", column], {}, "last"), "y", "float32", undefined);
  writeFileSync(model, writeOnnx(g.build()));
  const main = fileURLToPath(new URL("../packages/cli/dist/main.js", import.meta.url));
  const run = (...rest: string[]) =>
    execFileSync(process.execPath, [main, ...rest, "--relu", "asm:10"], { encoding: "utf8" });
  const warning = "1 of 3 activations are left exact (1 PRelu), 2 approximated; none could be of 1 Sigmoid";
  for (const text of [run("convert", model, made), run("inspect", model)])
    expect(text.split("\n").filter((line) => line.includes(warning))).toHaveLength(1);
  const { activations } = JSON.parse(run("convert", model, made, "--json"));
  expect(activations).toEqual({
    approximate: 2,
    exact: 1,
    exactByOperator: { PRelu: 1 },
    impossible: { Sigmoid: 1 },
  });
});
