/**
 * Damaged files, and progressive files that end early. Their pixels must be libjpeg's (djpeg -dct int, PIL with
 * LOAD_TRUNCATED_IMAGES), in levels of 0 to 255, and every API must report the damage.
 */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { encodeJpeg, JpegError, type JpegImage, readCoefficients } from "@jpeg-domain/coefficients";
import { convertGraph, fillPlanes, writeOnnx } from "@jpeg-domain/conversion";
import { decode } from "fast-png";
import { Tensor } from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { feedsOf } from "../packages/conversion/src/preprocess/feeds.js";
import { channelCount, type Preprocess } from "../packages/conversion/src/preprocess/preprocess.js";
import { Preprocessor } from "../packages/conversion/src/preprocess/preprocessor.js";
import { planesOf } from "../packages/conversion/src/preprocess/reference/planes.js";
import { openNetwork } from "../packages/node/src/runtime/network.js";
import type * as PoolModule from "../packages/node/src/runtime/pool.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { generate, mutate, Random } from "./jpeg/generate.js";
import { djpegOfDamaged, PLAIN, pilPixels, pythonWithPil, within } from "./jpeg/pixels.js";
import { filled, identity, jpegOf } from "./jpeg/preprocess.js";
import { hasJpegTools } from "./jpeg/tools.js";

const TOOLS = hasJpegTools();
const PYTHON = pythonWithPil();
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const load = (name: string) => new Uint8Array(readFileSync(path(`cases/jpeg/${name}.jpg`)));
/** Files that libjpeg refuses: a height of 0, and a second start of image. */
const REFUSED = /^(17|56)-/;
const names = readdirSync(path("cases/jpeg"))
  .filter((name) => name.endsWith(".jpg") && !REFUSED.test(name))
  .map((name) => name.slice(0, -4));
const TOLERANT = { tolerant: true };
/** Files that the strict reader refuses as damaged. */
const DAMAGED = ["05-truncated-half", "18-wrong-rst-number", "21-missing-rst", "60-zeroed-tail"];
const UNFINISHED = ["52-progressive-cut-after-dc-scan-with-eoi", "53-progressive-cut-after-3-scans-no-eoi"];

/** The file without the EXIF orientation, because libjpeg's tools ignore it. */
const asStored = (image: JpegImage): JpegImage => ({ ...image, orientation: 1 });

describe("pixels against libjpeg-turbo's, djpeg -dct int", () => {
  // sharp's decoder smooths the blocks of unfinished files with an older method; PIL's pictures of these are below.
  const comparable = TOOLS ? names : names.filter((name) => !UNFINISHED.includes(name));
  test.each(comparable.filter((name) => !name.startsWith("4") || name > "43"))("%s", (name) => {
    const jpeg = load(name);
    const { width, height, data } = djpegOfDamaged(jpeg) as NonNullable<ReturnType<typeof djpegOfDamaged>>;
    const image = asStored(readCoefficients(jpeg, TOLERANT));
    const size = { channels: 3, width, height };
    const out = new Float32Array(data.length);
    new Preprocessor(PLAIN, size).fillFrom(image, out);
    within(out, data, 0.1, 3, "WebAssembly");
    // The reference is slow.
    if (width * height < 2 ** 18) within(planesOf(image, PLAIN).data, data, 0.1, 3, "definition");
  });

  test("damage of every kind in files of every kind: cut off anywhere, with and without an end of image", () => {
    const random = new Random(21);
    let [compared, smoothed] = [0, 0];
    for (let round = 0; round < 100; round++) {
      const [width, height] = [1 + random.below(130), 1 + random.below(130)];
      const sound = jpegOf(width, height, randomArguments(random));
      const start = Buffer.from(sound).indexOf(Buffer.from([0xff, 0xda]));
      const cut = sound.subarray(0, start + 20 + random.below(Math.max(1, sound.length - start - 20)));
      const jpeg = random.chance(0.4) ? Uint8Array.from([...cut, 0xff, 0xd9]) : cut;
      const expected = djpegOfDamaged(jpeg);
      // If a segment with tables is cut off, libjpeg may refuse the file.
      if (expected === undefined) continue;
      if (!TOOLS && readCoefficients(jpeg, TOLERANT).unfinished) continue;
      const what = `round ${round}: ${width}x${height}, ${jpeg.length} of ${sound.length} bytes`;
      within(filled(jpeg, PLAIN, expected, TOLERANT), expected.data, 0.2, 3, what);
      const image = readCoefficients(jpeg, TOLERANT);
      within(planesOf(image, PLAIN).data, expected.data, 0.2, 3, `definition, ${what}`);
      compared++;
      if (image.unfinished) smoothed++;
    }
    expect(compared).toBeGreaterThan(TOOLS ? 60 : 30);
    if (TOOLS) expect(smoothed).toBeGreaterThan(15);
  });
});

