import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { extractSubgraph } from "../packages/node/src/runtime/extract-subgraph.js";
import type { JpegResult } from "../packages/node/src/runtime/pipeline.js";
import type * as PoolModule from "../packages/node/src/runtime/pool.js";
import { inOrder } from "../packages/node/src/runtime/stream.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { mnistJpegs, NOTEBOOK, picture } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MODEL = path("reference/mnist-resnet-pytorch.onnx");
const SHIPPED = path("../packages/experiments/models/mnist-resnet.onnx");
const BUILT = new URL("../packages/cli/dist/index.js", import.meta.url);

// Threads run the built package, so these tests use it throughout.
let api: typeof Api;
let folder: string;
beforeAll(async () => {
  api = await importBuilt();
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-runtime-"));
});
afterAll(() => rm(folder, { recursive: true }));

const logits = ({ outputs }: JpegResult) => Object.values(outputs ?? {})[0]?.data;

function expectClose(a: JpegResult | undefined, b: JpegResult | undefined, tolerance = 1e-4) {
  const [left, right] = [logits(a as JpegResult), logits(b as JpegResult)];
  expect(left).toHaveLength(10);
  for (const [i, value] of (left as Float32Array).entries())
    expect(Math.abs(value - (right?.[i] as number))).toBeLessThanOrEqual(tolerance);
}

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

describe.each([1, 2])("a model on %i threads", (threads) => {
  test("gives files of different sizes and samplings their own results, in order", async () => {
    const model = await api.loadModel(MODEL, { threads, preprocess: NOTEBOOK });
    const files = [
      picture(40, 56, "4:4:4"),
      picture(200, 150, "4:2:0"),
      picture(33, 71, "4:2:2"),
      picture(100, 64, "4:2:0", true),
      ...(await mnistJpegs(4, 90)).files,
    ];
    const together = await collect(model.stream(files));
    expect(together).toHaveLength(files.length);
    for (const [i, file] of files.entries()) expectClose(together[i], (await model.run([file]))[0]);
    await model.close();
  });

  test("gives a bad file's error in its place; the others keep their results", async () => {
    const model = await api.loadModel(await readFile(MODEL), { threads, preprocess: NOTEBOOK });
    const [good, other] = (await mnistJpegs(2, 90)).files as [Uint8Array, Uint8Array];
    const kept = good.slice();
    const missing = join(folder, "missing.jpg");
    const files = [good, good.subarray(0, 100), new Uint8Array(0), other, missing, folder, good];
    for (const results of [await model.run(files), await collect(model.stream(files))]) {
      expect(results.map(({ error }) => error?.name)).toEqual([
        undefined,
        "JpegError",
        "JpegError",
        undefined,
        "JpegDomainError",
        "JpegDomainError",
        undefined,
      ]);
      expect(results[4]?.error?.message).toBe("no such file");
      expect(results[1]?.error).toHaveProperty("offset");
      expectClose(results[0], results[6], 1e-5);
      expect(logits(results[0] as JpegResult)).not.toEqual(logits(results[3] as JpegResult));
    }
    expect(good).toEqual(kept);
    await model.close();
  });

  test("takes paths, and files that come one by one", async () => {
    const model = await api.loadModel(MODEL, { threads, preprocess: NOTEBOOK, batch: 3, window: 4 });
    const { files } = await mnistJpegs(10, 90);
    const paths = files.map((_, i) => join(folder, `${threads}-${i}.jpg`));
    await Promise.all(paths.map((file, i) => writeFile(file, files[i] as Uint8Array)));
    async function* slowly() {
      for (const file of paths) {
        await new Promise((next) => setTimeout(next, 5));
        yield file;
      }
    }
    const results = await collect(model.stream(slowly()));
    const expected = await model.run(files);
    expect(results).toHaveLength(10);
    for (const [i, result] of results.entries()) expectClose(result, expected[i]);
    await model.close();
  });
});

test("MNIST as JPEG files of quality 90 and 95: the accuracy is that on pixels, within 0.1 %", async () => {
  const count = 3000;
  const { set } = await mnistJpegs(0, 90);
  const classifier = await api.openClassifier(await readFile(SHIPPED));
  const samples = { ...api.labelledPlanes(set), count };
  const { correct } = await api.evaluate(classifier, samples);
  await classifier.close();
  const model = await api.loadModel(SHIPPED, { preprocess: { ...NOTEBOOK, resample: "bilinear" } });
  for (const quality of [90, 95]) {
    const { files } = await mnistJpegs(count, quality);
    const results = await model.run(files);
    const right = results.filter(
      (result, i) => api.topClasses(result.outputs as Api.Outputs, 1)[0]?.index === set.labels[i],
    ).length;
    expect(Math.abs(right - correct)).toBeLessThanOrEqual(count / 1000);
  }
  await model.close();
});

