/** Files that come in pieces are read only as far as they are needed, and give the same as the whole file. */
import { createHash } from "node:crypto";
import {
  createReadStream,
  openAsBlob,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type ByteSource,
  encodeJpeg,
  type JpegBytes,
  JpegError,
  type NeededOptions,
  type ReadOptions,
  readCoefficients,
  readNeeded,
  writeCoefficients,
} from "@jpeg-domain/coefficients";
import { type FillOptions, type Preprocess, Preprocessor, TORCHVISION } from "@jpeg-domain/conversion";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withRegularFile } from "../packages/node/src/runtime/read-file.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { generate, mutate, Random } from "./jpeg/generate.js";
import { mnistJpegs, NOTEBOOK, picture } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MODEL = path("reference/mnist-resnet-pytorch.onnx");
const CASES = readdirSync(path("cases/jpeg"))
  .filter((name) => name.endsWith(".jpg"))
  .map((name) => new Uint8Array(readFileSync(path(`cases/jpeg/${name}`))));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-sources-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** An iterable of pieces that counts what is taken from it. */
function counted(file: Uint8Array, piece: number) {
  const counts = { bytes: 0, returns: 0, isOver: false };
  const pieces: AsyncIterable<Uint8Array> & typeof counts = Object.assign(counts, {
    [Symbol.asyncIterator]: () => ({
      async next(): Promise<IteratorResult<Uint8Array>> {
        const value = file.subarray(counts.bytes, counts.bytes + piece);
        counts.bytes += value.length;
        counts.isOver = value.length === 0;
        return counts.isOver ? { done: true, value: undefined } : { done: false, value };
      },
      async return() {
        counts.returns++;
        return { done: true as const, value: undefined };
      },
    }),
  });
  return pieces;
}

/** Vitest compares long arrays slowly. */
const hash = (data: NodeJS.ArrayBufferView) => createHash("sha1").update(data).digest("hex");

/** The image with hashes for its arrays, or the error's words and place. Any other error ends the test. */
function outcome(file: JpegBytes, options: ReadOptions) {
  try {
    const { components, segments = [], ...image } = readCoefficients(file, options);
    return {
      ...image,
      segments: segments.map(({ marker, data }) => [marker, hash(data)]),
      components: components.map((part) => ({ ...part, coefficients: hash(part.coefficients) })),
    };
  } catch (error) {
    if (!(error instanceof JpegError)) throw error;
    return { message: error.message, offset: error.offset, marker: error.marker };
  }
}

/** Checks one way to read a file against reading it whole, and returns how many bytes were taken. */
async function compare(file: Uint8Array, options: ReadOptions, piece: number): Promise<number> {
  const expected = outcome(file, options);
  const source = counted(file, piece);
  const needed = await readNeeded(source, options);
  expect(Buffer.compare(needed, file.subarray(0, needed.length))).toBe(0);
  expect(needed).toHaveLength(source.bytes);
  expect(source.returns).toBe(source.isOver ? 0 : 1);
  expect(outcome(needed, options)).toEqual(expected);
  let asked = 0;
  const readOn = (length: number) => {
    asked = Math.max(asked, Math.min(file.length, length + piece));
    const bytes = file.subarray(0, Math.min(file.length, length + piece));
    return { bytes, isWhole: bytes.length === file.length };
  };
  expect(outcome(readOn, options)).toEqual(expected);
  // Both read the same: no more than the piece in which it was enough.
  expect(asked).toBe(needed.length);
  return needed.length;
}

const LIMITS = { maxPixels: 2 ** 20 };