test("bits flipped anywhere in the coded data: the same pixels", () => {
  const random = new Random(22);
  let compared = 0;
  for (let round = 0; round < 150; round++) {
    const [width, height] = [1 + random.below(130), 1 + random.below(130)];
    const jpeg = jpegOf(width, height, randomArguments(random));
    const start = Buffer.from(jpeg).indexOf(Buffer.from([0xff, 0xda])) + 20;
    for (let flips = 1 + random.below(3); flips > 0 && start < jpeg.length; flips--) {
      const at = start + random.below(jpeg.length - start);
      jpeg[at] = (jpeg[at] as number) ^ (1 << random.below(8));
    }
    const expected = djpegOfDamaged(jpeg);
    if (expected === undefined) continue;
    if (!TOOLS && readCoefficients(jpeg, TOLERANT).unfinished) continue;
    within(filled(jpeg, PLAIN, expected, TOLERANT), expected.data, 0.1, 3, `round ${round}`);
    compared++;
  }
  expect(compared).toBeGreaterThan(90);
});

test.skipIf(!TOOLS)(
  "files of any structure with random coded data: the same pixels if djpeg gives a picture",
  () => {
    const random = new Random(23);
    let compared = 0;
    for (let round = 0; round < 300; round++) {
      const file = generate(random);
      const jpeg = round % 2 === 0 ? file : mutate(random, file, generate(random));
      const expected = djpegOfDamaged(jpeg);
      const image = expected && read(jpeg);
      if (expected === undefined || image === undefined || image.colorSpace === "unknown") continue;
      if (image.width !== expected.width || image.height !== expected.height) continue;
      const out = new Float32Array(expected.data.length);
      const whole = asStored(image);
      const size = { channels: 3, width: image.width, height: image.height };
      new Preprocessor(PLAIN, size).fillFrom(whole, out);
      within(out, expected.data, 0.2, 3, `round ${round}`);
      compared++;
    }
    expect(compared).toBeGreaterThan(80);
  },
);

/** The file read tolerantly; undefined if it is refused. */
function read(jpeg: Uint8Array): JpegImage | undefined {
  try {
    return readCoefficients(jpeg, { ...TOLERANT, maxPixels: 2 ** 20 });
  } catch (error) {
    if (error instanceof JpegError) return undefined;
    throw error;
  }
}

const SAMPLES = ["1x1", "2x1", "2x2", "1x2", "4x1", "4x2", "2x4"];

function randomArguments(random: Random): string[] {
  const args = ["-quality", String(20 + random.below(79)), "-sample", random.pick(SAMPLES)];
  if (random.chance(0.6)) args.push("-progressive");
  if (random.chance(0.25)) args.push("-restart", random.pick(["1", "2", "1B", "3B"]));
  if (random.chance(0.15)) args.push("-grayscale");
  else if (random.chance(0.1)) args.push("-rgb");
  return args;
}

test.skipIf(PYTHON === undefined)("pixels against PIL's with LOAD_TRUNCATED_IMAGES", () => {
  const files = names.filter((name) => /^(0|18|19|21|5|6|70|72)/.test(name)).map(load);
  const expected = pilPixels(PYTHON as string, files, "RGB");
  expect(files.length).toBeGreaterThan(20);
  files.forEach((jpeg, index) => {
    const { data, ...size } = expected[index] as NonNullable<(typeof expected)[number]>;
    within(filled(jpeg, PLAIN, size, TOLERANT), data, 0.1, 3, `file ${index}`);
  });
});

