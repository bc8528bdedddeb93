/** The supported operator sets: converted models run in ONNX Runtime, and give the original model's outputs. */

import { compress } from "@jpeg-domain/coefficients";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import { float, GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph, int64, volume } from "../packages/conversion/src/onnx/graph.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";

/** Layers whose attributes became inputs, or whose meaning was extended, from one operator set to the next. */
function network(opset: number): Graph {
  const g = new GraphBuilder("opset", opset);
  const parameter = (...dims: number[]) =>
    g.constant("p", float32(uniform(volume(dims), volume(dims), 0.05, 0.3), dims));
  let x = g.input("x", "float32", ["N", 3, 24, 16]);
  const pads = [1, 1, 1, 1];
  x = g.node("Conv", [x, parameter(8, 3, 3, 3), parameter(8)], { pads });
  x = g.node("BatchNormalization", [x, parameter(8), parameter(8), parameter(8), parameter(8)]);
  x = g.node("Relu", [x]);
  const clip = opset < 11 ? [x] : [x, g.floats([0], []), g.floats([6], [])];
  x = g.node("Clip", clip, opset < 11 ? { min: float(0), max: float(6) } : {});
  const zeros = [0, 0, 1, 1, 0, 0, 1, 1];
  x = opset < 11 ? g.node("Pad", [x], { pads: zeros }) : g.node("Pad", [x, g.ints(zeros)]);
  x = g.slice(x, { axis: 2, from: 1, to: 25 });
  x = g.slice(x, { axis: 3, from: 1, to: 17 });
  x = g.node("Conv", [x, parameter(8, 1, 3, 3)], { pads, group: 8 });
  x = g.node("LeakyRelu", [x], { alpha: float(0.1) });
  x = g.node("AveragePool", [x], { kernel_shape: [2, 2], strides: [2, 2] });
  x = g.node("MaxPool", [x], { kernel_shape: [2, 2], strides: [2, 2] });
  const axes = g.constant("axes", int64([2, 3]));
  x = opset < 18 ? g.node("ReduceMean", [x], { axes: [2, 3] }) : g.node("ReduceMean", [x, axes]);
  x = g.node("Gemm", [g.node("Flatten", [x]), parameter(5, 8), parameter(5)], { transB: 1 });
  g.output(g.node("Softmax", [x], { axis: 1 }), "y", "float32", ["N", 5]);
  return readOnnx(writeOnnx(g.build()));
}

async function run(graph: Graph, input: Tensor): Promise<Float32Array> {
  const session = await openSession(graph);
  const results = await session.run({ [session.inputNames[0] as string]: input });
  await session.release();
  return results.y?.data as Float32Array;
}

const OPSETS = Array.from({ length: 17 }, (_, i) => 7 + i);

describe.each(OPSETS)("operator set %i", (opset) => {
  test.each(["fused", "blockwise"] as const)("plan %s", async (plan) => {
    const model = network(opset);
    const { graph } = convertGraph(model, { plan });
    expect(graph.opsets.get("")).toBe(opset);
    const planes = uniform(4, 2 * 3 * 24 * 16, -1, 1);
    const { data, shape } = compress(planes, [2, 3, 24, 16]);
    const expected = await run(model, new Tensor("float32", planes, [2, 3, 24, 16]));
    expect(largestDifference(await run(graph, new Tensor("float32", data, shape)), expected)).toBeLessThan(
      1e-5,
    );
  });

  test("with input jpeg, from 9", () => {
    const converted = () => convertGraph(network(opset), { input: "jpeg" });
    if (opset >= 9) expect(converted).not.toThrow();
    else expect(converted).toThrow(`input jpeg needs a model of opset 9 or later; this one has ${opset}`);
  });
});
