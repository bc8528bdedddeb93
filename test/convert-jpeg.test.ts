/** `convert` with `input: 'jpeg'`: the converted network, and the report about it. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readCoefficients } from "@jpeg-domain/coefficients";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { conversionLines, modelLines } from "../packages/cli/src/views/model-text.js";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import { readMetadata } from "../packages/conversion/src/convert/metadata.js";
import type { ConvertOptions } from "../packages/conversion/src/convert/options.js";
import { summarizeModel } from "../packages/conversion/src/convert/summary.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { type Dimension, float32, type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { feedsOf } from "../packages/conversion/src/preprocess/feeds.js";
import { type Preprocess, TORCHVISION } from "../packages/conversion/src/preprocess/preprocess.js";
import { loadModel } from "../packages/node/src/runtime/model.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";
import { mnistJpegs, NOTEBOOK } from "./runtime-material.js";

const MODEL = fileURLToPath(new URL("../packages/experiments/models/mnist-resnet.onnx", import.meta.url));
const PLANS = ["fused", "blockwise"] as const;

/** A first convolution of stride and kernel `patch`, a pooling, a gate and an activation. */
function network(height: Dimension, width: Dimension, patch: number): Graph {
  const g = new GraphBuilder("network");
  const x = g.input("image", "float32", ["N", 3, height, width]);
  const weight = (...dims: number[]) => g.constant("w", float32(uniform(3, volume(dims), -0.1, 0.1), dims));
  const strides = [patch, patch];
  const y = g.node("Conv", [x, weight(8, 3, patch, patch)], { strides }, "embed");
  const mean = g.node("ReduceMean", [y], { axes: [2, 3], keepdims: 1 }, "mean");
  const gate = g.node("Sigmoid", [g.node("Conv", [mean, weight(8, 8, 1, 1)], {}, "mix")], {}, "gate");
  const gated = g.node("Mul", [y, gate], {}, "gated");
  const pooled = g.node("MaxPool", [gated], { kernel_shape: [2, 2] }, "pool");
  const last = g.node("Relu", [g.node("Conv", [pooled, weight(4, 8, 3, 3)], {}, "deep")], {}, "relu");
  g.output(g.node("GlobalAveragePool", [last]), "y", "float32", ["N", 4, 1, 1]);
  return g.build();
}

describe("the preprocessing", () => {
  const refused = (graph: Graph, given: Partial<Preprocess>, options: ConvertOptions = {}) => {
    const preprocess = { ...TORCHVISION, ...given };
    return () => convertGraph(graph, { ...options, input: "jpeg", preprocess });
  };

  test.each(PLANS)("that cannot give the network's size is refused, plan %s", (plan) => {
    const fixed = network(224, 224, 16);
    const { crop: _, ...whole } = TORCHVISION;
    const uncropped = { ...whole, resize: { shortestEdge: 223 } };
    expect(() => convertGraph(fixed, { plan, input: "jpeg", preprocess: uncropped })).toThrow(
      "the preprocessing is resize the shortest edge to 223 and no crop, the network takes 224x224; expected a crop",
    );
    expect(refused(fixed, { crop: { height: 224, width: 200 } }, { plan })).toThrow(
      "the preprocessing gives images of width 200, the network takes 224",
    );
    const pad = { top: 2, left: 2, bottom: 2, right: 2 };
    expect(refused(fixed, { pad }, { plan })).toThrow("gives images of height 228, the network takes 224");
    expect(refused(fixed, { resize: { shortestEdge: 224 } }, { plan })).not.toThrow();
    // A crop larger than the image gets a black border.
    expect(refused(network("H", "W", 16), { resize: { shortestEdge: 100 } }, { plan })).not.toThrow();
  });

  test("gives a network of open size the crop's size", () => {
    const preprocess = { ...TORCHVISION, resize: { shortestEdge: 48 }, crop: { height: 48, width: 40 } };
    const options = { plan: "blockwise", input: "jpeg", preprocess } as const;
    const domains = (graph: Graph) => convertGraph(graph, options).report.map(({ domain }) => domain);
    expect(domains(network("H", "W", 8))).toEqual(domains(network(48, 40, 8)));
    expect(domains(network("H", "W", 8))).toContain("coefficients");
    // The size is set before constants are folded, so constants may depend on it.
    const same = (height: Dimension, width: Dimension) => {
      const g = new GraphBuilder("resized");
      const x = g.input("image", "float32", ["N", 3, height, width]);
      const small = g.node("AveragePool", [x], { kernel_shape: [2, 2], strides: [2, 2] });
      const sizes = g.node("Shape", [x]);
      g.output(g.node("Neg", [g.node("Resize", [small, "", "", sizes])]), "y", "float32", undefined);
      return g.build();
    };
    expect(domains(same("H", "W"))).toEqual(domains(same(48, 40)));
  });
});

