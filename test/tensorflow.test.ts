/** TensorFlow's models as tf2onnx exports them: images of [N, H, W, C]. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convertGraph } from "../src/convert/convert.js";
import type { PlanName } from "../src/convert/options.js";
import { readOnnx } from "../src/onnx/file.js";
import type { Graph } from "../src/onnx/graph.js";
import { openSession } from "../src/runtime/session.js";
import { compress, toWholeBlocks } from "../src/transform/images.js";
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
  console.warn("SKIPPED: BlazeFace, because it is not in out/: sh test/reference/blazeface.sh brings it");

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

/** How far the outputs of the converted model are from the spatial one's, in sizes of the largest value; and why. */
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

describe.skipIf(absent)("tf2onnx's idioms", () => {
  let folder: string;
  beforeAll(() => {
    expect(python, "CI needs a python3 with onnx (Debian: python3-onnx)").toBeDefined();
    folder = mkdtempSync(join(tmpdir(), "jpeg-domain-tensorflow-"));
    execFileSync(python as string, [path("reference/tf2onnx-idioms.py"), folder], { stdio: "pipe" });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Sides of the image, and the operators that plan blockwise carries out on coefficients. */
  const MODELS: Record<string, { sides: [number, number]; coefficients: string[] }> = {
    mobilenet_v2: {
      sides: [32, 48],
      coefficients: ["Add", "Clip", "Conv", "Max", "Min", "Pad", "ReduceMean", "Relu"],
    },
    mobilenet_v3: {
      sides: [32, 48],
      coefficients: ["Add", "Clip", "Conv", "GlobalAveragePool", "Mul", "Relu"],
    },
    efficientnet: { sides: [30, 45], coefficients: [] },
    resnet: { sides: [32, 48], coefficients: [] },
    any_size: { sides: [40, 56], coefficients: [] },
  };
  test.each(Object.entries(MODELS))("%s", async (name, { sides, coefficients }) => {
    const model = readOnnx(readFileSync(join(folder, `${name}.onnx`)));
    for (const plan of PLANS) {
      const { difference, report } = await compare(model, [2, ...sides], plan);
      expect(difference, plan).toBeLessThan(1e-4);
      const ops = report.filter(({ domain }) => domain === "coefficients").map(({ op }) => op);
      if (plan === "blockwise") expect(ops).toEqual(expect.arrayContaining(coefficients));
    }
  });
});

describe.skipIf(noBlazeface)("BlazeFace", () => {
  test.each([
    ["front_128x128", 128],
    ["back_256x256", 256],
  ])("%s", async (name, side) => {
    const model = readOnnx(readFileSync(join(BLAZEFACE, `face_detection_${name}_barracuda.onnx`)));
    for (const plan of PLANS) {
      const { difference, report } = await compare(model, [1, side, side], plan);
      expect(difference, plan).toBeLessThan(1e-4);
      if (plan === "fused") expect(report[0]?.reason).toMatch(/inverse transform of the image comes before/);
    }
  });
});
