import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { compress } from "../packages/coefficients/src/transform/images.js";
import { D_n } from "../packages/coefficients/src/transform/tensors.js";
import { convert, convertGraph } from "../packages/conversion/src/convert/convert.js";
import { ConvertError } from "../packages/conversion/src/convert/errors.js";
import { readMetadata } from "../packages/conversion/src/convert/metadata.js";
import {
  type ConvertOptions,
  formatRelu,
  PLAN_NAMES,
  type Relu,
} from "../packages/conversion/src/convert/options.js";
import { foldBatchNormalization } from "../packages/conversion/src/convert/rewrites/fold-batch-normalization.js";
import { float, GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph, type ValueInfo, volume } from "../packages/conversion/src/onnx/graph.js";
import { rewrite } from "../packages/conversion/src/onnx/rewrite.js";
import {
  type LabelledImages,
  labelledPlanes,
  loadSplit,
  planes,
} from "../packages/experiments/src/data/mnist.js";
import { openClassifier } from "../packages/node/src/runtime/classifier.js";
import { evaluate } from "../packages/node/src/runtime/evaluate.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, readNpy, uniform } from "./reference/arrays.js";
import { build, recipes } from "./reference/random-networks.js";
import reference from "./reference/reference.json" with { type: "json" };

const PYTORCH = readFileSync(new URL("reference/mnist-resnet-pytorch.onnx", import.meta.url));
const SHIPPED = readFileSync(new URL("../packages/experiments/models/mnist-resnet.onnx", import.meta.url));
const CLASSES = 10;
/** Other test files run at the same time, so threads that wait for each other would slow them down. */
const ONE_THREAD = { intraOpNumThreads: 1 };

let images: LabelledImages;
beforeAll(async () => {
  images = await loadSplit(undefined, "test");
});

async function logitsOf(model: Uint8Array, count: number): Promise<Float32Array> {
  const classifier = await openClassifier(model, ONE_THREAD);
  const { logits } = await evaluate(classifier, { ...labelledPlanes(images), count });
  await classifier.close();
  return logits;
}

const predictions = (logits: Float32Array) =>
  Array.from({ length: logits.length / CLASSES }, (_, i) => {
    const row = logits.subarray(CLASSES * i, CLASSES * (i + 1));
    return row.indexOf(Math.max(...row));
  });

/** The number of images with a logit that differs by more than `tolerance`. */
const apart = (a: Float32Array, b: Float32Array, tolerance: number) =>
  Array.from({ length: a.length / CLASSES }, (_, i) => i).filter((i) => {
    const row = [CLASSES * i, CLASSES * (i + 1)] as const;
    return !(largestDifference(a.subarray(...row), b.subarray(...row)) <= tolerance);
  });

/** PyTorch's logits for the first 256 test images, and on how many of them a ReLU's mask may flip. */
const RELUS = [
  { relu: "exact", file: "asm14_logits.npy", mayDiffer: 0 },
  { relu: { asm: 10 }, file: "asm10_logits.npy", mayDiffer: 2 },
  { relu: { asm: 6 }, file: "asm6_logits.npy", mayDiffer: 2 },
  { relu: { apx: 10 }, file: "apx10_logits.npy", mayDiffer: 0 },
] as const;