/** By PIL 9.4 with libjpeg-turbo 2.1.5 and LOAD_TRUNCATED_IMAGES: `Image.open(NAME).convert("RGB").save(NAME.png)`. */
test.each([...DAMAGED, ...UNFINISHED, "61-one-bit-flipped"])("PIL's picture of %s", (name) => {
  const { width, height, data } = decode(readFileSync(path(`cases/jpeg/${name}.png`)));
  const area = width * height;
  const expected = Float32Array.from({ length: 3 * area }, (_, at) =>
    Number(data[3 * (at % area) + Math.floor(at / area)]),
  );
  within(filled(load(name), PLAIN, { width, height }, TOLERANT), expected, 0.1, 3, name);
});

describe("progressive files that end early", () => {
  /** The file's first `count` scans, and an end of image. */
  function upToScan(jpeg: Uint8Array, count: number): Uint8Array {
    let end = readCoefficients(jpeg).scans?.[count - 1]?.offset as number;
    while (jpeg[end] !== 0xff || jpeg[end + 1] === 0) end++;
    return Uint8Array.from([...jpeg.subarray(0, end), 0xff, 0xd9]);
  }

  const plane = (kind: number) =>
    Uint8Array.from({ length: 150 * 110 }, (_, at) => {
      const [x, y] = [at % 150, Math.floor(at / 150)];
      return 128 + 70 * Math.sin(x / (5 + kind)) * Math.cos(y / 11) + 40 * (((x >> 4) + (y >> 4)) & 1);
    });
  const whole = encodeJpeg(
    { width: 150, height: 110, colorSpace: "rgb", planes: [plane(0), plane(1), plane(2)] },
    { quality: 80, subsampling: "4:2:0", progressive: true },
  );
  const cuts = Array.from({ length: (readCoefficients(whole).scans?.length ?? 0) - 1 }, (_, i) => i + 1);

  test.each([
    ["rgb", 1],
    ["rgb", 2],
    ["rgb", 4],
    ["rgb", 8],
    ["grayscale", 8],
  ] as const)("bytes, coefficients and the definition give the same: %s at %i/8", (channels, scale) => {
    const size = { width: Math.ceil((150 * scale) / 8), height: Math.ceil((110 * scale) / 8) };
    const few = channels === "grayscale" ? { mean: [0], std: [1] } : {};
    const preprocess: Preprocess = { ...PLAIN, ...few, channels, resize: size };
    for (const count of cuts) {
      const jpeg = upToScan(whole, count);
      const planes = filled(jpeg, preprocess, size);
      // Only as many coefficients as the scale needs, so the number of scans that are read may differ.
      const header = readCoefficients(jpeg);
      const preprocessor = new Preprocessor(preprocess, { ...size, channels: channelCount(preprocess) });
      const image = readCoefficients(jpeg, { coefficients: preprocessor.coefficientsFor(header) });
      const again = new Float32Array(planes.length);
      preprocessor.fillFrom(image, again);
      expect(planes).toEqual(again);
      within(planes, planesOf(image, preprocess).data, 0.3, 4, `${count} scans`);
    }
  });

  test("the graph gives the same from the file's feeds", async () => {
    const size = { width: 150, height: 110 };
    const session = await openSession(
      convertGraph(identity(3, size), { input: "jpeg", preprocess: PLAIN }).graph,
    );
    for (const count of cuts.slice(0, 3)) {
      const image = readCoefficients(upToScan(whole, count));
      expect(image.unfinished).toBeDefined();
      const { planes } = await session.run(feedsOf(image, PLAIN, Tensor));
      within(planes?.data as Float32Array, planesOf(image, PLAIN).data, 0.1, 3.01, `${count} scans`);
    }
    await session.release();
  });

  test("a complete file is not smoothed, nor is one that is read in part on purpose", () => {
    expect(readCoefficients(whole).unfinished).toBeUndefined();
    expect(readCoefficients(whole, { coefficients: 1 }).unfinished).toBeUndefined();
    expect(readCoefficients(whole, { coefficients: 6 }).unfinished).toBeUndefined();
  });
});

