/** Callers' mistakes, early calls and repeated calls never cause a crash, a hang, or a change of the caller's data. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JpegResult, JpegSource } from "../packages/node/src/runtime/pipeline.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { mnistJpegs, NOTEBOOK, picture } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MODEL = path("reference/mnist-resnet-pytorch.onnx");
const BUILT = new URL("../packages/cli/dist/index.js", import.meta.url);

let api: typeof Api;
let folder: string;
beforeAll(async () => {
  api = await importBuilt();
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-safety-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

const logits = (result: JpegResult | undefined) => Object.values(result?.outputs ?? {})[0]?.data;

/** Runs a module in a separate process; returns what it prints, and how it ends. */
async function runScript(script: string): Promise<{ text: string; end: number | string | null }> {
  const file = join(folder, `script-${Math.random()}.mjs`);
  const start = `import { loadModel } from ${JSON.stringify(BUILT.href)}; import { readFileSync } from "node:fs";
    const MODEL = ${JSON.stringify(MODEL)}, FOLDER = ${JSON.stringify(folder)};\n`;
  await writeFile(file, start + script);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      text += data;
    });
  const end = await new Promise<number | string | null>((done) =>
    child.on("close", (code, signal) => done(code ?? signal)),
  );
  return { text, end };
}

describe.each([1, 2])("with %i threads", (threads) => {
  const open = (options: Api.ModelOptions = {}) =>
    api.loadModel(MODEL, { threads, preprocess: NOTEBOOK, ...options });

  test("bytes of every kind stay unchanged, and can be used again", async () => {
    const model = await open({ batch: 2 });
    const [bytes] = (await mnistJpegs(1, 90)).files as [Uint8Array];
    const pooled = Buffer.from(bytes);
    const around = new Uint8Array(bytes.length + 20).fill(0xff);
    around.set(bytes, 7);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    class Named extends Uint8Array {}
    const sources: Record<string, Uint8Array> = {
      array: bytes.slice(),
      pooled,
      "small file": await readFile(await written(bytes)),
      "part of an array": around.subarray(7, 7 + bytes.length),
      "part of a Buffer": Buffer.from(around.buffer, 7, bytes.length),
      shared,
      "shared Buffer": Buffer.from(shared.buffer),
      subclass: Named.from(bytes),
      "of another realm": runInNewContext("Uint8Array.from(bytes)", {
        bytes: Array.from(bytes),
      }) as Uint8Array,
    };
    const neighbours = Buffer.from("others that share the pool's memory");
    const names = Object.keys(sources);
    const files = names.map((name) => sources[name] as Uint8Array);
    const [expected] = await model.run([bytes.slice()]);
    expect(logits(expected)).toHaveLength(10);
    for (let round = 0; round < 2; round++)
      for (const results of [await collect(model.stream(files)), await model.run(files)])
        for (const [i, name] of names.entries()) {
          expect(results[i]?.error, name).toBeUndefined();
          for (const [k, value] of (logits(results[i]) as Float32Array).entries())
            expect(Math.abs(value - (logits(expected)?.[k] as number)), name).toBeLessThan(1e-4);
          expect(Buffer.compare(files[i] as Uint8Array, bytes), name).toBe(0);
        }
    expect(neighbours.toString()).toBe("others that share the pool's memory");
    await model.close();
  });

  test("an item that is not a file is that item's error", async () => {
    const model = await open();
    const [good] = (await mnistJpegs(1, 90)).files as [Uint8Array];
    const moved = good.slice();
    structuredClone(moved, { transfer: [moved.buffer] });
    const bad: [unknown, string][] = [
      [undefined, "undefined"],
      [null, "null"],
      [7, "7"],
      [Number.NaN, "NaN"],
      [7n, "a bigint"],
      [true, "a boolean"],
      [Symbol("x"), "a symbol"],
      [() => 1, "a function"],
      [good.slice().buffer, "an ArrayBuffer"],
      [new SharedArrayBuffer(8), "a SharedArrayBuffer"],
      [new DataView(good.slice().buffer), "a DataView"],
      [new Float32Array(3), "a Float32Array"],
      [{}, "an Object"],
      [{ length: 3, slice: () => 1 }, "an Object"],
      [Object.create(null), "an Object"],
      [Array.from(good), "an Array"],
      [new URL("file:///a.jpg"), "an URL"],
      [Promise.resolve(good), "a Promise"],
      [new Proxy(good, {}), "a Proxy"],
      [moved, "bytes whose memory was transferred elsewhere"],
    ];
    const items = bad.flatMap(([item]) => [item, good]) as JpegSource[];
    const alone = await Promise.all(bad.map(async ([item]) => (await model.run([item as JpegSource]))[0]));
    for (const results of [await model.run(items), await collect(model.stream(items))]) {
      expect(results).toHaveLength(items.length);
      for (const [i, [, found]] of bad.entries()) {
        const error = results[2 * i]?.error;
        expect(error).toBeInstanceOf(api.JpegDomainError);
        expect(error?.message).toBe(
          `the item is ${found}, expected a JPEG file: a Uint8Array, a path, a Blob or a stream of bytes`,
        );
        expect(alone[i]?.error?.message).toBe(error?.message);
        expect(logits(results[2 * i + 1])).toHaveLength(10);
      }
    }
    await model.close();
  });

  test("anything but a list of files is refused", async () => {
    const model = await open();
    for (const [list, found] of [
      [undefined, "undefined"],
      ["a.jpg", "a string"],
      [new Uint8Array(4), "an Uint8Array"],
      [5, "5"],
      [{}, "an Object"],
    ] as const) {
      await expect(model.run(list as never)).rejects.toThrow(
        `run was given ${found}, expected a list of files`,
      );
      await expect(collect(model.stream(list as never))).rejects.toThrow(
        `stream was given ${found}, expected a list of files`,
      );
    }
    expect(await model.run([])).toEqual([]);
    await model.close();
  });

  test("close during work settles everything, however often it is called", async () => {
    const model = await open({ batch: 2, window: 8 });
    const { files } = await mnistJpegs(60, 90);
    const work = [model.run(files), collect(model.stream(files)), model.run(files.slice(0, 1))];
    const stream = model.stream(files);
    const first = await stream.next();
    const ends = [model.close(), model.close()];
    await Promise.all(ends);
    const results = (await Promise.all(work)).flat();
    expect(results).toHaveLength(121);
    for (const { outputs, error } of results)
      if (outputs === undefined) expect(error.message).toBe("the model was closed before this file was read");
    expect(results.some(({ error }) => error)).toBe(true);
    expect(logits(first.value as JpegResult)).toHaveLength(10);
    expect(await collect(stream)).toHaveLength(59);
    await model.close();
    await expect(model.run(files)).rejects.toThrow("the model is closed, expected run before close");
    await expect(collect(model.stream(files))).rejects.toThrow(
      "the model is closed, expected stream before close",
    );
  });

  test("the model stays usable after a stream is left half-way", async () => {
    const model = await open({ batch: 2 });
    const files = [picture(40, 56), ...(await mnistJpegs(30, 90)).files];
    for (let round = 0; round < 3; round++) {
      let taken = 0;
      for await (const result of model.stream(files)) {
        expect(logits(result)).toHaveLength(10);
        if (++taken === 3) break;
      }
    }
    await expect(
      (async () => {
        for await (const _ of model.stream(files)) throw new Error("the consumer's own");
      })(),
    ).rejects.toThrow("the consumer's own");
    expect(await model.run(files)).toHaveLength(31);
    await model[Symbol.asyncDispose]();
    await expect(model.run(files)).rejects.toThrow("the model is closed");
  });

  test("close during work lets the process end well", async () => {
    const { files } = await mnistJpegs(1, 90);
    await writeFile(join(folder, "digit.jpg"), files[0] as Uint8Array);
    const { text, end } = await runScript(`
      const model = await loadModel(MODEL, { threads: ${threads}, batch: 2 });
      const list = Array(50).fill(FOLDER + "/digit.jpg");
      const work = model.run(list);
      const stream = model.stream(list);
      await stream.next();
      const rest = (async () => { let n = 0; for await (const _ of stream) n++; return n; })();
      await Promise.all([model.close(), model.close()]);
      console.log((await work).length, await rest);
      await model.close();`);
    expect(text).toBe("50 49\n");
    expect(end).toBe(0);
  });
});