describe("the PyTorch export", () => {
  test("itself has PyTorch's logits", async () => {
    const { data, shape } = readNpy("spatial_logits.npy");
    expect(shape).toEqual([256, CLASSES]);
    expect(largestDifference(await logitsOf(PYTORCH, 256), data)).toBeLessThanOrEqual(1e-4);
  });

  const cases = PLAN_NAMES.flatMap((plan) =>
    RELUS.map((relu) => ({ plan, ...relu, name: formatRelu(relu.relu) })),
  );
  test.each(cases)(
    "converted, plan $plan, ReLU $name: PyTorch's logits",
    { timeout: 300_000 },
    async ({ plan, relu, file, mayDiffer }) => {
      const { data } = readNpy(file);
      // ONNX Runtime would make all operators of `exploded` at once, 6 GB. Without optimisation it makes each when needed.
      const session = await openSession(
        convert(PYTORCH, { plan, relu }),
        plan === "exploded" ? { ...ONE_THREAD, graphOptimizationLevel: "disabled" } : ONE_THREAD,
      );
      const packed = compress(planes(images, { from: 0, to: 256 }), [256, 1, 32, 32]);
      const results = await session.run({ coefficients: new Tensor("float32", packed.data, packed.shape) });
      const logits = results.logits?.data as Float32Array;
      expect(apart(logits, data, 1e-4).length).toBeLessThanOrEqual(mayDiffer);
      expect(predictions(logits)).toEqual(predictions(data));
      await session.release();
    },
  );

  test.each(PLAN_NAMES)("plan %s: ASM and APX of n = 14 are the exact ReLU", (plan) => {
    const file = (relu: Relu) =>
      writeOnnx({ ...convertGraph(readOnnx(PYTORCH), { plan, relu }).graph, metadata: new Map() });
    const exact = file("exact");
    for (const relu of [{ asm: 14 }, { apx: 14 }]) expect(Buffer.compare(file(relu), exact)).toBe(0);
  });

  test("converted has PyTorch's count of correct answers on all 10,000, to 2", {
    timeout: 300_000,
  }, async () => {
    const expected = reference.correct_of_10000;
    const relus = { asm14: "exact", asm10: { asm: 10 }, asm6: { asm: 6 }, apx10: { apx: 10 } } as const;
    const correct = async (model: Uint8Array) => {
      const all = predictions(await logitsOf(model, images.count));
      return all.filter((answer, i) => answer === images.labels[i]).length;
    };
    expect(Math.abs((await correct(PYTORCH)) - expected.spatial)).toBeLessThanOrEqual(2);
    for (const [name, relu] of Object.entries(relus)) {
      const difference = (await correct(convert(PYTORCH, { relu }))) - expected[name as keyof typeof relus];
      expect(Math.abs(difference), name).toBeLessThanOrEqual(2);
    }
  });
});

test("the shipped model converted gives its own predictions on all 10,000, logits to 1e-4", {
  timeout: 300_000,
}, async () => {
  const [spatial, exact] = [
    await logitsOf(SHIPPED, images.count),
    await logitsOf(convert(SHIPPED), images.count),
  ];
  expect(predictions(exact)).toEqual(predictions(spatial));
  expect(largestDifference(exact, spatial)).toBeLessThanOrEqual(1e-4);
});

async function run(model: Uint8Array, data: Float32Array, shape: number[]): Promise<Tensor> {
  const session = await openSession(model, ONE_THREAD);
  const [input, output] = [session.inputNames[0] as string, session.outputNames[0] as string];
  const result = (await session.run({ [input]: new Tensor("float32", data, shape) }))[output] as Tensor;
  await session.release();
  return result;
}

/** A spatial and a converted model on the same random planes: the largest difference, relative to the largest output. */
async function difference(graph: Graph, options: ConvertOptions, expected = graph): Promise<number> {
  const [input] = graph.inputs as [ValueInfo];
  const [, channels, height, width] = input.shape as [string, number, number, number];
  const shape = [3, channels, height, width];
  const planes = uniform(77, volume(shape), -2, 2);
  const spatial = await run(writeOnnx(expected), planes, shape);
  const packed = compress(planes, shape, options.table ? { table: options.table } : {});
  const converted = await run(convert(writeOnnx(graph), options), packed.data, packed.shape);
  expect(converted.dims).toEqual(spatial.dims);
  const [found, wanted] = [converted.data as Float32Array, spatial.data as Float32Array];
  return largestDifference(found, wanted) / Math.max(1, ...wanted.map(Math.abs));
}

