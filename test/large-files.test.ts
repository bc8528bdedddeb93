/**
 * Files with restart markers, in parts that threads make side by side: the planes are the same bits as one thread's, and
 * so is what is said about damage.
 */
import type { Worker } from "node:worker_threads";
import { readCoefficients, writeCoefficients } from "@jpeg-domain/coefficients";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { RESAMPLES } from "../packages/conversion/src/preprocess/filters.js";
import { channelCount, type Preprocess } from "../packages/conversion/src/preprocess/preprocess.js";
import { Preprocessor } from "../packages/conversion/src/preprocess/preprocessor.js";
import type * as HelpersModule from "../packages/node/src/runtime/helpers.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { Random } from "./jpeg/generate.js";
import { oriented, PLAIN } from "./jpeg/pixels.js";
import { jpegOf, SAMPLINGS } from "./jpeg/preprocess.js";

const TOLERANT = { tolerant: true };

/** The file with a restart marker after every `interval` MCUs. */
const restarting = (jpeg: Uint8Array, restartInterval: number): Uint8Array =>
  writeCoefficients(readCoefficients(jpeg, { keepSegments: true }), { restartInterval });

/** MCUs in a row of whole MCUs. */
function mcusInRow(jpeg: Uint8Array): number {
  const { width, components } = readCoefficients(jpeg);
  if (components.length === 1) return Math.ceil(width / 8);
  return Math.ceil(width / (8 * Math.max(...components.map((each) => each.horizontalSampling))));
}

interface Made {
  planes: Float32Array;
  damage: unknown;
}

function madeAlone(jpeg: Uint8Array, preprocess: Preprocess, size: Api.PlaneSize): Made {
  using preprocessor = new Preprocessor(preprocess, size);
  const planes = new Float32Array(size.channels * size.height * size.width);
  const { damage } = preprocessor.fill(jpeg, planes, TOLERANT);
  return { planes, damage };
}

/** Makes the parts in any order, each with a preprocessor of its own. Undefined if the file is left to one thread. */
function madeInParts(
  jpeg: Uint8Array,
  preprocess: Preprocess,
  size: Api.PlaneSize,
  most: number,
  random: Random,
): (Made & { count: number }) | undefined {
  using preprocessor = new Preprocessor(preprocess, size);
  const split = preprocessor.split(jpeg, most, TOLERANT);
  if (split === undefined) return undefined;
  const made = new Float32Array(split.length).fill(Number.NaN);
  const left = [...split.parts];
  try {
    while (left.length > 0) {
      const [part] = left.splice(random.below(left.length), 1);
      if (part === undefined) break;
      // Only the bytes that it is said to need.
      const bytes = new Uint8Array(jpeg.length).fill(0xff);
      bytes.set(jpeg.subarray(0, split.headerBytes));
      const { from, to } = part.rows;
      bytes.set(jpeg.subarray(from.offset, to?.offset), from.offset);
      using other = new Preprocessor(preprocess, size);
      other.fillPart(bytes, part, made);
    }
  } catch {
    return undefined;
  }
  const planes = new Float32Array(size.channels * size.height * size.width);
  const { damage } = split.finish(made, planes);
  return { planes, damage, count: split.parts.length };
}

/** A random preprocessing for files of some hundred pixels. */
function randomPreprocess(random: Random): [preprocess: Preprocess, size: Api.PlaneSize] {
  const [height, width] = [20 + random.below(100), 20 + random.below(100)];
  const crop = { height, width };
  const preprocess: Preprocess = {
    ...PLAIN,
    channels: random.pick(["rgb", "rgb", "bgr", "grayscale"] as const),
    resample: random.pick(RESAMPLES),
    resize: random.chance(0.5)
      ? { shortestEdge: Math.max(height, width) + random.below(60) }
      : { height: height + random.below(80), width: width + random.below(80) },
    crop,
    ...(random.chance(0.2) && { pad: { top: 3, bottom: 2, left: 1, right: 4, value: 9 } }),
    ...(random.chance(0.2) && { precrop: { height: 0.7, width: 0.8 } }),
  };
  if (preprocess.channels === "grayscale") Object.assign(preprocess, { mean: [0], std: [1] });
  const { pad } = preprocess;
  const size = {
    channels: channelCount(preprocess),
    height: height + (pad ? pad.top + pad.bottom : 0),
    width: width + (pad ? pad.left + pad.right : 0),
  };
  return [preprocess, size];
}

