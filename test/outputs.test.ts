/** Models' outputs: every element type, with and without a batch axis, on one thread and on several. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { values } from "../packages/node/src/runtime/outputs.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { picture } from "./runtime-material.js";
import { answers, answersTo, planesOf, type Raw } from "./runtime-reference.js";

const MAIN = fileURLToPath(new URL("../packages/cli/dist/main.js", import.meta.url));
const onnxCase = (name: string) =>
  readFile(fileURLToPath(new URL(`cases/onnx/${name}.onnx`, import.meta.url)));

// Threads run the built package, so these tests use it throughout.
let api: typeof Api;
beforeAll(async () => {
  api = await importBuilt();
});

const RGB: Api.Preprocess = {
  resize: { height: 32, width: 32 },
  resample: "bilinear",
  rescale: 1 / 255,
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.3, 0.4],
  channels: "rgb",
};
const SIZE = { channels: 3, height: 32, width: 32 };
const FILES = [picture(40, 56), picture(90, 33, "4:4:4"), picture(64, 64, "4:2:2"), picture(32, 40)];

async function run(model: Api.JpegModel, files: readonly Uint8Array[]): Promise<Api.Outputs[]> {
  const results: Api.Outputs[] = [];
  for await (const { outputs, error } of model.stream(files)) {
    if (error) throw error;
    results.push(outputs);
  }
  return results;
}

function expectSame(output: Api.ModelOutput | undefined, { data, dims }: Raw, batched: boolean, digits = 5) {
  expect(output?.shape).toEqual(batched ? dims.slice(1) : dims);
  expect(output?.data).toHaveLength(data.length);
  for (const [i, value] of data.entries()) {
    const found = output?.data[i];
    if (typeof value === "string") expect(found).toBe(value);
    else if (Number.isFinite(value)) expect(Math.abs((found as number) - value)).toBeLessThan(10 ** -digits);
    else expect(found).toBe(value);
  }
}

/** A model that computes the means of an image's planes, and then the caller's nodes. */
function means(
  opset: number,
  make: (g: Api.GraphBuilder, means: string) => void,
  batch: number | string = "N",
) {
  const g = new api.GraphBuilder("means", opset);
  const x = g.input("x", "float32", [batch, 3, 32, 32]);
  make(g, g.node("Flatten", [g.node("GlobalAveragePool", [x])]));
  if (opset > 20) g.graph.irVersion = 10;
  return api.writeOnnx(g.build());
}

const CODES = {
  ...{ float32: 1, uint8: 2, int8: 3, uint16: 4, int16: 5, int32: 6, int64: 7, string: 8, bool: 9 },
  ...{ float16: 10, float64: 11, uint32: 12, uint64: 13, bfloat16: 16, float8e4m3fn: 17 },
  ...{ float8e4m3fnuz: 18, float8e5m2: 19, float8e5m2fnuz: 20, uint4: 21, int4: 22 },
} as const;