const TABLES = [
  undefined,
  new Array<number>(64).fill(1),
  Array.from({ length: 64 }, (_, k) => 3 + ((k * 29) % 60)),
];
const tables = fc.constantFrom(...TABLES);

describe("random networks", () => {
  const seed = 20181105;

  test("converted with every plan give the outputs of the spatial one", { timeout: 300_000 }, () =>
    fc.assert(
      fc.asyncProperty(recipes, tables, async (recipe, table) => {
        for (const plan of PLAN_NAMES) {
          const options: ConvertOptions = table ? { plan, table } : { plan };
          expect(await difference(build(recipe), options), plan).toBeLessThanOrEqual(2e-5);
        }
      }),
      { numRuns: 60, seed },
    ),
  );

  test("with APX give the outputs of a network that projects before each ReLU", { timeout: 300_000 }, () => {
    const ns = fc.integer({ min: 0, max: 14 });
    return fc.assert(
      fc.asyncProperty(recipes, tables, ns, async (recipe, table, n) => {
        for (const plan of PLAN_NAMES) {
          const options: ConvertOptions = { plan, relu: { apx: n }, ...(table && { table }) };
          const projecting = build(recipe, n);
          expect(await difference(build(recipe), options, projecting), plan).toBeLessThanOrEqual(2e-5);
        }
      }),
      { numRuns: 40, seed },
    );
  });
});

/** One operator between an image and a feature map. */
function oneNode(
  make: (g: GraphBuilder, x: string) => string,
  shape: [number, number, number] = [1, 16, 16],
): Graph {
  const g = new GraphBuilder("one");
  const x = g.input("image", "float32", ["N", ...shape]);
  g.output(make(g, x), "y", "float32", ["N", ...shape]);
  return g.build();
}

const relu = () => oneNode((g, x) => g.node("Relu", [x]), [3, 16, 24]);

describe("ReLU", () => {
  /** Each block's pixels from its frequencies alpha + beta <= n alone, in float64: planes `[6, 16, 24]`. */
  function lowFrequencies(planes: Float32Array, n: number): Float64Array {
    const { data: D } = D_n(n);
    const low = new Float64Array(planes.length);
    for (let block = 0; block < planes.length / 64; block++) {
      const [plane, x, y] = [Math.floor(block / 6), Math.floor((block % 6) / 3), block % 3];
      const pixel = (p: number) => (plane * 16 + 8 * x + (p >> 3)) * 24 + 8 * y + (p & 7);
      for (let f = 0; f < 64; f++) {
        let coefficient = 0;
        for (let p = 0; p < 64; p++) coefficient += (D[64 * p + f] as number) * (planes[pixel(p)] as number);
        for (let p = 0; p < 64; p++)
          low[pixel(p)] = (low[pixel(p)] as number) + (D[64 * p + f] as number) * coefficient;
      }
    }
    return low;
  }

  test.each(PLAN_NAMES)(
    "plan %s: ASM masks the pixels, APX rectifies their projection, n = 0 … 14",
    async (plan) => {
      const shape = [2, 3, 16, 24];
      const planes = uniform(3, volume(shape));
      const packed = compress(planes, shape);
      for (let n = 0; n <= 14; n++) {
        const low = lowFrequencies(planes, n);
        // Where the projection is almost 0, rounding decides, so these pixels are left out.
        const decided = planes.map((_, i) => Number(Math.abs(low[i] as number) > 1e-5));
        const masks = { asm: 0, apx: 0 };
        for (const kind of ["asm", "apx"] as const) {
          const options = { plan, relu: kind === "asm" ? { asm: n } : { apx: n } };
          const { data } = await run(convert(writeOnnx(relu()), options), packed.data, packed.shape);
          const expected = planes.map((x, i) => {
            const kept = (low[i] as number) >= 0 ? 1 : 0;
            masks[kind] += kept;
            return (decided[i] as number) * kept * (kind === "asm" ? x : (low[i] as number));
          });
          const found = (data as Float32Array).map((y, i) => y * (decided[i] as number));
          expect(largestDifference(found, expected), `${kind}:${n}`).toBeLessThan(5e-6);
        }
        expect(decided.reduce((sum, one) => sum + one)).toBeGreaterThan(planes.length - 5);
        expect(masks.asm).toBeGreaterThan(planes.length / 3);
      }
    },
  );
});