describe("parts of a file", () => {
  test.each(SAMPLINGS)(
    "%s: the same planes, whatever the restart interval and the preprocessing",
    (_, args) => {
      const random = new Random(args.join().length);
      let split = 0;
      for (let round = 0; round < 40; round++) {
        const [width, height] = [80 + random.below(300), 80 + random.below(400)];
        const plain = jpegOf(width, height, ["-quality", `${random.pick([30, 75, 95])}`, ...args]);
        const row = mcusInRow(plain);
        const interval = random.pick([1, row, 2 * row, Math.ceil(3.5 * row), 1 + random.below(2 * row), 7]);
        const jpeg = oriented(restarting(plain, interval), 1 + random.below(8));
        const [preprocess, size] = randomPreprocess(random);
        const alone = madeAlone(jpeg, preprocess, size);
        const parts = madeInParts(jpeg, preprocess, size, 2 + random.below(6), random);
        if (parts === undefined) continue;
        split++;
        expect(parts.planes, `round ${round}`).toEqual(alone.planes);
        expect([parts.damage, alone.damage]).toEqual([undefined, undefined]);
      }
      expect(split).toBeGreaterThan(20);
    },
  );

  test("are as many as asked for, and have about the same work", () => {
    const jpeg = restarting(jpegOf(640, 960, ["-quality", "90"]), 40);
    const preprocess = { ...PLAIN, resize: { height: 224, width: 224 } };
    using preprocessor = new Preprocessor(preprocess, { channels: 3, height: 224, width: 224 });
    for (const most of [2, 3, 4, 8]) {
      const { parts } = preprocessor.split(jpeg, most) ?? { parts: [] };
      expect(parts.map(({ line }) => line)).toEqual([0, ...parts.slice(0, -1).map(({ endLine }) => endLine)]);
      expect(parts.length).toBe(most);
      for (const { rows } of parts)
        expect(((rows.to?.offset ?? jpeg.length) - rows.from.offset) / jpeg.length).toBeLessThan(1.5 / most);
    }
  });

  test("are not made of files that one thread must read, and do not accept what it refuses", () => {
    const preprocess = { ...PLAIN, resize: { height: 64, width: 64 } };
    const size = { channels: 3, height: 64, width: 64 };
    using preprocessor = new Preprocessor(preprocess, size);
    const random = new Random(1);
    const whole = jpegOf(300, 300, []);
    const restarts = restarting(whole, 19);
    expect(madeInParts(restarts, preprocess, size, 2, random)).toBeDefined();
    const others: Record<string, Uint8Array> = {
      "without restart markers": whole,
      "restart markers within rows only": restarting(whole, 19 * 20 + 1),
      progressive: writeCoefficients(readCoefficients(whole), { progressive: true, restartInterval: 19 }),
      arithmetic: jpegOf(300, 300, ["-arithmetic", "-restart", "1"]),
      "no end of image": restarts.subarray(0, -2),
      "two scans": scans(restarts),
    };
    for (const [name, jpeg] of Object.entries(others))
      expect(madeInParts(jpeg, preprocess, size, 2, random), name).toBeUndefined();
    expect(() => preprocessor.split(restarts, 2, { maxPixels: 300 * 300 - 1 })).toThrow(/maxPixels is 89999/);
  });
});

/** The file's scan twice. */
function scans(jpeg: Uint8Array): Uint8Array {
  const start = Buffer.from(jpeg).lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = jpeg.subarray(start, -2);
  return Uint8Array.from([...jpeg.subarray(0, start), ...scan, ...scan, 0xff, 0xd9]);
}

/** The places of the restart markers. */
function markers(jpeg: Uint8Array): number[] {
  const places: number[] = [];
  for (let at = 0; at + 1 < jpeg.length; at++)
    if (jpeg[at] === 0xff && ((jpeg[at + 1] as number) & 0xf8) === 0xd0) places.push(at);
  return places;
}