describe("the beginning that is read gives the same as the whole file", () => {
  test("of every kind of sound and damaged file", async () => {
    const random = new Random(1);
    for (const file of CASES)
      for (const coefficients of [1, 5, 64])
        for (const tolerant of [false, true]) {
          const piece = random.pick([50, 700, 2 ** 15]);
          await compare(file, { ...LIMITS, coefficients, tolerant, keepSegments: true }, piece);
        }
  });

  test("of files of any structure, cut and changed anywhere, in pieces of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.constantFrom(0, 1, 2),
        fc.constantFrom(1, 2, 7, 64, 1000, 2 ** 16),
        fc.integer({ min: 1, max: 64 }),
        fc.boolean(),
        async (seed, damage, piece, coefficients, tolerant) => {
          const random = new Random(seed);
          const whole = generate(random);
          const cut = whole.subarray(0, random.below(whole.length + 1));
          const file = damage === 0 ? whole : damage === 1 ? cut : mutate(random, whole, generate(random));
          await compare(file, { ...LIMITS, coefficients, tolerant }, piece);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test("of progressive files in every sampling, cut at every place", async () => {
    for (const subsampling of ["4:4:4", "4:2:0", "4:2:2"] as const) {
      const file = picture(70, 45, subsampling, true);
      for (let length = 0; length <= file.length; length += length < 100 ? 1 : 13)
        for (const tolerant of [false, true])
          await compare(file.subarray(0, length), { coefficients: 1 + (length % 10), tolerant }, 100);
    }
  });
});

/** A progressive file whose first scan has all of DC, as mozjpeg, jpegli and Photoshop write. */
function dcFirst(file: Uint8Array): Uint8Array {
  const image = readCoefficients(file);
  const all = image.components.map((_, index) => index);
  const scan = (components: number[], from: number, to: number) => ({
    components,
    spectralStart: from,
    spectralEnd: to,
    approximationHigh: 0,
    approximationLow: 0,
  });
  const scans = [scan(all, 0, 0), ...all.map((component) => scan([component], 1, 63))];
  return writeCoefficients(image, { progressive: true, script: scans });
}

/** Where the scan after the first one begins. */
const secondScan = (file: Uint8Array) => readCoefficients(file).scans?.[1]?.offset as number;

/** A picture whose AC coefficients take most of the file. */
function detailed(width: number, height: number): Uint8Array {
  const random = new Random(3);
  const plane = () => Uint8Array.from({ length: width * height }, () => random.below(256));
  const planes = [plane(), plane(), plane()];
  return dcFirst(
    encodeJpeg({ width, height, colorSpace: "rgb", planes }, { quality: 60, progressive: true }),
  );
}

describe("no more is read than needed", () => {
  test("of a progressive file: up to the end of the last scan that has the coefficients", async () => {
    const file = detailed(640, 480);
    const end = secondScan(file);
    expect(end).toBeLessThan(0.1 * file.length);
    expect(await compare(file, { coefficients: 1 }, 10)).toBeLessThan(end + 10);
    expect(await compare(file, { coefficients: 64 }, 10)).toBe(file.length);
    // libjpeg's own script ends DC later.
    const usual = picture(300, 200, "4:2:0", true);
    const last = readCoefficients(usual, { coefficients: 1 }).scans?.at(-1)?.offset as number;
    const read = await compare(usual, { coefficients: 1 }, 10);
    expect(read).toBeGreaterThan(last);
    const next = readCoefficients(usual).scans?.find(({ offset }) => offset > last)?.offset as number;
    expect(read).toBeLessThan(next + 10);
  });

  test("what follows the end of the image stays unread", async () => {
    for (const progressive of [false, true]) {
      const file = picture(100, 80, "4:2:0", progressive);
      const longer = new Uint8Array(file.length + 10_000);
      longer.set(file);
      expect(await compare(longer, {}, 1)).toBe(file.length);
    }
  });

  test("of something that is no JPEG file, or is refused, only the first piece", async () => {
    const endless = { [Symbol.asyncIterator]: () => ({ next: async () => ({ value: new Uint8Array(9) }) }) };
    expect(await readNeeded(endless as AsyncIterable<Uint8Array>)).toHaveLength(9);
    const file = detailed(640, 480);
    expect(await compare(file, { maxPixels: 1000 }, 1000)).toBe(1000);
  });

  test("of a path", () => {
    const file = detailed(640, 480);
    const name = join(folder, "detailed.jpg");
    writeFileSync(name, file);
    let most = 0;
    const read = (coefficients: number) => {
      most = 0;
      return withRegularFile(name, 2 ** 30, (readOn) =>
        outcome(
          (length) => {
            const beginning = readOn(length);
            most = Math.max(most, beginning.bytes.length);
            return beginning;
          },
          { coefficients },
        ),
      );
    };
    expect(read(1)).toEqual(outcome(file, { coefficients: 1 }));
    expect(most).toBeLessThan(secondScan(file) + 2 ** 15);
    expect(read(64)).toEqual(outcome(file, { coefficients: 64 }));
    expect(most).toBe(file.length);
  });

  test("of a Blob, and at the end of a header that is longer than a piece", async () => {
    const file = detailed(640, 480);
    let most = 0;
    const blob = {
      size: file.length,
      slice(from: number, to: number) {
        most = Math.max(most, to);
        return new Blob([file.slice(from, to)]);
      },
    };
    const needed = await readNeeded(blob, { coefficients: 1 });
    expect(needed).toHaveLength(most);
    expect(most).toBeLessThan(secondScan(file) + 2 ** 15);
    const comment = new Uint8Array(65_537).fill(7);
    comment.set([0xff, 0xfe, 0xff, 0xff]);
    const headed = Buffer.concat([file.subarray(0, 2), comment, comment, file.subarray(2)]);
    const all = await readNeeded(new Blob([headed]), { coefficients: 1 });
    expect(outcome(all, { coefficients: 1 })).toEqual(outcome(headed, { coefficients: 1 }));
  });

  test("the time grows with the length, not its square", async () => {
    const time = async (side: number) => {
      const file = detailed(side, side);
      const start = process.cpuUsage();
      await readNeeded(counted(file, 16));
      const { user } = process.cpuUsage(start);
      return user / file.length;
    };
    await time(300);
    const [short, long] = [await time(300), await time(1200)];
    // 16 times as many bytes.
    expect(long).toBeLessThan(5 * short);
  });
});

describe("sources", () => {
  const file = dcFirst(picture(300, 200));

  test("of every kind that Node has", async () => {
    const name = join(folder, "kinds.jpg");
    writeFileSync(name, file);
    async function* pieces() {
      for (let at = 0; at < file.length; at += 999) yield Buffer.from(file.subarray(at, at + 999));
    }
    const sources: ByteSource[] = [
      new Blob([file.slice()]),
      new File([file.slice()], "a.jpg"),
      new Blob([file.slice()]).stream(),
      await openAsBlob(name),
      createReadStream(name),
      createReadStream(name, { highWaterMark: 1 }),
      new Response(file.slice()).body as ReadableStream<Uint8Array>,
      pieces(),
    ];
    for (const source of sources) expect(outcome(await readNeeded(source), {})).toEqual(outcome(file, {}));
  });

  test("are told when there is enough, and only then", async () => {
    const wide = detailed(640, 480);
    for (const [coefficients, bytes, times] of [
      [1, wide, 1],
      [64, wide, 1],
      [64, wide.subarray(0, -2), 0],
    ] as const) {
      let cancelled = 0;
      let at = 0;
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= bytes.length) controller.close();
          else controller.enqueue(bytes.slice(at, at + 1000));
          at += 1000;
        },
        cancel: () => void cancelled++,
      });
      await readNeeded(stream, { coefficients, tolerant: true });
      await new Promise((next) => setTimeout(next));
      expect(cancelled).toBe(times);
    }
    const name = join(folder, "wide.jpg");
    writeFileSync(name, wide);
    const readable = createReadStream(name, { highWaterMark: 1000 });
    await readNeeded(readable, { coefficients: 1 });
    await new Promise((next) => setTimeout(next));
    expect(readable.destroyed).toBe(true);
    expect(readable.bytesRead).toBeLessThan(0.2 * wide.length);
  });

  test("may use the memory of a piece again", async () => {
    const memory = new Uint8Array(100);
    async function* pieces() {
      for (let at = 0; at < file.length; at += 100) {
        const piece = file.subarray(at, at + 100);
        memory.set(piece);
        yield memory.subarray(0, piece.length);
      }
    }
    expect(Buffer.compare(await readNeeded(pieces()), file)).toBe(0);
  });

  test.each<[string, unknown, RegExp]>([
    ["rejects", { next: () => Promise.reject(new Error("the line is cut")) }, /^the line is cut$/],
    [
      "throws",
      {
        next() {
          throw new Error("at once");
        },
      },
      /^at once$/,
    ],
    ["gives text", { next: async () => ({ value: "abc" }) }, /^the source gave a piece of type String/],
    ["gives nothing", { next: async () => ({ value: undefined }) }, /piece of type Undefined, expected/],
    [
      "gives numbers of 16 bits",
      { next: async () => ({ value: new Uint16Array(4) }) },
      /piece of type Uint16Array, expected Uint8Array$/,
    ],
  ])("one that %s fails", async (_, iterator, message) => {
    const source = { [Symbol.asyncIterator]: () => iterator } as AsyncIterable<Uint8Array>;
    await expect(readNeeded(source)).rejects.toThrow(message);
  });

  test("one that never ends is left at maxBytes", async () => {
    const head = file.subarray(0, secondScan(file));
    async function* endless() {
      yield head;
      for (;;) yield new Uint8Array(100_000).fill(7);
    }
    await expect(readNeeded(endless(), { maxBytes: 10_000_000 })).rejects.toThrow(
      "the file has more than 10000000 bytes, the limit maxBytes",
    );
  });

  test("a Blob that changed, or is shorter than it says, fails", async () => {
    const name = join(folder, "changed.jpg");
    writeFileSync(name, file);
    const blob = await openAsBlob(name);
    writeFileSync(name, file.subarray(0, 1000));
    await expect(readNeeded(blob)).rejects.toThrow();
    const liar = { size: 100_000, slice: () => new Blob([file.slice(0, 10)]) };
    await expect(readNeeded(liar)).rejects.toThrow("the blob gave 10 bytes, expected 32768");
  });

  test("an error while cancelling is of no interest", async () => {
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ value: file }),
        return: () => Promise.reject(new Error("too late")),
      }),
    } as AsyncIterable<Uint8Array>;
    const options: NeededOptions = { coefficients: () => 1 };
    expect(await readNeeded(source, options)).toHaveLength(file.length);
  });
});