describe("a converted file", () => {
  test.each(PLAN_NAMES)(
    "of plan %s has standard operators only, and the inputs and outputs of the contract",
    (plan) => {
      for (const [file, relu] of [
        [PYTORCH, { asm: 10 }],
        [SHIPPED, { apx: 3 }],
        [SHIPPED, "exact"],
      ] as const) {
        const source = readOnnx(file);
        const graph = readOnnx(convert(file, { plan, relu }));
        expect([...graph.opsets.keys()]).toEqual([""]);
        expect(new Set(graph.nodes.map(({ domain }) => domain))).toEqual(new Set([""]));
        const batch = source.inputs[0]?.shape?.[0];
        expect(typeof batch).toBe("string");
        expect(graph.inputs).toEqual([
          { name: "coefficients", type: "float32", shape: [batch as string, 1, 4, 4, 64] },
        ]);
        expect(graph.outputs).toEqual([
          { name: "logits", type: "float32", shape: [batch as string, CLASSES] },
        ]);
        const names = graph.nodes.map(({ name }) => name);
        expect(new Set(names).size).toBe(names.length);
        expect(readMetadata(graph)).toMatchObject({
          input: "planes",
          plan,
          relu: formatRelu(relu),
          channels: 1,
          height: 32,
          width: 32,
        });
        expect(readMetadata(source)).toBeUndefined();
      }
    },
  );

  test("of plan fused is at most 64 KB larger than the spatial one", () => {
    for (const file of [PYTORCH, SHIPPED])
      for (const relu of ["exact", { asm: 10 }, { asm: 0 }, { apx: 6 }] as const)
        expect(convert(file, { relu }).length).toBeLessThanOrEqual(file.length + 65536);
  });

  test.each(["fused", "blockwise"] as const)(
    "of plan %s gives each image the same answer alone and among others",
    async (plan) => {
      const session = await openSession(convert(SHIPPED, { plan, relu: { asm: 10 } }));
      const feed = async (from: number, to: number) => {
        const { data, shape } = compress(planes(images, { from, to }), [to - from, 1, 32, 32]);
        const results = await session.run({ coefficients: new Tensor("float32", data, shape) });
        expect(results.logits?.dims).toEqual([to - from, CLASSES]);
        return Array.from(results.logits?.data as Float32Array);
      };
      const together = await feed(0, 3);
      const alone = [...(await feed(0, 1)), ...(await feed(1, 2)), ...(await feed(2, 3))];
      expect(largestDifference(together, alone)).toBeLessThan(1e-4);
      await session.release();
    },
  );

  test("of a model with a fixed batch has that batch", async () => {
    const graph = readOnnx(SHIPPED);
    const fix = (batch: number) =>
      [graph.inputs, graph.outputs].map((values) =>
        values.map((value) => ({ ...value, shape: [batch, ...(value.shape as number[]).slice(1)] })),
      );
    const [inputs, outputs] = fix(2) as [Graph["inputs"], Graph["outputs"]];
    for (const plan of ["fused", "blockwise"] as const) {
      const file = convert(writeOnnx({ ...graph, inputs, outputs }), { plan });
      expect(readOnnx(file).inputs[0]?.shape).toEqual([2, 1, 4, 4, 64]);
      const two = planes(images, { from: 5, to: 7 });
      const packed = compress(two, [2, 1, 32, 32]);
      const logits = await run(file, packed.data, packed.shape);
      const expected = await run(SHIPPED, two, [2, 1, 32, 32]);
      expect(largestDifference(logits.data as Float32Array, expected.data as Float32Array)).toBeLessThan(
        1e-4,
      );
    }
  });

  test("keeps names unique, whatever the model's values are called", async () => {
    const rename = (graph: Graph, names: string[]): Graph => {
      const used = graph.nodes.flatMap(({ outputs }) => outputs);
      const outputs = graph.outputs.map(({ name }) => name);
      const other = new Map(
        used.filter((name) => !outputs.includes(name)).map((name, i) => [name, names[i] ?? name]),
      );
      const renamed = (name: string) => other.get(name) ?? name;
      return {
        ...graph,
        nodes: graph.nodes.map((node) => ({
          ...node,
          inputs: node.inputs.map(renamed),
          outputs: node.outputs.map(renamed),
        })),
      };
    };
    // Any name that conversion makes may already be in the model.
    let tried = 0;
    for (const plan of PLAN_NAMES) {
      const g = new GraphBuilder("tail");
      const x = g.input("coefficients_in", "float32", ["N", 1, 16, 16]);
      const weight = g.constant("w0", float32(uniform(1, 18), [2, 1, 3, 3]));
      const map = g.node("Relu", [g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] })]);
      let y = g.node("Flatten", [map]);
      for (let i = 0; i < 8; i++) y = g.node("Tanh", [y], {}, `tail${i}`);
      g.output(y, "pixels_1", "float32", ["N", 512]);
      const made = convertGraph(g.build(), { plan, relu: { apx: 5 } }).graph;
      const names = made.nodes
        .flatMap(({ outputs }) => outputs)
        .concat(["coefficients"], [...made.initializers.keys()]);
      for (let from = 0; from < names.length; from += 4) {
        const graph = rename(g.build(), names.slice(from, from + 11));
        const distinct = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
        if (distinct.size < graph.nodes.length || distinct.has("coefficients_in")) continue;
        expect(await difference(graph, { plan })).toBeLessThan(2e-5);
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(20);
  });
});