/** Ways to damage a file with restart markers. */
const DAMAGE: Record<string, (jpeg: Uint8Array, random: Random) => Uint8Array> = {
  "a marker dropped": (jpeg, random) => without(jpeg, random.pick(markers(jpeg)), 2),
  "two markers swapped": (jpeg, random) => {
    const [a, b] = [random.pick(markers(jpeg)) + 1, random.pick(markers(jpeg)) + 1];
    const result = jpeg.slice();
    [result[a], result[b]] = [result[b] as number, result[a] as number];
    return result;
  },
  "a marker twice": (jpeg, random) => {
    const at = random.pick(markers(jpeg));
    return Uint8Array.from([...jpeg.subarray(0, at + 2), ...jpeg.subarray(at)]);
  },
  "another number": (jpeg, random) => {
    const result = jpeg.slice();
    result[random.pick(markers(jpeg)) + 1] = 0xd0 + random.below(8);
    return result;
  },
  "an interval dropped": (jpeg, random) => {
    const places = markers(jpeg);
    const which = random.below(places.length - 1);
    const [from, to] = [places[which] as number, places[which + 1] as number];
    return without(jpeg, from, to - from);
  },
  "eight intervals dropped": (jpeg, random) => {
    const places = markers(jpeg);
    const which = random.below(Math.max(1, places.length - 8));
    const from = places[which] as number;
    return without(jpeg, from, (places[which + 8] ?? from) - from);
  },
  "bytes changed": (jpeg, random) => {
    const result = jpeg.slice();
    const [start] = markers(jpeg) as [number];
    for (let i = random.below(4); i >= 0; i--)
      result[start + random.below(jpeg.length - start - 2)] = random.below(256);
    return result;
  },
  "bytes put in": (jpeg, random) => {
    const [start] = markers(jpeg) as [number];
    const at = start + random.below(jpeg.length - start - 2);
    const more = Array.from({ length: 1 + random.below(20) }, () => random.below(255));
    return Uint8Array.from([...jpeg.subarray(0, at), ...more, ...jpeg.subarray(at)]);
  },
  "bytes missing": (jpeg, random) => {
    const [start] = markers(jpeg) as [number];
    return without(jpeg, start + random.below(jpeg.length - start - 20), 1 + random.below(19));
  },
  "cut off": (jpeg, random) => {
    const [start] = markers(jpeg) as [number];
    return jpeg.slice(0, start + random.below(jpeg.length - start));
  },
  "cut off, with an end of image": (jpeg, random) => {
    const [start] = markers(jpeg) as [number];
    return Uint8Array.from([
      ...jpeg.subarray(0, start + random.below(jpeg.length - start - 2)),
      ...[0xff, 0xd9],
    ]);
  },
  "fill bytes before a marker": (jpeg, random) => {
    const at = random.pick(markers(jpeg));
    return Uint8Array.from([...jpeg.subarray(0, at), 0xff, 0xff, ...jpeg.subarray(at)]);
  },
};

const without = (jpeg: Uint8Array, at: number, count: number): Uint8Array =>
  Uint8Array.from([...jpeg.subarray(0, at), ...jpeg.subarray(at + count)]);

test.each(Object.entries(DAMAGE))("damage, %s: a part finds it, or it is none", (_, damage) => {
  const random = new Random(31);
  let [found, none] = [0, 0];
  for (let round = 0; round < 60; round++) {
    const [width, height] = [60 + random.below(200), 150 + random.below(200)];
    const plain = jpegOf(width, height, random.pick(SAMPLINGS)[1]);
    const row = mcusInRow(plain);
    const jpeg = damage(restarting(plain, random.pick([1, row, row, 2 * row])), random);
    const [preprocess, size] = randomPreprocess(random);
    const alone = madeAlone(jpeg, preprocess, size);
    const parts = madeInParts(jpeg, preprocess, size, 2 + random.below(4), random);
    if (parts === undefined) {
      found++;
      continue;
    }
    none++;
    expect(parts.planes, `round ${round}`).toEqual(alone.planes);
    expect(alone.damage, `round ${round}`).toBeUndefined();
  }
  expect(found + none).toBe(60);
  // Some changed bytes are other codes of the same length.
  if (_.startsWith("fill")) expect(none).toBeGreaterThan(30);
  else expect(found).toBeGreaterThan(20);
});