describe("element types", () => {
  test.each([1, 2])(
    "float16 outputs are numbers, as ONNX Runtime casts them (%i threads)",
    async (threads) => {
      const bytes = await onnxCase("fp16_out");
      const model = await api.loadModel(bytes, { threads, preprocess: RGB });
      const graph = api.readOnnx(bytes);
      graph.outputs.push({ name: "y", type: "float32", shape: ["N", 4] });
      const both = api.writeOnnx(graph);
      for (const [i, { z }] of (await run(model, FILES)).entries()) {
        const planes = planesOf(FILES[i] as Uint8Array, RGB, SIZE);
        const { y } = (await answersTo(both, planes, SIZE, ["y"])) as { y: Raw };
        expect(z?.data).toBeInstanceOf(Float32Array);
        // Float16 has 11 bits of precision.
        for (const [c, value] of (y.data as number[]).entries())
          expect(Math.abs((numbers(z)[c] as number) - value)).toBeLessThanOrEqual(Math.abs(value) / 1024);
      }
      await model.close();
    },
  );

  test("all 65,536 half-precision numbers have the values that ONNX Runtime casts them to", async () => {
    const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
    const g = new api.GraphBuilder("halves");
    const constant = g.constant("halves", { type: "float16", dims: [2 ** 16], data: bits });
    g.output(g.node("Cast", [constant], { to: 1 }), "y", "float32", [2 ** 16]);
    const { y } = (await answers(api.writeOnnx(g.build()), {})) as { y: Raw };
    const found = values("float16", bits, 0, bits.length) as Float32Array;
    expect(Array.from(found)).toEqual(y.data);
    expect(values("float16", bits, 15360, 15362)).toEqual(Float32Array.of(1, 1 + 2 ** -10));
  });

  test.each(Object.entries(CODES))("%s", async (type, code) => {
    const bytes = means(21, (g, x) => {
      const scaled = g.node("Mul", [x, g.floats([3])]);
      // Unsigned types cannot hold values below 0.
      const y = g.node("Cast", [type.startsWith("u") ? g.node("Abs", [scaled]) : scaled], { to: code });
      const back = type === "string" ? g.node("Identity", [y]) : g.node("Cast", [y], { to: 1 });
      g.output(back, "back", type === "string" ? "string" : "float32", ["N", 3]);
      g.output(y, "y", type as Api.ElementType, ["N", 3]);
    });
    const graph = api.readOnnx(bytes);
    // ONNX Runtime for Node cannot even open a model with outputs of some of these types.
    const readable = api.writeOnnx({ ...graph, outputs: graph.outputs.slice(0, 1) });
    for (const threads of [1, 2]) {
      const model = await api.loadModel(bytes, { threads, preprocess: RGB });
      expect(model.outputs.map(({ shape }) => shape)).toEqual([[3], [3]]);
      for (const [i, { y }] of (await run(model, FILES)).entries()) {
        const planes = planesOf(FILES[i] as Uint8Array, RGB, SIZE);
        const { back } = (await answersTo(readable, planes, SIZE)) as { back: Raw };
        expectSame(y, back, true, 6);
      }
      await model.close();
    }
  });

  test("whole numbers of 64 bits are exact up to 2^53, and rounded to the nearest float64 beyond it", async () => {
    const large = [2n ** 53n - 1n, -(2n ** 53n), 2n ** 53n + 1n, 2n ** 63n - 1n];
    const bytes = means(17, (g, x) => {
      const none = g.node("Mul", [g.node("Cast", [x], { to: 7 }), g.ints([0])]);
      const sum = g.node("ReduceSum", [none, g.ints([1])]);
      const data = BigInt64Array.from(large);
      g.output(g.node("Add", [sum, g.constant("large", { type: "int64", dims: [4], data })]), "y", "int64", [
        "N",
        4,
      ]);
    });
    const model = await api.loadModel(bytes, { threads: 1, preprocess: RGB });
    const [{ y }] = (await run(model, FILES.slice(0, 1))) as [Api.Outputs];
    expect(y?.data).toBeInstanceOf(Float64Array);
    expect(numbers(y)).toEqual([2 ** 53 - 1, -(2 ** 53), 2 ** 53, 2 ** 63]);
    await model.close();
  });

  test.each([1, 2])("strings stay strings (%i threads)", async (threads) => {
    const bytes = await onnxCase("string_out");
    const model = await api.loadModel(bytes, { threads, preprocess: RGB });
    for (const [i, outputs] of (await run(model, FILES)).entries()) {
      const { l, y } = await answersTo(bytes, planesOf(FILES[i] as Uint8Array, RGB, SIZE), SIZE);
      expect(outputs.l?.data).toEqual(l?.data);
      expectSame(outputs.y, y as Raw, true);
      expect(api.topClasses(outputs, 1)[0]?.index).toBe(argmax((y as Raw).data as number[]));
    }
    await model.close();
  });

  test("sequences and maps are refused when the model is loaded; other outputs can be chosen", async () => {
    const bytes = means(13, (g, x) => {
      g.graph.opsets.set("ai.onnx.ml", 1);
      const classlabels = { kind: "strings" as const, value: ["a", "b", "c"] };
      const attributes = new Map([["classlabels_strings", classlabels]]);
      const zip = {
        op: "ZipMap",
        domain: "ai.onnx.ml",
        name: "zip",
        inputs: [x],
        outputs: ["probs"],
        attributes,
      };
      g.graph.nodes.push(zip);
      // sequence<map<string, float>> as TypeProto.
      const otherType = Uint8Array.from([0x22, 12, 10, 10, 0x2a, 8, 8, 8, 18, 4, 10, 2, 8, 1]);
      g.graph.outputs.push({ name: "probs", type: "other", shape: undefined, otherType });
      g.output(x, "means", "float32", ["N", 3]);
    });
    const load = (outputs?: string[]) =>
      api.loadModel(bytes, { threads: 1, preprocess: RGB, ...(outputs && { outputs }) });
    await expect(load()).rejects.toThrow('output "probs" is a sequence, which cannot be read');
    await expect(load(["other"])).rejects.toThrow('no output "other"; expected one of probs, means');
    await expect(load([])).rejects.toThrow("no outputs are chosen; expected some of probs, means");
    const model = await load(["means", "means"]);
    const [outputs] = await run(model, FILES.slice(0, 1));
    const planes = planesOf(FILES[0] as Uint8Array, RGB, SIZE);
    expectSame(outputs?.means, (await answersTo(bytes, planes, SIZE, ["means"])).means as Raw, true);
    expect(Object.keys(outputs ?? {})).toEqual(["means"]);
    await model.close();
  });

  test("a classifier of float16 is evaluated on numbers, and on the output that holds the classes", async () => {
    for (const name of ["fp16_out", "classes_second"]) {
      const bytes = await onnxCase(name);
      // From bytes, or from a path.
      const file = fileURLToPath(new URL(`cases/onnx/${name}.onnx`, import.meta.url));
      const classifier = await api.openClassifier(name === "fp16_out" ? bytes : file);
      const planes = planesOf(FILES[0] as Uint8Array, RGB, SIZE);
      const graph = api.readOnnx(bytes);
      graph.outputs = [{ name: "y", type: "float32", shape: ["N", 4] }];
      const { y } = (await answersTo(api.writeOnnx(graph), planes, SIZE)) as { y: Raw };
      const logits = await classifier.run(classifier.prepare(planes));
      for (const [i, value] of (y.data as number[]).entries())
        expect(Math.abs((logits[i] as number) - value)).toBeLessThanOrEqual(Math.abs(value) / 1024);
      await classifier.close();
    }
  });
});