describe("damage is reported", () => {
  const size = { channels: 3, width: 56, height: 40 };
  const out = new Float32Array(3 * 56 * 40);

  test("by fillPlanes: strict by default, nothing for an undamaged file, and a limit of pixels", () => {
    for (const name of DAMAGED) {
      expect(() => fillPlanes(load(name), PLAIN, size, out), name).toThrow(JpegError);
      const { damage } = fillPlanes(load(name), PLAIN, size, out, TOLERANT);
      expect(damage?.[0]).toMatchObject({
        message: expect.stringMatching(/^byte \d+.*: found .*, expected /) as string,
        offset: expect.any(Number) as number,
      });
    }
    expect(fillPlanes(load("00-sound"), PLAIN, size, out, TOLERANT)).toEqual({
      width: 56,
      height: 40,
      scale: 8,
    });
    const limited = () => fillPlanes(load("00-sound"), PLAIN, size, out, { maxPixels: 56 * 40 - 1 });
    expect(limited).toThrow(/56 x 40 pixels, the limit maxPixels is 2239/);
    expect(fillPlanes(load("00-sound"), PLAIN, size, out, { maxPixels: 56 * 40 }).scale).toBe(8);
  });

  // Threads run the built module.
  let api: typeof Api;
  beforeAll(async () => {
    api = await importBuilt();
  });
  const files = ["00-sound", ...DAMAGED, ...UNFINISHED, "40-cmyk-adobe-0"];
  const isToldOf = (name: string) => DAMAGED.includes(name) || name.startsWith("53");

  test.each([1, 2])("by a model on %i threads: for each file, with libjpeg's pixels", async (threads) => {
    const options = { threads, preprocess: PLAIN };
    const model = await api.loadModel(writeOnnx(identity(3, size)), options);
    const many = Array.from({ length: 4 }, () => files).flat();
    const results = await model.run(many.map(load));
    const streamed: Api.JpegResult[] = [];
    for await (const result of model.stream(many.map(load))) streamed.push(result);
    await model.close();
    for (const list of [results, streamed])
      list.forEach((result, index) => {
        const name = many[index] as string;
        expect(result.error, name).toBeUndefined();
        expect(result.damage !== undefined, name).toBe(isToldOf(name));
        expect(result.outputs?.planes?.data).toEqual(filled(load(name), PLAIN, size, TOLERANT));
      });
  });

  test("by threads that only make planes, as with an accelerator", async () => {
    const module = new URL("../packages/node/dist/runtime/pool.js", import.meta.url);
    const { openPool } = (await import(module.href)) as typeof PoolModule;
    const { metadata, assumed, ...network } = await openNetwork(writeOnnx(identity(3, size)), {
      preprocess: PLAIN,
    });
    const pool = openPool({ network, batch: 1, session: undefined, threads: 1 });
    for (const name of files) {
      const { planes, damage } = await pool.submit(load(name));
      expect(planes, name).toEqual(filled(load(name), PLAIN, size, TOLERANT));
      expect(damage !== undefined, name).toBe(isToldOf(name));
    }
    await pool.close();
  });

  test.each([1, 2])("by a strict model on %i threads, and by one with a limit of pixels", async (threads) => {
    const options = { threads, preprocess: PLAIN };
    const strict = await api.loadModel(writeOnnx(identity(3, size)), { ...options, strict: true });
    const results = await strict.run(files.map(load));
    files.forEach((name, index) => {
      expect(results[index]?.error?.name, name).toBe(isToldOf(name) ? "JpegError" : undefined);
      expect(results[index]?.damage).toBeUndefined();
    });
    await strict.close();
    const limited = await api.loadModel(writeOnnx(identity(3, size)), { ...options, maxPixels: 2239 });
    const [refused] = await limited.run([load("00-sound")]);
    expect(refused?.error?.message).toMatch(/the limit maxPixels is 2239/);
    await limited.close();
    const nonsense = api.loadModel(writeOnnx(identity(3, size)), { maxPixels: 0 });
    await expect(nonsense).rejects.toThrow("maxPixels is 0, expected a whole number from 1");
  });
});