test("a file that shrinks or grows while it is read is read as far as it was at first", () => {
  const file = detailed(640, 480);
  const name = join(folder, "restless.jpg");
  const read = (change: () => void) => {
    writeFileSync(name, file);
    let isChanged = false;
    return withRegularFile(name, 2 ** 30, (readOn) =>
      outcome(
        (length) => {
          const beginning = readOn(length);
          if (!isChanged) change();
          isChanged = true;
          return beginning;
        },
        { tolerant: true },
      ),
    );
  };
  expect(read(() => truncateSync(name, 50_000))).toEqual(
    outcome(file.subarray(0, 50_000), { tolerant: true }),
  );
  expect(read(() => writeFileSync(name, "more", { flag: "a" }))).toEqual(outcome(file, { tolerant: true }));
});

describe("rows of blocks below the crop", () => {
  // The upper half of the picture is the crop.
  const SIZE = { channels: 3, width: 160, height: 80 };
  const CROP: Preprocess = {
    ...TORCHVISION,
    resize: { width: 160, height: 240 },
    crop: { width: 160, height: 80 },
  };
  const [width, height] = [160, 240];
  const random = new Random(9);
  const plane = () => Uint8Array.from({ length: width * height }, () => random.below(256));
  const planes = [plane(), plane(), plane()];
  const sound = (progressive: boolean) =>
    encodeJpeg(
      { width, height, colorSpace: "rgb", planes },
      { quality: 75, progressive, subsampling: "4:2:0" },
    );

  function fill(file: Uint8Array, options: FillOptions) {
    using preprocessor = new Preprocessor(CROP, SIZE);
    const out = new Float32Array(3 * 160 * 80);
    return { ...preprocessor.fill(file, out, options), out: hash(out) };
  }

  /** With bits of one in the coded data, from a share of the file on. */
  function damaged(file: Uint8Array, share: number) {
    const changed = file.slice();
    const at = Math.floor(share * file.length);
    for (let i = 0; i < 40; i += 2) changed.set([0xfe, 0xff - 1], at + i);
    return changed;
  }

  test("are not decoded: their damage is not reported, and changes nothing", () => {
    const file = sound(false);
    const expected = fill(file, { tolerant: true });
    expect(fill(file, {}).out).toEqual(expected.out);
    // The crop is the middle third.
    const below = damaged(file, 0.85);
    expect(fill(below, { tolerant: true })).toEqual(expected);
    expect(readCoefficients(below, { tolerant: true }).damage).not.toHaveLength(0);
    expect(() => fill(below, {})).toThrow(JpegError);
    const within = fill(damaged(file, 0.45), { tolerant: true });
    expect(within.damage).not.toHaveLength(0);
    expect(within.out).not.toEqual(expected.out);
  });

  test("are checked by the strict reader, also for what comes after the last block", () => {
    const file = sound(false);
    const more = Buffer.concat([file.subarray(0, -2), Buffer.alloc(100, 7), file.subarray(-2)]);
    expect(() => fill(more, {})).toThrow(/data that no block needs/);
    expect(fill(more, { tolerant: true }).damage).toBeUndefined();
  });

  test("the same planes from every coding", () => {
    for (const progressive of [false, true]) {
      const file = sound(progressive);
      using preprocessor = new Preprocessor(CROP, SIZE);
      const out = new Float32Array(3 * 160 * 80);
      preprocessor.fillFrom(readCoefficients(file), out);
      expect(fill(file, { tolerant: true }).out).toEqual(hash(out));
    }
  });
});