describe("models", () => {
  test.each(["fused", "blockwise"] as const)(
    "a model converted with plan %s gives the spatial model's outputs",
    async (plan) => {
      const bytes = await readFile(MODEL);
      const { files } = await mnistJpegs(5, 90);
      const spatial = await api.loadModel(bytes, { threads: 1, preprocess: NOTEBOOK });
      const converted = await api.loadModel(api.convert(bytes, { plan }), {
        threads: 1,
        preprocess: NOTEBOOK,
      });
      const onTheFly = await api.loadModel(bytes, { threads: 1, preprocess: NOTEBOOK, plan });
      expect(converted.metadata?.plan).toBe(plan);
      expect(onTheFly.metadata?.plan).toBe(plan);
      const expected = await spatial.run(files);
      for (const model of [converted, onTheFly]) {
        for (const [i, result] of (await model.run(files)).entries()) expectClose(result, expected[i]);
        await model.close();
      }
      await spatial.close();
    },
  );

  test.each(["fused", "blockwise"] as const)(
    "a model of input jpeg, plan %s, gives the spatial model's outputs",
    async (plan) => {
      const bytes = await readFile(MODEL);
      const { files } = await mnistJpegs(5, 90);
      const preprocess = { ...NOTEBOOK, resample: "bilinear" as const, resize: { height: 32, width: 32 } };
      const spatial = await api.loadModel(bytes, { threads: 1, preprocess });
      const file = api.convert(bytes, { plan, input: "jpeg", preprocess });
      // The metadata say how files are prepared.
      const model = await api.loadModel(file, { threads: 1 });
      expect(model.assumed).toBeUndefined();
      expect(model.preprocess).toEqual(preprocess);
      const expected = await spatial.run(files);
      for (const [i, result] of (await model.run(files)).entries()) expectClose(result, expected[i]);
      await model.close();
      await spatial.close();
    },
  );

  test("sides that are not multiples of 8", async () => {
    const g = new api.GraphBuilder("sides of 28 and 36");
    const weights = Float32Array.from({ length: 90 }, (_, i) => Math.sin(3 * i));
    const x = g.input("x", "float32", ["N", 1, 28, 36]);
    const maps = g.node("Conv", [x, g.constant("w", api.float32(weights, [10, 1, 3, 3]))], {
      pads: [1, 1, 1, 1],
    });
    const means = g.node("GlobalAveragePool", [g.node("Relu", [maps])]);
    g.output(g.node("Flatten", [means]), "logits", "float32", ["N", 10]);
    const bytes = api.writeOnnx(g.build());
    const files = [picture(36, 28), picture(50, 60)];
    const spatial = await api.loadModel(bytes, { threads: 1, preprocess: NOTEBOOK });
    const model = await api.loadModel(api.convert(bytes), { threads: 1, preprocess: NOTEBOOK });
    expect(model.planes).toEqual({ channels: 1, height: 28, width: 36 });
    const expected = await spatial.run(files);
    for (const [i, result] of (await model.run(files)).entries()) expectClose(result, expected[i]);
    await model.close();
    await spatial.close();
  });

  test("a model of a fixed batch takes any number of files", async () => {
    const graph = api.readOnnx(await readFile(MODEL));
    const fixed = (values: Api.ValueInfo[]) =>
      values.map((value) => ({ ...value, shape: [4, ...(value.shape as number[]).slice(1)] }));
    const bytes = api.writeOnnx({ ...graph, inputs: fixed(graph.inputs), outputs: fixed(graph.outputs) });
    const { files } = await mnistJpegs(6, 90);
    const [free, model] = await Promise.all([
      api.loadModel(MODEL, { threads: 1, preprocess: NOTEBOOK }),
      api.loadModel(bytes, { threads: 1, preprocess: NOTEBOOK, batch: 5 }),
    ]);
    const expected = await free.run(files);
    for (const [i, result] of (await model.run(files)).entries()) expectClose(result, expected[i]);
    await free.close();
    await model.close();
  });

  test("preprocessing that a model does not say is assumed, and reported", async () => {
    const model = await api.loadModel(MODEL, { threads: 1 });
    expect(model.assumed).toMatch(/assumed resize to 32x32, bilinear, grayscale, mean 0, std 1$/);
    expect(model.planes).toEqual({ channels: 1, height: 32, width: 32 });
    await model.close();
    const prepared = await api.loadModel(MODEL, {
      threads: 1,
      preprocess: { ...NOTEBOOK, resize: { height: 32, width: 32 } },
    });
    expect(prepared.assumed).toBeUndefined();
    expect(prepared.preprocess.mean).toEqual([0.1307]);
    await prepared.close();
  });

  test("of open size take the given size", async () => {
    const graph = api.readOnnx(await readFile(MODEL));
    const [input] = graph.inputs as [Api.ValueInfo];
    const inputs = [{ ...input, shape: ["N", 1, "H", "W"] }];
    const model = await api.loadModel(api.writeOnnx({ ...graph, inputs }), {
      threads: 1,
      preprocess: { resize: { height: 32, width: 32 } },
    });
    expect(model.planes).toEqual({ channels: 1, height: 32, width: 32 });
    expect(model.assumed).toMatch(/assumed resize to 32x32, bilinear, grayscale, mean 0, std 1$/);
    const fixed = await api.loadModel(MODEL, { threads: 1 });
    const { files } = await mnistJpegs(2, 90);
    const expected = await fixed.run(files);
    for (const [i, result] of (await model.run(files)).entries()) expectClose(result, expected[i]);
    await model.close();
    await fixed.close();
  });

  test("errors say what was found and expected", async () => {
    const load = (model: Uint8Array | string, options: Api.ModelOptions = {}) =>
      expect(api.loadModel(model, { threads: 1, ...options })).rejects;
    const g = new api.GraphBuilder("words");
    const x = g.input("words", "float32", ["N", 16]);
    g.output(g.node("Relu", [x]), "y", "float32", ["N", 16]);
    await load(api.writeOnnx(g.build())).toThrow(
      "the model's inputs are words: float32 [N, 16]; expected one image input",
    );
    await load(new Uint8Array(10)).toThrow(api.OnnxError);
    await load(join(folder, "missing.onnx")).toThrow(/missing\.onnx: no such file$/);
    await load(MODEL, { batch: 0 }).toThrow("batch is 0, expected a whole number from 1");
    await load(MODEL, {
      preprocess: { ...NOTEBOOK, channels: "rgb", mean: [0, 0, 0], std: [1, 1, 1] },
    }).toThrow("the preprocessing gives 3 planes (rgb), the model takes 1");
    // The same for every file, so it is reported once, when the model is loaded.
    const crop = { height: 28, width: 28 };
    await load(MODEL, { preprocess: { ...NOTEBOOK, crop } }).toThrow(
      "the preprocessing gives images of height 28, the network takes 32",
    );
    await load(MODEL, { preprocess: { ...NOTEBOOK, resize: { shortestEdge: 27 } } }).toThrow(
      "the preprocessing is resize the shortest edge to 27 and no crop, the network takes 32x32; expected a crop",
    );
    const misspelt = { ...NOTEBOOK, center_crop: 28 } as unknown as Api.Preprocess;
    await load(MODEL, { preprocess: misspelt }).toThrow(
      "preprocess.center_crop is not known; the fields are precrop",
    );
  });

  test("a subgraph is extracted after a value", () => {
    const g = new api.GraphBuilder("two steps");
    const x = g.input("x", "float32", ["N", 2]);
    const weights = g.constant("weights", api.float32([1, 2]));
    const middle = g.node("Mul", [x, g.constant("unused later", api.float32([3]))]);
    g.output(g.node("Add", [middle, weights]), "y", "float32", ["N", 2]);
    const cut = extractSubgraph(g.build(), middle, ["N", 2]);
    expect(cut.inputs).toEqual([{ name: middle, type: "float32", shape: ["N", 2] }]);
    expect(cut.nodes.map(({ op }) => op)).toEqual(["Add"]);
    expect([...cut.initializers.keys()]).toEqual([weights]);
    expect(() => extractSubgraph(g.build(), weights, [2])).toThrow('the outputs need "x" as well as');
  });
});