/** An output's numbers. */
const numbers = (output: Api.ModelOutput | undefined) => Array.from((output?.data ?? []) as Float64Array);

const argmax = (list: readonly number[]) => list.indexOf(Math.max(...list));

/** Every API that gives a model that takes files. */
const WAYS: [string, (bytes: Uint8Array) => Promise<[Uint8Array, Api.ModelOptions]>][] = [
  ["spatial", async (bytes) => [bytes, {}]],
  ["on the fly, blockwise", async (bytes) => [bytes, { plan: "blockwise" }]],
  ["converted, fused", async (bytes) => [api.convert(bytes), {}]],
  ["converted, blockwise", async (bytes) => [api.convert(bytes, { plan: "blockwise" }), {}]],
  ["input jpeg, fused", async (bytes) => [api.convert(bytes, { input: "jpeg", preprocess: RGB }), {}]],
  [
    "input jpeg, blockwise",
    async (bytes) => [api.convert(bytes, { input: "jpeg", plan: "blockwise", preprocess: RGB }), {}],
  ],
];

describe.each(WAYS)("outputs without a batch axis: %s", (_, way) => {
  test.each(["1rows_batch1", "2rows_batch1", "3rows_batch1", "1rows_dynbatch", "2rows_dynbatch"])(
    "detections_%s: a whole tensor [n, 6] for each file",
    async (name) => {
      const bytes = await onnxCase(`detections_${name}`);
      const [converted, options] = await way(bytes);
      for (const threads of [1, 2]) {
        const model = await api.loadModel(converted, { threads, preprocess: RGB, batch: 3, ...options });
        expect(model.batch).toBe(1);
        for (const count of [1, 2, 3, 4])
          for (const results of [
            await run(model, FILES.slice(0, count)),
            await model.run(FILES.slice(0, count)),
          ])
            for (const [i, result] of results.entries()) {
              const outputs = ("det" in result ? result : result.outputs) as Api.Outputs;
              const planes = planesOf(FILES[i] as Uint8Array, RGB, SIZE);
              expectSame(outputs.det, (await answersTo(bytes, planes, SIZE)).det as Raw, false, 4);
            }
        await model.close();
      }
    },
  );

  test("no detections give an empty tensor of the same rank", async () => {
    const bytes = means(17, (g, x) => {
      // One row for each value above 0 among the first two means, and one for each image.
      const positive = g.node("NonZero", [g.node("Cast", [g.node("Relu", [x])], { to: 9 })]);
      g.output(g.node("Transpose", [positive], { perm: [1, 0] }), "found", "int64", ["num", 2]);
      g.output(x, "means", "float32", ["N", 3]);
    });
    const [converted, options] = await way(bytes);
    const model = await api.loadModel(converted, { threads: 1, preprocess: RGB, ...options });
    const dark = api.encodeJpeg({
      ...{ width: 32, height: 32, colorSpace: "grayscale" },
      planes: [new Uint8Array(1024)],
    });
    const files = [dark, FILES[0] as Uint8Array, dark];
    for (const [i, outputs] of (await run(model, files)).entries()) {
      const raw = await answersTo(bytes, planesOf(files[i] as Uint8Array, RGB, SIZE), SIZE);
      expectSame(outputs.found, raw.found as Raw, false);
      expectSame(outputs.means, raw.means as Raw, true, 4);
      if (i !== 1) expect(outputs.found?.shape).toEqual([0, 2]);
    }
    await model.close();
  });
});