describe.each([1, 2])("a model on %i threads", (threads) => {
  let api: typeof Api;
  let model: Api.JpegModel;
  const file = picture(60, 50, "4:2:0", true);
  beforeAll(async () => {
    // Threads run the built package.
    api = await importBuilt();
    model = await api.loadModel(MODEL, { threads, preprocess: NOTEBOOK, batch: 2, window: 4 });
  });
  afterAll(() => model.close());

  async function collect(files: Api.JpegSource[]): Promise<Api.JpegResult[]> {
    const all: Api.JpegResult[] = [];
    for await (const result of model.stream(files)) all.push(result);
    return all;
  }
  const logits = (result: Api.JpegResult | undefined) => Object.values(result?.outputs ?? {})[0]?.data;

  /** Runs the files in every way: alone, together, and as a stream. Sources can be read only once. */
  async function results(files: () => Api.JpegSource[]): Promise<Api.JpegResult[][]> {
    const alone: Api.JpegResult[] = [];
    for (const source of files()) alone.push(...(await model.run([source])));
    return [alone, await model.run(files()), await collect(files())];
  }

  async function* pieces(bytes: Uint8Array, size: number) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  test("gives files that come in pieces the results of their bytes", async () => {
    const name = join(folder, `${threads}.jpg`);
    writeFileSync(name, file);
    const blob = await openAsBlob(name);
    const [expected] = await model.run([file]);
    expect(logits(expected)).toHaveLength(10);
    const sources = (): Api.JpegSource[] => [
      new Blob([file.slice()]),
      new File([file.slice()], "a.jpg"),
      blob,
      new Blob([file.slice()]).stream(),
      new Response(file.slice()).body as ReadableStream<Uint8Array>,
      createReadStream(name),
      pieces(file, 1),
      pieces(file, 10 ** 6),
      name,
      file,
    ];
    for (const all of await results(sources)) {
      expect(all).toHaveLength(10);
      for (const [i, result] of all.entries()) {
        expect(result.error, `${i}`).toBeUndefined();
        for (const [k, value] of (logits(result) as Float32Array).entries())
          expect(Math.abs(value - (logits(expected)?.[k] as number))).toBeLessThan(1e-4);
      }
    }
  });

  test("gives a source's failure in its place; the others keep their results", async () => {
    const iterate = (next: () => unknown) => ({ [Symbol.asyncIterator]: () => ({ next }) }) as Api.JpegSource;
    const locked = new Blob([file.slice()]).stream();
    locked.getReader();
    const sources = (): Api.JpegSource[] => [
      iterate(() => Promise.reject(new Error("the line is cut"))),
      iterate(async () => ({ value: "text" })),
      createReadStream(join(folder, "missing.jpg")),
      locked,
      pieces(file.subarray(0, 100), 7),
      pieces(new Uint8Array(50), 7),
      new Blob([]),
      pieces(file, 7),
    ];
    const cut = (await model.run([file.subarray(0, 100)]))[0]?.error?.message;
    expect(cut).toMatch(/^byte/);
    for (const all of await results(sources))
      expect(all.map(({ error }) => error?.message)).toEqual([
        "the line is cut",
        "the source gave a piece of type String, expected Uint8Array",
        "no such file",
        expect.stringMatching(/locked/),
        cut,
        "byte 0: found 00 00, expected a JPEG file's ff d8",
        "byte 0: found 0 bytes, expected a JPEG file's ff d8",
        undefined,
      ]);
  });

  test("refuses damaged files that come in pieces only if it is strict", async () => {
    const cut = file.subarray(0, file.length - 30);
    const strict = await api.loadModel(MODEL, { threads, preprocess: NOTEBOOK, strict: true });
    const [expected] = await strict.run([cut]);
    const [refused] = await strict.run([new Blob([cut.slice()])]);
    expect(refused).toEqual(expected);
    expect(refused?.error).toBeInstanceOf(api.JpegError);
    await strict.close();
    const [whole] = await model.run([cut]);
    for (const [result] of await results(() => [pieces(cut, 10)])) {
      expect(result?.damage).toEqual(whole?.damage);
      expect(result?.damage).not.toHaveLength(0);
    }
  });

  test("takes nothing more from a source when it has enough", async () => {
    const { files } = await mnistJpegs(1, 90);
    const digit = files[0] as Uint8Array;
    const longer = new Uint8Array(digit.length + 1000);
    longer.set(digit);
    const source = counted(longer, 10);
    expect(logits((await model.run([source]))[0])).toHaveLength(10);
    expect(source.bytes).toBeLessThan(digit.length + 10);
    expect(source.returns).toBe(1);
  });
});