describe("classes", () => {
  const top = (data: number[], count?: number) =>
    api.topClasses({ y: { data: Float32Array.from(data), shape: [data.length] } }, count);

  test("logits go through softmax, probabilities stay", () => {
    const [first, second] = top([0, Math.log(3), 0], 2);
    expect(first?.index).toBe(1);
    expect(first?.probability).toBeCloseTo(0.6, 6);
    expect(second).toEqual({ index: 0, probability: expect.closeTo(0.2, 6) as number });
    expect(top([0.25, 0.5, 0.25], 1)).toEqual([{ index: 1, probability: 0.5 }]);
    expect(top([1000, 0])[0]?.probability).toBe(1);
  });

  test("an output that is not a list is refused", () => {
    const outputs = { map: { data: new Float32Array(4), shape: [2, 2] } };
    expect(() => api.topClasses(outputs)).toThrow('output "map" is [2, 2] an image, expected [classes]');
  });
});

describe("a stream", () => {
  test("keeps the order, and takes no more than its window from the source", async () => {
    const delays = fc.array(fc.nat(3), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(delays, fc.integer({ min: 1, max: 6 }), fc.nat(2), async (waits, window, pause) => {
        let [taken, given] = [0, 0];
        const sleep = (ms: number) => (ms === 0 ? undefined : new Promise((next) => setTimeout(next, ms)));
        function* source() {
          for (const [i, wait] of waits.entries()) {
            taken++;
            expect(taken - given).toBeLessThanOrEqual(window);
            yield { i, wait };
          }
        }
        const work = async ({ i, wait }: { i: number; wait: number }) => {
          await sleep(wait);
          return i;
        };
        for await (const i of inOrder(source(), window, work)) {
          expect(i).toBe(given++);
          await sleep(pause);
        }
        expect(given).toBe(waits.length);
      }),
      { numRuns: 30 },
    );
  });

  test("yields results while the source is slow", async () => {
    async function* source() {
      yield 1;
      await new Promise((next) => setTimeout(next, 10_000).unref());
      yield 2;
    }
    const results = inOrder(source(), 8, (item) => Promise.resolve(item));
    expect((await results.next()).value).toBe(1);
  });

  test("that is left early closes the source, and waits for running work", async () => {
    let [isGivenBack, running] = [false, 0];
    function* source() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        isGivenBack = true;
      }
    }
    const work = async (i: number) => {
      running++;
      await new Promise((next) => setTimeout(next, 5));
      running--;
      return i;
    };
    for await (const i of inOrder(source(), 3, work)) if (i === 5) break;
    expect(isGivenBack).toBe(true);
    expect(running).toBe(0);
  });

  test("passes on the source's error", async () => {
    function* source() {
      yield 1;
      throw new Error("no more");
    }
    await expect(collect(inOrder(source(), 2, (i) => Promise.resolve(i)))).rejects.toThrow("no more");
  });
});