describe("the batch of an output", () => {
  const load = (bytes: Uint8Array, options: Api.ModelOptions = {}) =>
    api.loadModel(bytes, { threads: 1, preprocess: RGB, batch: 4, ...options });
  const shapes = async (bytes: Uint8Array) => {
    const model = await load(bytes);
    const results = await run(model, FILES);
    await model.close();
    return {
      batch: model.batch,
      shapes: results.map((outputs) => Object.values(outputs).map(({ shape }) => shape)),
    };
  };
  const always = (...each: number[][]) => FILES.map(() => each);

  test("is recognised by its name, whatever the graph", async () => {
    const custom = means(17, (g, x) => {
      const [up] = g.nodes("Unique", [x], 1, { sorted: 1 });
      g.output(g.node("Shape", [up as string]), "count", "int64", [1]);
      g.output(x, "y", "float32", ["N", 3]);
    });
    expect(await shapes(custom)).toEqual({ batch: 1, shapes: always([1], [3]) });
    expect(await shapes(means(17, (g, x) => g.output(x, "y", "float32", ["N", 3])))).toEqual({
      batch: 4,
      shapes: always([3]),
    });
  });

  test("is followed through the graph if the output declares another name, or none", async () => {
    for (const shape of [["unk__2", 3], undefined, ["N", "classes"]])
      expect(await shapes(means(17, (g, x) => g.output(x, "y", "float32", shape)))).toEqual({
        batch: 4,
        shapes: always([3]),
      });
  });

  test("that is unclear counts as none: file by file, the tensor as it is", async () => {
    const unknown = (shape: Api.Dimension[] | undefined) =>
      means(17, (g, x) => {
        const [sorted] = g.nodes("Unique", [x], 1, { sorted: 0, axis: 0 });
        g.output(sorted as string, "y", "float32", shape);
      });
    for (const shape of [undefined, ["M", 3]])
      expect(await shapes(unknown(shape))).toEqual({ batch: 1, shapes: always([1, 3]) });
  });

  test("whose images affect each other: file by file, so that each has its own result", async () => {
    const scaled = means(17, (g, x) => {
      g.output(g.node("Div", [x, g.node("ReduceMax", [x], { keepdims: 0 })]), "y", "float32", ["N", 3]);
    });
    const quantized = means(17, (g, x) => {
      const [q = "", scale = "", zero = ""] = g.nodes("DynamicQuantizeLinear", [x], 3);
      g.output(g.node("DequantizeLinear", [q, scale, zero]), "y", "float32", ["N", 3]);
    });
    for (const bytes of [scaled, quantized])
      for (const [name, way] of WAYS) {
        const [model, options] = await way(bytes);
        const opened = await load(model, options);
        expect(opened.batch, name).toBe(1);
        for (const [i, { y_output, y = y_output }] of (await run(opened, FILES)).entries()) {
          const planes = planesOf(FILES[i] as Uint8Array, RGB, SIZE);
          expectSame(y, (await answersTo(bytes, planes, SIZE)).y as Raw, true, 2);
        }
        await opened.close();
      }
    // A node that only reads the batch's length keeps images independent.
    const flattened = means(17, (g, x) => {
      const length = g.slice(g.node("Shape", [x]), { axis: 0, from: 0, to: 1 });
      const target = g.node("Concat", [length, g.ints([-1])], { axis: 0 });
      g.output(g.node("Reshape", [x, target]), "y", "float32", ["N", 3]);
    });
    expect((await shapes(flattened)).batch).toBe(4);
  });

  test("that is declared, but always has another length, counts as none", async () => {
    const graph = api.readOnnx(await onnxCase("detections_2rows_dynbatch"));
    graph.outputs = [{ name: "det", type: "float32", shape: ["N", 6] }];
    expect(await shapes(api.writeOnnx(graph))).toEqual({ batch: 1, shapes: always([2, 6]) });
  });

  test("a length of 1 that tracing left in place of the batch is correct for one image", async () => {
    const traced = means(17, (g, x) => {
      g.output(g.node("Reshape", [x, g.ints([1, -1])]), "y", "float32", ["N", 3]);
    });
    expect(await shapes(traced)).toEqual({ batch: 1, shapes: always([3]) });
  });

  test("fixed to 1: a first length of 1 is the batch, a name is not", async () => {
    const model = means(
      17,
      (g, x) => {
        g.output(g.node("ReduceMean", [x], { keepdims: 0 }), "mean", "float32", []);
        g.output(
          g.node("Gemm", [g.constant("k", api.float32([1, 2, 3, 4, 5, 6], [2, 3])), x], { transB: 1 }),
          "det",
          "float32",
          ["num", 1],
        );
        g.output(x, "y", "float32", [1, 3]);
      },
      1,
    );
    expect(await shapes(model)).toEqual({ batch: 1, shapes: always([], [2, 1], [3]) });
  });

  test("fixed to 2: outputs of 2 are split, others refused when the model is loaded", async () => {
    const bytes = await onnxCase("batch2");
    const model = await load(bytes);
    const results = await run(model, FILES.slice(0, 3));
    const planes = FILES.map((file) => planesOf(file, RGB, SIZE));
    for (const [i, { y }] of results.entries()) {
      // The same image twice, in ONNX Runtime alone.
      const twice = new Float32Array(2 * 3072);
      twice.set(planes[i] as Float32Array);
      twice.set(planes[i] as Float32Array, 3072);
      const { Tensor } = await import("onnxruntime-node");
      const raw = await answers(bytes, { x: new Tensor("float32", twice, [2, 3, 32, 32]) });
      expect(y?.shape).toEqual([4]);
      for (const [c, value] of numbers(y).entries()) expect(value).toBeCloseTo(raw.y?.data[c] as number, 5);
    }
    await model.close();
    const odd = means(
      17,
      (g, x) => g.output(g.node("Flatten", [x], { axis: 0 }), "det", "float32", ["num", 6]),
      2,
    );
    for (const way of [odd, api.convert(odd)])
      await expect(load(way)).rejects.toThrow(
        'the model takes 2 images at once, but its output "det" is [num, 6], which cannot be split by image; expected 2 as its first length, or a batch of 1',
      );
  });

  test("that is missing although the model declares it is an error of the file", async () => {
    const wrong = means(17, (g, x) => {
      const [sorted] = g.nodes("Unique", [x], 1, { sorted: 1 });
      g.output(g.node("Reshape", [sorted as string, g.ints([-1, 1])]), "y", "float32", ["N", 1]);
    });
    const model = await load(wrong);
    const [result] = await model.run(FILES.slice(0, 1));
    expect(result?.error?.message).toMatch(
      /^output "y" is \[3, 1\] for 1 image; expected 1 as its first length, because the model declares it as the batch$/,
    );
    await model.close();
  });
});

