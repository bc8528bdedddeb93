/** What `asm:N` and `apx:N` cannot approximate is counted and told, and refused where it is all. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { convertGraph } from "../src/convert/convert.js";
import { approximations } from "../src/convert/report.js";
import { summarizeModel } from "../src/convert/summary.js";
import { float, GraphBuilder, type PlainAttribute } from "../src/onnx/builder.js";
import { writeOnnx } from "../src/onnx/file.js";
import { float32, type Graph } from "../src/onnx/graph.js";
import { loadModel } from "../src/runtime/model.js";
import { uniform } from "./reference/arrays.js";

type Activation = [op: string, attributes?: Record<string, PlainAttribute>, constants?: number[][]];

/** 3x3 convolutions with an activation after each. */
function network(activations: Activation[]): Graph {
  const g = new GraphBuilder("activations", 17);
  let x = g.input("x", "float32", ["N", 3, 16, 16]);
  for (const [op, attributes = {}, constants = []] of activations) {
    const weight = g.constant("w", float32(uniform(5, 81, -0.3, 0.3), [3, 3, 3, 3]));
    x = g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] });
    const others = constants.map((values) =>
      values.length === 1 ? g.floats(values, []) : g.floats(values, [values.length, 1, 1]),
    );
    x = g.node(op, [x, ...others], attributes);
  }
  g.output(x, "out", "float32", ["N", 3, 16, 16]);
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

const REFUSAL =
  "relu asm:10 would approximate no activation of this model under plan fused (left exact: 2 Clip); expected relu exact, or plan blockwise";

test("a model of which nothing could be approximated is refused, when converted and when loaded", async () => {
  const graph = network([RELU6, RELU6]);
  expect(() => convertGraph(graph, { relu: { asm: 10 } })).toThrow(REFUSAL);
  expect(() => convertGraph(graph, { relu: { asm: 14 } })).not.toThrow();
  await expect(loadModel(writeOnnx(graph), { relu: { asm: 10 } })).rejects.toThrow(REFUSAL);
});

test("the commands tell it in one line", () => {
  const folder = mkdtempSync(join(tmpdir(), "approximations-"));
  const [model, made] = ["in.onnx", "out.onnx"].map((name) => join(folder, name)) as [string, string];
  writeFileSync(model, writeOnnx(network([RELU6, ["Relu"], RELU6])));
  const main = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));
  const run = (...rest: string[]) =>
    execFileSync(process.execPath, [main, ...rest, "--relu", "asm:10"], { encoding: "utf8" });
  const warning = "2 of 3 activations are left exact (2 Clip), 1 approximated";
  for (const text of [run("convert", model, made), run("inspect", model)])
    expect(text.split("\n").filter((line) => line.includes(warning))).toHaveLength(1);
  const { activations } = JSON.parse(run("convert", model, made, "--json"));
  expect(activations).toEqual({ approximate: 1, exact: 2, exactByOperator: { Clip: 2 } });
});