describe("on the command line", () => {
  const MAIN = path("../packages/cli/dist/main.js");
  const MODEL = path("../packages/experiments/models/mnist-resnet.onnx");
  const jpegDomain = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
      cwd: path("cases/jpeg"),
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const FILES = ["00-sound.jpg", "05-truncated-half.jpg", "21-missing-rst.jpg", "40-cmyk-adobe-0.jpg"];
  /** The model pads by 2 on each side. */
  const PREPARED = ["--size", "28x28"];

  test("classify warns of each damaged file, and counts them", () => {
    const { status, stdout, stderr } = jpegDomain("classify", MODEL, ...FILES, ...PREPARED);
    expect(stdout.trimEnd().split("\n")).toHaveLength(4);
    expect(stderr).toMatch(
      /^warning: 05-truncated-half.jpg is damaged: byte 867: found the end of the file/m,
    );
    expect(stderr.match(/^warning: /gm)).toHaveLength(2);
    expect(stderr).toMatch(/^4 of 4 files, 0 failed, 2 damaged$/m);
    expect(status).toBe(0);
  });

  test("classify says it in its JSON lines", () => {
    const { status, stdout, stderr } = jpegDomain("classify", MODEL, ...FILES, ...PREPARED, "--jsonl");
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { file: string; top?: object[]; damage?: object[] });
    expect(lines.map(({ damage }) => damage !== undefined)).toEqual([false, true, true, false]);
    expect(lines[1]?.damage?.[0]).toEqual({
      message: expect.stringMatching(/^byte 867/) as string,
      offset: 867,
    });
    expect(lines.every(({ top }) => top?.length === 5)).toBe(true);
    expect(stderr).not.toMatch(/^warning/m);
    expect(status).toBe(0);
  });

  test("classify --strict and --max-pixels", () => {
    const strict = jpegDomain("classify", MODEL, ...FILES, ...PREPARED, "--strict");
    expect(strict.stderr.match(/^error: /gm)).toHaveLength(2);
    expect(strict.stderr).toMatch(/^4 of 4 files, 2 failed$/m);
    expect(strict.status).toBe(1);
    const limited = jpegDomain("classify", MODEL, "00-sound.jpg", ...PREPARED, "--max-pixels", "2239");
    expect(limited.stderr).toMatch(/^error: 00-sound.jpg: .*the limit maxPixels is 2239$/m);
    expect(limited.status).toBe(1);
    expect(jpegDomain("classify", MODEL, "00-sound.jpg", "--max-pixels", "0").status).toBe(2);
  });

  test("compare runs sharp and ours on damaged and CMYK files, and has the same options", () => {
    const args = ["compare", MODEL, ...FILES, ...PREPARED, "--rounds", "1", "--json"];
    const { status, stdout } = jpegDomain(...args);
    const result = JSON.parse(stdout) as { failed: number; damaged: number; files: object[] };
    expect(result).toMatchObject({ failed: 0, damaged: 2 });
    expect(result.files.map((row) => "damage" in row)).toEqual([false, true, true, false]);
    expect(status).toBe(0);
    const strict = JSON.parse(jpegDomain(...args, "--strict").stdout) as { failed: number };
    expect(strict.failed).toBe(2);
    const limited = JSON.parse(jpegDomain(...args, "--max-pixels", "99").stdout) as { failed: number };
    expect(limited.failed).toBe(4);
  });

  test("inspect and coefficients continue after damage with --tolerant, and have a limit of pixels", () => {
    const [, file = ""] = FILES;
    expect(jpegDomain("inspect", file).stderr).toMatch(/^error: 05-truncated-half.jpg: byte 867/);
    const { stdout } = jpegDomain("inspect", file, "--tolerant");
    expect(stdout).toMatch(/^05-truncated-half.jpg: 56x40 pixels/);
    expect(stdout).toMatch(/^ {2}damage {7}byte 867: found the end of the file/m);
    const npz = ["coefficients", file, "--out", path("../out/damaged.npz")];
    expect(jpegDomain(...npz).status).toBe(1);
    const { status, stderr } = jpegDomain(...npz, "--tolerant");
    expect(stderr).toMatch(/^warning: 05-truncated-half.jpg is damaged: byte 867: .*, and in 1 more place$/m);
    expect(status).toBe(0);
    for (const command of [["inspect", file], npz])
      expect(jpegDomain(...command, "--tolerant", "--max-pixels", "2239").stderr).toMatch(
        /maxPixels is 2239/,
      );
  });
});