describe("threads", { timeout: 120_000 }, () => {
  const size = { channels: 3, height: 224, width: 224 };
  const preprocess = { ...PLAIN, resize: { shortestEdge: 256 }, crop: { height: 224, width: 224 } };
  let api: typeof Api;
  let openHelpers: typeof HelpersModule.openHelpers;
  let large: Uint8Array;
  const open: HelpersModule.Helpers[] = [];
  beforeAll(async () => {
    api = await importBuilt();
    const url = new URL("../packages/node/dist/runtime/helpers.js", import.meta.url);
    ({ openHelpers } = (await import(url.href)) as typeof HelpersModule);
    large = restarting(jpegOf(1500, 1100, ["-quality", "97", "-sample", "1x1"]), 188);
    expect(large.length).toBeGreaterThan(2 ** 19);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((helpers) => helpers.close()));
  });

  /** Helpers, and how many parts this thread made. */
  function opened(threads: number, isBusy = () => false) {
    const preprocessor = new api.Preprocessor(preprocess, size);
    let [own, all, alone] = [0, 0, 0];
    const counting = Object.assign(Object.create(preprocessor) as Api.Preprocessor, {
      fill: (...args: Parameters<Api.Preprocessor["fill"]>) => {
        alone++;
        return preprocessor.fill(...args);
      },
      split: (...args: Parameters<Api.Preprocessor["split"]>) => {
        const split = preprocessor.split(...args);
        all += split?.parts.length ?? 0;
        return split;
      },
      fillPart: (...args: Parameters<Api.Preprocessor["fillPart"]>) => {
        own++;
        preprocessor.fillPart(...args);
      },
    });
    const helpers = openHelpers(counting, { preprocess, planes: size, threads, isBusy });
    open.push(helpers);
    return { helpers, counts: () => ({ own, all, alone }) };
  }

  const filledBy = (filler: Pick<Preprocessor, "fill">, jpeg: Uint8Array) => {
    const planes = new Float32Array(3 * 224 * 224);
    const result = filler.fill(jpeg, planes, TOLERANT);
    return { planes: Buffer.from(planes.buffer).toString("base64"), result };
  };

  /** Waits until a helper has made a part. */
  async function helped({ helpers, counts }: ReturnType<typeof opened>): Promise<void> {
    for (const until = Date.now() + 60_000; Date.now() < until; ) {
      const { own, all } = counts();
      if (own < all) return;
      filledBy(helpers, large);
      await new Promise((next) => setTimeout(next, 10));
    }
    throw new Error("no helper made a part");
  }

  test.each([2, 3, 5])("%i make the same planes as one", async (threads) => {
    const alone = filledBy(new Preprocessor(preprocess, size), large);
    const fillers = opened(threads);
    expect(filledBy(fillers.helpers, large)).toEqual(alone);
    await helped(fillers);
    for (let i = 0; i < 10; i++) expect(filledBy(fillers.helpers, large)).toEqual(alone);
  });

  test("find the same damage as one, in any part, and the same errors", async () => {
    const fillers = opened(2);
    await helped(fillers);
    const one = new Preprocessor(preprocess, size);
    const random = new Random(5);
    for (const damage of Object.values(DAMAGE)) {
      const jpeg = damage(large, random);
      const alone = filledBy(one, jpeg);
      expect(filledBy(fillers.helpers, jpeg)).toEqual(alone);
      if (alone.result.damage === undefined) continue;
      const strict = (filler: Pick<Preprocessor, "fill">) => () =>
        filler.fill(jpeg, new Float32Array(2 ** 18));
      const messages = [one, fillers.helpers].map((filler) => {
        try {
          strict(filler)();
          return "none";
        } catch (error) {
          return (error as Error).message;
        }
      });
      expect(messages[1]).toBe(messages[0]);
    }
    // A sound file is split again.
    const { all, alone } = fillers.counts();
    expect(filledBy(fillers.helpers, large)).toEqual(filledBy(one, large));
    expect(fillers.counts().all).toBe(all + 2);
    expect(alone).toBeGreaterThan(10);
  });

  test("start only for a large file that can be split, and not while others are busy", () => {
    const small = restarting(jpegOf(300, 300, []), 19);
    let isBusy = false;
    const { helpers, counts } = opened(2, () => isBusy);
    const plain = jpegOf(1500, 1100, ["-quality", "97", "-sample", "1x1"]);
    for (const jpeg of [small, plain]) filledBy(helpers, jpeg);
    isBusy = true;
    filledBy(helpers, large);
    expect(counts()).toEqual({ own: 0, all: 0, alone: 3 });
    isBusy = false;
    filledBy(helpers, large);
    expect(counts()).toMatchObject({ all: 2, alone: 3 });
    const one = opened(1);
    filledBy(one.helpers, large);
    expect(one.counts()).toEqual({ own: 0, all: 0, alone: 1 });
  });

  test("of a model: runs at the same time, and none is left after close", async () => {
    const g = new GraphBuilder("means");
    const x = g.input("image", "float32", ["N", 3, 224, 224]);
    g.output(
      g.node("Flatten", [g.node("AveragePool", [x], { kernel_shape: [8, 8], strides: [8, 8] })]),
      "y",
      "float32",
      ["N", 2352],
    );
    const bytes = api.writeOnnx(g.build());
    const one = await api.loadModel(bytes, { preprocess, threads: 1 });
    const [expected] = await one.run([large]);
    await one.close();
    let [started, running] = [0, 0];
    const count = (worker: Worker) => {
      started++;
      running++;
      worker.once("exit", () => running--);
    };
    process.on("worker", count);
    const model = await api.loadModel(bytes, { preprocess, threads: 2 });
    for (let round = 0; round < 8; round++) {
      const results = await Promise.all([model.run([large]), model.run([large, large]), model.run([large])]);
      for (const result of results.flat()) expect(result).toEqual(expected);
    }
    await model.close();
    process.off("worker", count);
    expect([started, running]).toEqual([1, 0]);
  });
});