describe("threads", () => {
  test("a thread that ends fails its own file, and no other", async () => {
    const worker = join(folder, "worker.mjs");
    await writeFile(
      worker,
      `import { parentPort } from "node:worker_threads";
       parentPort.on("message", (request) => {
         if (request === "close") return parentPort.close();
         for (const file of request.files) if (file === "bad") process.exit(3);
         for (const file of request.files) if (file === "worse") throw new Error("a fault");
         parentPort.postMessage(request.files.map((file) => ({ planes: Float32Array.of(Number(file)) })));
       });`,
    );
    const module = new URL("../packages/node/dist/runtime/pool.js", import.meta.url);
    const { openPool } = (await import(module.href)) as typeof PoolModule;
    const settings = { network: {} as never, session: undefined, batch: 4 };
    const pool = openPool({ ...settings, threads: 2, url: pathToFileURL(worker) });
    const files = Array.from({ length: 40 }, (_, i) =>
      i === 7 || i === 8 ? "bad" : i === 30 ? "worse" : `${i}`,
    );
    const results = await Promise.all(files.map((file) => pool.submit(file)));
    for (const [i, { planes, error }] of results.entries()) {
      if (i === 7 || i === 8)
        expect(error?.message).toBe("the thread that read this file ended with status 3");
      else if (i === 30)
        expect(error?.message).toBe("the thread that read this file ended with status 1: a fault");
      else expect(planes).toEqual(Float32Array.of(i));
    }
    await pool.close();
    expect((await pool.submit("1")).error?.message).toMatch(/closed/);
  });

  test.each(["close", "no close"])("do not keep the process alive (%s)", async (how) => {
    const script = `
      import { loadModel } from ${JSON.stringify(BUILT.href)};
      const model = await loadModel(${JSON.stringify(MODEL)}, { threads: 2 });
      for await (const { error } of model.stream(Array(20).fill("missing.jpg"))) if (!error) throw error;
      ${how === "close" ? "await model.close();" : ""}
      console.log("done");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (data: Buffer) => {
      text += data;
    });
    const code = await new Promise((done) => child.on("close", done));
    expect(text).toBe("done\n");
    expect(code).toBe(0);
  });
});