describe("the report", () => {
  const lines = (options: ConvertOptions) =>
    conversionLines(convertGraph(network(64, 64, 8), options).report);
  const square = { height: 64, width: 64 };
  const jpeg = { input: "jpeg", preprocess: { ...TORCHVISION, resize: square, crop: square } } as const;

  test("says why no transform folds into the first operator of a network on planes", () => {
    expect(lines({})).toContainEqual(expect.stringContaining("its weights take coefficients"));
    const why = "pixels are rounded, clamped to 0..255 and resized between a file and the network";
    expect(lines(jpeg)).toEqual([
      "domains   0 of 9 operators on coefficients",
      `first     Conv embed: no transform folds into it: ${why}`,
    ]);
    const anew = `; the image's coefficients are computed anew: ${why}`;
    expect(lines({ ...jpeg, plan: "blockwise" })[1]).toMatch(/^first {5}Conv embed: /);
    expect(lines({ ...jpeg, plan: "blockwise" })[1]?.endsWith(anew)).toBe(true);
    const { resize: _, ...sized } = jpeg.preprocess;
    expect(lines({ ...jpeg, preprocess: sized })[1]).toContain(
      "pixels are rounded and clamped to 0..255 between a file and the network",
    );
  });

  test("counts the network's multiply-adds", () => {
    const { cost, report, graph } = convertGraph(network(64, 64, 8), jpeg);
    const expected = 8 * 3 * 64 * 64 + 8 * 8 + 4 * 8 * 9 * 25;
    expect(cost.multiplyAdds).toBe(expected);
    expect(report.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0)).toBe(expected);
    expect(readMetadata(graph)?.multiplyAdds).toBe(expected);
  });

  test("names the first operator that needs pixels, not one on vectors, and counts re-entries", () => {
    expect(lines({ plan: "blockwise" }).slice(2)).toEqual([
      "boundary  MaxPool pool: no rule for this operator on coefficients",
      "re-enter  1 of them, after operators on pixels",
    ]);
  });
});

test("an approximated ReLU gives the same outputs with plan fused", async () => {
  const bytes = await readFile(MODEL);
  const { files } = await mnistJpegs(4, 90);
  const size = { height: 32, width: 32 };
  const preprocess = { ...NOTEBOOK, resample: "bilinear" as const, resize: size };
  const relu = { asm: 3 };
  const { graph } = convertGraph(readOnnx(bytes), { input: "jpeg", preprocess, relu });
  const planes = readMetadata(graph)?.planes as string;
  const open = { ...graph, outputs: [...graph.outputs, { name: planes, type: "float32", shape: undefined }] };
  const [session, onPlanes] = [
    await openSession(writeOnnx(open as Graph)),
    await openSession(convertGraph(readOnnx(bytes), { relu }).graph),
  ];
  const found: Float32Array[] = [];
  for (const file of files) {
    const results = await session.run(feedsOf(readCoefficients(file), preprocess, Tensor));
    const { data, shape } = compress(results[planes]?.data as Float32Array, [1, 1, 32, 32]);
    const expected = await onPlanes.run({ coefficients: new Tensor("float32", data, shape) });
    const logits = results.logits?.data as Float32Array;
    expect(largestDifference(logits, expected.logits?.data as Float32Array)).toBeLessThan(1e-4);
    found.push(logits);
  }
  // Several files in one call: the runtime gives the network one at a time.
  const model = await loadModel(writeOnnx(graph), { threads: 1 });
  const exact = await loadModel(bytes, { threads: 1, preprocess });
  const [approximate, spatial] = [await model.run(files), await exact.run(files)];
  for (const [i, { outputs }] of approximate.entries()) {
    const same = outputs?.logits?.data as Float32Array;
    // A few samples near a half are rounded differently, and the mask flips there.
    expect(largestDifference(same, found[i] as Float32Array)).toBeLessThan(1.5);
    const own = spatial[i]?.outputs?.logits?.data as Float32Array;
    expect(largestDifference(own, found[i] as Float32Array)).toBeGreaterThan(3);
  }
  for (const opened of [model, exact]) await opened.close();
});

test("preprocessing that the options leave open is the default for the network's size, and reported", async () => {
  const silent = readOnnx(await readFile(MODEL));
  silent.metadata.clear();
  const bytes = writeOnnx(silent);
  const { graph, assumed } = convertGraph(silent, {
    input: "jpeg",
    preprocess: { mean: NOTEBOOK.mean, std: NOTEBOOK.std },
  });
  const { resize, crop, channels, mean } = readMetadata(graph)?.preprocess ?? {};
  expect({ resize, crop, channels, mean }).toEqual({
    resize: { height: 32, width: 32 },
    crop: undefined,
    channels: "grayscale",
    mean: NOTEBOOK.mean,
  });
  expect(assumed).toContain("assumed resize to 32x32");
  const whole = { ...NOTEBOOK, resample: "bilinear" as const, resize: { height: 32, width: 32 } };
  expect(convertGraph(readOnnx(bytes), { input: "jpeg", preprocess: whole }).assumed).toBeUndefined();
  // loadModel assumes the same for the spatial model.
  const model = await loadModel(bytes, {
    threads: 1,
    preprocess: { mean: NOTEBOOK.mean, std: NOTEBOOK.std },
  });
  expect(model.preprocess).toEqual(readMetadata(graph)?.preprocess);
  await model.close();
});

test("inspect describes a model that takes JPEG files", async () => {
  const graph = readOnnx(await readFile(MODEL));
  const summary = summarizeModel(graph, { input: "jpeg" });
  expect(modelLines(summary)[1]).toBe("image 1x32x32; conversion with input jpeg, plan fused, ReLU exact:");
  expect(summary.layers?.every(({ domain }) => domain === "pixels")).toBe(true);
  expect(summary.multiplyAdds).toBe(summary.spatialMultiplyAdds);
});