test("the caller may reuse a model's bytes after loading: the threads have a copy", async () => {
  const bytes = await readFile(MODEL);
  const model = await api.loadModel(bytes, { threads: 2, preprocess: NOTEBOOK });
  bytes.fill(0);
  const { files } = await mnistJpegs(4, 90);
  for (const result of await collect(model.stream(files))) expect(logits(result)).toHaveLength(10);
  await model.close();
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(await readFile(MODEL));
  const other = await api.loadModel(shared, { threads: 1, preprocess: NOTEBOOK });
  expect(logits((await other.run(files))[0])).toHaveLength(10);
  await other.close();
});

test("readCoefficients copies what it keeps of a file", async () => {
  const bytes = Buffer.from(picture(40, 56));
  const file = Buffer.concat([
    bytes.subarray(0, 2),
    Buffer.from([0xff, 0xfe, 0, 4, 65, 66]),
    bytes.subarray(2),
  ]);
  const image = api.readCoefficients(file, { keepSegments: true });
  const before = api.writeCoefficients(image);
  file.fill(0);
  expect(api.writeCoefficients(image)).toEqual(before);
  expect(image.segments?.some(({ data }) => Buffer.from(data).toString() === "AB")).toBe(true);
});

async function written(bytes: Uint8Array): Promise<string> {
  const file = join(folder, `${bytes.length}.jpg`);
  await writeFile(file, bytes);
  return file;
}