describe("which output holds the classes", () => {
  const list = (...data: number[]) => ({ data: Float32Array.from(data), shape: [data.length] });
  const map = { data: new Float32Array(8), shape: [2, 2, 2] };
  const best = (outputs: Api.Outputs, options?: Api.ClassesOptions) => api.topClasses(outputs, 1, options)[0];

  test("a list among maps, strings and single numbers", () => {
    const outputs = { map, words: { data: ["a", "b"], shape: [2] }, box: list(1), y: list(0, 9, 0) };
    expect(best(outputs)?.index).toBe(1);
    expect(best(outputs, { labels: ["a", "b", "c"] })?.label).toBe("b");
  });

  test("among several lists: the one as long as the labels, else the one with a fitting name, else the first", () => {
    const outputs = { pooled: list(9, 0, 0, 0), other: list(0, 9), last_logits: list(0, 0, 9) };
    expect(best(outputs)?.index).toBe(2);
    expect(best(outputs, { labels: ["a", "b"] })).toMatchObject({ index: 1, label: "b" });
    expect(best(outputs, { output: "pooled" })?.index).toBe(0);
    expect(best({ a: list(0, 9), b: list(9, 0) })?.index).toBe(1);
  });

  test("outputs without classes are refused in one line", () => {
    const numbers = list(0, 9);
    expect(() => best({ map, word: { data: ["a"], shape: [1] } })).toThrow(
      "no output is a list of classes: map: float32 [2, 2, 2]; word: string [1]; expected numbers [classes]",
    );
    expect(() => best({ one: list(3) })).toThrow('output "one" is [1] a single number, expected [classes]');
    expect(() => best({ map, numbers }, { output: "map" })).toThrow('output "map" is [2, 2, 2] an image');
    expect(() => best({ numbers }, { output: "toString" })).toThrow('no output "toString"');
    expect(() => best({ numbers }, { output: "y" })).toThrow('no output "y"; expected one of numbers');
    expect(() => best({ numbers }, { labels: ["a"] })).toThrow("there are 1 labels, the model has 2 classes");
    expect(() => best({})).toThrow("no output is a list of classes: the model has no output");
  });

  test("classify takes it, says so, and takes another by name", async () => {
    const folder = await mkdtemp(join(tmpdir(), "jpeg-domain-outputs-"));
    const image = join(folder, "a.jpg");
    await writeFile(image, FILES[0] as Uint8Array);
    const model = fileURLToPath(new URL("cases/onnx/classes_second.onnx", import.meta.url));
    const classify = (name: string, ...args: string[]) =>
      spawnSync(process.execPath, [MAIN, "classify", name, image, "--jsonl", ...args], { encoding: "utf8" });
    const opened = await api.loadModel(model, { threads: 1 });
    const raw = await answersTo(
      await onnxCase("classes_second"),
      planesOf(FILES[0] as Uint8Array, opened.preprocess, SIZE),
      SIZE,
    );
    await opened.close();
    const { stdout, stderr } = classify(model);
    expect(stderr).toContain(
      "its outputs are feat, y; y is taken as the classes (choose another with --output)",
    );
    const [first] = (JSON.parse(stdout) as { top: { class: number }[] }).top;
    expect(first?.class).toBe(argmax(raw.y?.data as number[]));
    expect(classify(model, "--output", "y").stderr).not.toContain("taken");
    expect(classify(model, "--output", "feat")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /output "feat" is \[4, 32, 32\] an image, expected \[classes\]\n$/,
      ) as string,
    });
    expect(classify(model, "--output", "z").stderr).toContain(
      'the model has no output "z"; expected one of feat, y',
    );
    const labels = join(folder, "labels.txt");
    await writeFile(labels, "a\nb\nc\n");
    expect(classify(model, "--labels", labels).stderr).toContain(
      "there are 3 labels, the model has 4 classes",
    );
    const indices = fileURLToPath(new URL("cases/onnx/int64_out.onnx", import.meta.url));
    expect(classify(indices).stderr).toContain('output "z" is [1] a single number, expected [classes]');
    await rm(folder, { recursive: true });
  });
});