describe("the ONNX checker", () => {
  const found = ["python3", "/usr/bin/python3"].find((python) => {
    try {
      execFileSync(python, ["-c", "import onnx"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined && process.env.CI !== "true")
    console.warn(
      "SKIPPED: the ONNX checker, because no python3 here has the package onnx (Debian: python3-onnx)",
    );

  test.skipIf(found === undefined && process.env.CI !== "true")(
    "accepts the files of every plan",
    { timeout: 300_000 },
    () => {
      expect(found, "CI needs a python3 with the package onnx (Debian: python3-onnx)").toBeDefined();
      const folder = mkdtempSync(join(tmpdir(), "jpeg-domain-check-"));
      try {
        const models = [
          PYTORCH,
          SHIPPED,
          ...fc.sample(recipes, { numRuns: 12, seed: 4 }).map((r) => writeOnnx(build(r))),
        ];
        for (const [i, model] of models.entries())
          for (const plan of PLAN_NAMES)
            for (const relu of ["exact", { asm: 10 }, { apx: 2 }] as const)
              writeFileSync(
                join(folder, `${i}-${plan}-${formatRelu(relu).replace(":", "")}.onnx`),
                convert(model, { plan, relu }),
              );
        const script = `
import glob, sys, onnx
files = sorted(glob.glob(sys.argv[1] + "/*.onnx"))
for file in files:
    try:
        onnx.checker.check_model(onnx.load(file), full_check=True)
    except Exception as error:
        print(file, error)
print(len(files), "checked")`;
        const output = execFileSync(found as string, ["-c", script, folder], { encoding: "utf8" });
        expect(output).toBe(`${9 * models.length} checked\n`);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

describe("batch normalisation", () => {
  const folded = (graph: Graph) =>
    rewrite(graph, [foldBatchNormalization], { partial: true }).graph.nodes.map(({ op }) => op);

  test("right after a convolution is folded into it", async () => {
    for (const file of [PYTORCH, SHIPPED]) {
      const graph = readOnnx(file);
      const result = rewrite(graph, [foldBatchNormalization], { partial: true }).graph;
      const count = (op: string, { nodes }: Graph) => nodes.filter((node) => node.op === op).length;
      expect(count("BatchNormalization", result)).toBe(0);
      expect(count("Conv", result)).toBe(count("Conv", graph));
      const planes = uniform(8, 2 * 1024, -0.5, 2.8);
      const [a, b] = await Promise.all([graph, result].map((g) => run(writeOnnx(g), planes, [2, 1, 32, 32])));
      expect(largestDifference(a?.data as Float32Array, b?.data as Float32Array)).toBeLessThan(1e-4);
    }
  });

  const parameters = (g: GraphBuilder) =>
    [0, 1, 2, 3].map((i) => g.constant("p", float32(uniform(i + 1, 2, 0.5, 1.5))));
  const conv = (g: GraphBuilder, x: string) => {
    const weight = g.constant("w", float32(uniform(9, 18), [2, 1, 3, 3]));
    return g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] });
  };

  test("stays if another node reads the convolution, or there is none before it", async () => {
    const shared = oneNode((g, x) => {
      const y = conv(g, x);
      return g.node("Add", [y, g.node("BatchNormalization", [y, ...parameters(g)])]);
    });
    expect(folded(shared)).toEqual(["Conv", "BatchNormalization", "Add"]);
    const lone = oneNode(
      (g, x) => g.node("BatchNormalization", [g.node("Relu", [x]), ...parameters(g)]),
      [2, 16, 16],
    );
    expect(folded(lone)).toEqual(["Relu", "BatchNormalization"]);
    for (const plan of PLAN_NAMES) {
      expect(await difference(shared, { plan })).toBeLessThan(2e-5);
      expect(await difference(lone, { plan })).toBeLessThan(2e-5);
    }
  });

  test("uses its epsilon: with variance 0 the scale is gamma / √epsilon", async () => {
    for (const afterConvolution of [true, false])
      for (const plan of PLAN_NAMES) {
        const graph = oneNode((g, x) => {
          const flat = [1, 0, 0, 0].map((value) => g.floats([value], [1]));
          const identity = g.constant("w", float32([1], [1, 1, 1, 1]));
          const before = afterConvolution ? g.node("Conv", [x, identity]) : x;
          return g.node("BatchNormalization", [before, ...flat], { epsilon: float(0.25) });
        });
        const image = uniform(2, 256);
        const packed = compress(image, [1, 1, 16, 16]);
        const { data } = await run(convert(writeOnnx(graph), { plan }), packed.data, packed.shape);
        expect(
          largestDifference(
            data as Float32Array,
            image.map((value) => 2 * value),
          ),
        ).toBeLessThan(1e-5);
      }
  });
});

describe("refusals name operator, node and reason", () => {
  const refusal = (graph: Graph, options: ConvertOptions = {}): ConvertError => {
    try {
      convert(writeOnnx(graph), options);
    } catch (error) {
      expect(error).toBeInstanceOf(ConvertError);
      expect((error as Error).message).not.toContain("\n");
      return error as ConvertError;
    }
    return expect.fail("not refused");
  };
  const weight = (g: GraphBuilder, ...dims: number[]) =>
    g.constant("weight", float32(new Float32Array(volume(dims)).fill(0.1), dims));
  const unconverted = /no rule for this operator on coefficients; rules exist for .*Conv/;

  /** Plan `exploded` refuses all of them; `blockwise` has rules for some, and runs the others on pixels. */
  test.each<[string, (g: GraphBuilder, x: string) => string, RegExp, "rule"?]>([
    [
      "MaxPool",
      (g, x) => g.node("MaxPool", [x], { kernel_shape: [2, 2], strides: [2, 2] }, "here"),
      unconverted,
    ],
    ["Sigmoid", (g, x) => g.node("Sigmoid", [x], {}, "here"), unconverted, "rule"],
    ["Mul", (g, x) => g.node("Mul", [x, g.floats([2])], {}, "here"), unconverted, "rule"],
    [
      "Add",
      (g, x) => g.node("Add", [x, g.floats([2])], {}, "here"),
      /adds a constant to a feature map/,
      "rule",
    ],
    [
      "Pad",
      (g, x) => g.node("Pad", [x, g.ints([0, 0, 4, 4, 0, 0, 4, 4])], {}, "here"),
      /pads by \[0, 0, 4, 4, 0, 0, 4, 4\]/,
      "rule",
    ],
    [
      "ReduceMean",
      (g, x) => g.node("ReduceMean", [x], { axes: [1] }, "here"),
      /averages over axes \[1\], expected height and width/,
    ],
    [
      "Conv",
      (g, x) => g.node("Conv", [x, weight(g, 1, 1, 3, 3)], { strides: [4, 4], pads: [1, 1, 1, 1] }, "here"),
      /makes feature maps of 4x4, which are not whole 8x8 blocks; expected .* multiples of 8 at every layer/,
      "rule",
    ],
    [
      "Conv",
      (g, x) => g.node("Conv", [x, weight(g, 1, 1, 3, 3)], {}, "here"),
      /makes feature maps of 14x14, which are not whole 8x8 blocks/,
      "rule",
    ],
    [
      "Conv",
      (g, x) => g.node("Conv", [x, weight(g, 1, 1, 9, 9)], {}, "here"),
      /stride 1x1 makes 8x8 of 16x16; expected 16x16, so that output blocks stand on whole input blocks/,
      "rule",
    ],
    [
      "AveragePool",
      (g, x) => g.node("AveragePool", [x], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, "here"),
      /leaves the padding out/,
      "rule",
    ],
    [
      "Conv",
      (g, x) => g.node("Conv", [x, g.node("Tanh", [weight(g, 1, 1, 1, 1)])], {}, "here"),
      /input 1 \("Tanh"\) is computed, expected a constant/,
    ],
    [
      "BatchNormalization",
      (g, x) => {
        const parameters = [1, 0, 0, 1].map((value) => g.floats([value]));
        return g.node("BatchNormalization", [x, ...parameters], { training_mode: 1 }, "here");
      },
      /training_mode = 1: expected a model exported for inference/,
    ],
  ])("%s (%#)", async (op, make, reason, rule) => {
    // The node in the middle, so that it keeps its name.
    const graph = oneNode((g, x) => g.node("Relu", [make(g, x)]));
    (graph.outputs[0] as ValueInfo).shape = undefined;
    const error = refusal(graph, { plan: "exploded" });
    expect([error.op, error.node]).toEqual([op, "here"]);
    expect(error.message).toMatch(new RegExp(`^${op} node "here" cannot be converted: `));
    expect(error.reason).toMatch(reason);

    const { report } = convertGraph(graph, { plan: "blockwise" });
    const here = report.findIndex(({ node }) => node === "here");
    const short = reason === unconverted ? /^no rule for this operator on coefficients$/ : reason;
    const domain = rule ? "coefficients" : "pixels";
    expect(report[here]).toMatchObject({
      op,
      domain,
      ...(!rule && { reason: expect.stringMatching(short) }),
    });
    expect(report[here + 1]).toMatchObject({ op: "Relu", domain });
    if (op === "BatchNormalization") return;
    for (const plan of ["fused", "blockwise"] as const)
      expect(await difference(graph, { plan }), plan).toBeLessThan(2e-5);
  });

  test("a layer deep inside, with its sizes", () => {
    const graph = readOnnx(SHIPPED);
    const inputs = graph.inputs.map((value) => ({ ...value, shape: ["N", 1, 16, 16] }));
    const nodes = graph.nodes.map((node) =>
      node.op === "AveragePool" ? { ...node, op: "GlobalAveragePool", attributes: new Map() } : node,
    );
    const error = refusal({ ...graph, inputs, nodes }, { plan: "exploded" });
    expect(error.message).toMatch(
      /^Conv node "block3\..*" cannot be converted: it makes feature maps of 4x4/,
    );
  });

  test.each<[string, [Graph, ConvertOptions?], RegExp]>([
    ["asm:15", [relu(), { relu: { asm: 15 } }], /asm takes spatial frequencies n from 0 to 14, found 15/],
    ["apx:-1", [relu(), { relu: { apx: -1 } }], /apx takes spatial frequencies n from 0 to 14, found -1/],
    ["asm:2.5", [relu(), { relu: { asm: 2.5 } }], /found 2.5/],
    [
      "an unknown plan",
      [relu(), { plan: "folded" as "fused" }],
      /plan "folded" is unknown; expected fused, blockwise, exploded/,
    ],
    [
      "an unknown input",
      [relu(), { input: "pixels" as "planes" }],
      /input "pixels" is unknown; expected planes/,
    ],
    [
      "an image of 28x28",
      [oneNode((g, x) => g.node("Relu", [x]), [1, 28, 28]), { plan: "exploded" }],
      /input "image" is 28x28, which is not whole 8x8 blocks; expected multiples of 8/,
    ],
  ])("%s", (_, [graph, options], message) => {
    expect(refusal(graph, options).message).toMatch(message);
  });

  test("inputs that are not images", () => {
    const g = new GraphBuilder("rows");
    g.output(g.node("Relu", [g.input("rows", "float32", ["N", 64])]), "y", "float32", ["N", 64]);
    expect(refusal(g.build()).message).toMatch(
      /inputs are rows: float32 \[N, 64\]; expected one image input float32 \[N, C, H, W\]/,
    );
    const open = oneNode((g, x) => g.node("Relu", [x]));
    (open.inputs[0] as { shape: unknown }).shape = ["N", 3, "H", "W"];
    expect(refusal(open, { plan: "exploded" }).message).toMatch(
      /input "image" is HxW, a size known only at run time/,
    );
    (open.inputs[0] as { shape: unknown }).shape = ["N", "C", "H", "W"];
    expect(refusal(open).message).toMatch(
      /inputs are image: float32 \[N, C, H, W\]; expected .* with C known/,
    );
    const two = new GraphBuilder("two");
    const inputs = ["a", "b"].map((name) => two.input(name, "float32", ["N", 1, 8, 8]));
    two.output(two.node("Add", inputs), "y", "float32", ["N", 1, 8, 8]);
    expect(refusal(two.build()).message).toMatch(/inputs are a: .*; b: .*; expected one image input/);
  });

  test("plan exploded over the memory limit, with what it needs, before building it", () => {
    // 4 bytes for each pair of an input and an output value of a convolution, twice, and the largest once more.
    // Channels and side of the input, then of the output:
    const pairs = [
      [1, 32, 16, 32],
      [16, 32, 16, 32],
      [16, 32, 32, 16],
      [32, 16, 32, 16],
      [16, 32, 32, 16],
      [32, 16, 64, 8],
      [64, 8, 64, 8],
      [32, 16, 64, 8],
    ] as const;
    const bytes = pairs.map(([n, h, m, k]) => 4 * n * h * h * m * k * k);
    const peak = 2 * bytes.reduce((a, b) => a + b) + Math.max(...bytes);
    const error = refusal(readOnnx(PYTORCH), { plan: "exploded", memoryLimit: peak - 1 });
    expect(error.message).toContain(
      `needs ${(peak / 1e9).toPrecision(3)} GB while loading 8 operator tensors`,
    );
    expect(error.message).toMatch(/plans fused and blockwise need far less/);
    expect(() => convert(PYTORCH, { plan: "exploded", memoryLimit: peak })).not.toThrow();
  });
});
