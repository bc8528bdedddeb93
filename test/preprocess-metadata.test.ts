/**
 * What a model says about its preprocessing, and where a centre crop starts. The expected numbers are from torchvision's
 * and Hugging Face's own functions.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeJpeg } from "@jpeg-domain/coefficients";
import {
  ConvertError,
  checkPreprocess,
  convertGraph,
  type Preprocess,
  PreprocessError,
  parsePreprocessorConfig,
  readMetadata,
  readOnnx,
  readPreprocess,
  TORCHVISION,
  writeOnnx,
  writePreprocess,
} from "@jpeg-domain/conversion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { geometry } from "../packages/conversion/src/preprocess/geometry.js";
import { CROP_ROUNDINGS, type CropRounding } from "../packages/conversion/src/preprocess/preprocess.js";
import { loadSplit, planes, preprocessOf } from "../packages/experiments/src/data/mnist.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { writeImageSet } from "./image-set.js";
import { PLAIN, within } from "./jpeg/pixels.js";
import { filled, identity } from "./jpeg/preprocess.js";
import { mnistJpegs } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path("../packages/cli/dist/main.js");
const MODEL = path("../packages/experiments/models/mnist-resnet.onnx");

let folder: string;
let api: typeof Api;
beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  api = await importBuilt();
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-preprocess-"));
});
afterAll(() => rm(folder, { recursive: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

const MNIST = preprocessOf({ rows: 28, columns: 28 });

describe("the package's own model", () => {
  test("classifies digits in JPEG files without options, at their own size or another", async () => {
    const { set, files } = await mnistJpegs(200, 95, 0);
    await mkdir(join(folder, "digits"));
    const name = (i: number) => `digits/${1000 + i}.jpg`;
    await Promise.all(files.map((file, i) => writeFile(join(folder, name(i)), file)));
    const { status, stdout, stderr } = run("classify", MODEL, "digits", "--jsonl", "--top", "1");
    expect(stderr).not.toContain("assumed");
    expect(status).toBe(0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { top: [{ class: number }] });
    expect(lines.filter(({ top }, i) => top[0].class === set.labels[i]).length).toBe(200);

    const large = Array.from({ length: 100 }, (_, i) =>
      enlarged(set.images.subarray(784 * i, 784 * (i + 1)), 5),
    );
    const bordered = (await mnistJpegs(100, 95, 2)).files;
    const model = await api.loadModel(MODEL, { threads: 1 });
    expect(model.assumed).toBeUndefined();
    expect(model.preprocess).toEqual(MNIST);
    for (const others of [large, bordered]) {
      const right = (await model.run(others)).filter(
        ({ outputs }, i) => api.topClasses(outputs as Api.Outputs, 1)[0]?.index === set.labels[i],
      );
      expect(right.length).toBeGreaterThanOrEqual(98);
    }
    await model.close();
  });

  test("has only this and the training's entries in its metadata", async () => {
    const graph = readOnnx(await readFile(MODEL));
    expect([...graph.metadata.keys()].slice(0, -1)).toEqual([
      "command",
      "seed",
      "epochs",
      "testAccuracy",
      "training",
    ]);
    expect(readPreprocess(graph)).toEqual(MNIST);
  });

  test("has it shown by inspect", () => {
    expect(run("inspect", MODEL).stdout).toContain(
      "photographs: resize to 28x28, bilinear, 2 around it, grayscale",
    );
    const { files } = JSON.parse(run("inspect", MODEL, "--json").stdout) as {
      files: [{ preprocess: Preprocess }];
    };
    expect(files[0].preprocess).toEqual(MNIST);
  });

  test.each(["fused", "blockwise", "exploded"] as const)("keeps it when converted, plan %s", async (plan) => {
    const graph = readOnnx(await readFile(MODEL));
    const { set, files } = await mnistJpegs(20, 95, 0);
    for (const input of ["planes", "jpeg"] as const) {
      const { graph: made, assumed } = convertGraph(graph, { plan, input });
      expect(assumed).toBeUndefined();
      expect(readPreprocess(readOnnx(writeOnnx(made)))).toEqual(MNIST);
      expect(readMetadata(made)?.preprocess).toEqual(MNIST);
      // It would need gigabytes.
      if (plan === "exploded") continue;
      const model = await api.loadModel(writeOnnx(made), { threads: 1 });
      expect(model.assumed).toBeUndefined();
      const classes = (await model.run(files)).map(
        ({ outputs }) => api.topClasses(outputs as Api.Outputs, 1)[0]?.index,
      );
      expect(classes).toEqual([...set.labels.subarray(0, 20)]);
      await model.close();
    }
  });

  test("from before metadata had it still works, with options or assumptions", async () => {
    const graph = readOnnx(await readFile(MODEL));
    graph.metadata.delete([...graph.metadata.keys()].at(-1) as string);
    expect(readPreprocess(graph)).toBeUndefined();
    await writeFile(join(folder, "old.onnx"), writeOnnx(graph));
    const { set, files } = await mnistJpegs(20, 95, 2);
    await mkdir(join(folder, "bordered"));
    await Promise.all(files.map((file, i) => writeFile(join(folder, `bordered/${100 + i}.jpg`), file)));
    const ended = run("classify", "old.onnx", "bordered", "--jsonl", "--mean", "0.1307", "--std", "0.3081");
    expect(ended.stderr).toMatch(/assumed resize to 32x32, bilinear, grayscale, mean 0.1307, std 0.3081$/m);
    const classes = ended.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { top: { class: number }[] }).top[0]?.class);
    expect(classes).toEqual([...set.labels.subarray(0, 20)]);
  });
});

/** A digit as a JPEG file whose sides are `times` as long. */
function enlarged(digit: Uint8Array, times: number): Uint8Array {
  const side = 28 * times;
  const plane = Uint8Array.from(
    { length: side * side },
    (_, at) => digit[28 * Math.floor(at / side / times) + Math.floor((at % side) / times)] as number,
  );
  return encodeJpeg({ width: side, height: side, colorSpace: "grayscale", planes: [plane] }, { quality: 95 });
}

test("train says how it prepared images of any size", async () => {
  await writeImageSet(join(folder, "set"), 40, 20);
  const { status, stderr } = run("train", "--data", "set", "--epochs", "1", "--out", "trained.onnx");
  expect(status, stderr).toBe(0);
  const { rows, columns } = await loadSplit(join(folder, "set"), "train");
  const model = readOnnx(await readFile(join(folder, "trained.onnx")));
  expect(readPreprocess(model)).toEqual(preprocessOf({ rows, columns }));
  expect(preprocessOf({ rows: 20, columns: 13 })).toMatchObject({
    resize: { height: 20, width: 13 },
    pad: { top: 2, left: 1, bottom: 2, right: 2 },
  });
});

test("a file's planes are those that training made from the same pixels", async () => {
  const { set, files } = await mnistJpegs(5, 80, 0);
  const plain: Preprocess = { ...PLAIN, channels: "grayscale", mean: [0], std: [1] };
  for (const file of files) {
    const pixels = Uint8Array.from(filled(file, plain, { height: 28, width: 28 }), Math.round);
    const trained = planes({ ...set, count: 1, images: pixels }, [0]);
    within(filled(file, MNIST, { height: 32, width: 32 }), trained, 1e-6, 1e-5, "planes");
  }
});

describe("where a centre crop starts", () => {
  /** Length of the image, length of the crop, and the crop's first pixel in the image, negative if it is padded. */
  const STARTS: Record<CropRounding, [length: number, crop: number, start: number][]> = {
    // torchvision.transforms.functional.center_crop
    even: [
      [455, 224, 116],
      [456, 224, 116],
      [457, 224, 116],
      [343, 224, 60],
      [226, 225, 0],
      [228, 225, 2],
      [230, 225, 2],
      [224, 224, 0],
      [223, 224, 0],
      [222, 224, -1],
      [221, 224, -1],
      [199, 225, -13],
      [1, 4, -1],
    ],
    // transformers.image_transforms.center_crop
    down: [
      [455, 224, 115],
      [456, 224, 116],
      [341, 224, 58],
      [223, 224, -1],
      [222, 224, -1],
      [221, 224, -2],
      [199, 225, -13],
      [1, 4, -2],
      [2, 5, -2],
    ],
    // BaseImageProcessorFast.center_crop
    zero: [
      [455, 224, 115],
      [456, 224, 116],
      [223, 224, 0],
      [222, 224, -1],
      [221, 224, -1],
      [199, 225, -13],
      [1, 4, -1],
      [2, 5, -1],
    ],
  };

  test.each(CROP_ROUNDINGS)("rounded %s, as its source does", (cropRounding) => {
    for (const [length, crop, start] of STARTS[cropRounding]) {
      const { crop: seen, at } = geometry(
        { crop: { height: 1, width: crop }, cropRounding },
        { height: 1, width: length },
      );
      expect(seen.left - at.left, `${length} ${crop}`).toBe(start);
      expect(seen.width).toBe(Math.min(length, crop));
    }
  });

  test("resized sizes are torchvision's and Hugging Face's", () => {
    // torchvision.transforms.functional.resize of an image, with one number
    const sizes: [width: number, height: number, edge: number, resized: [number, number]][] = [
      [455, 256, 256, [455, 256]],
      [641, 427, 256, [384, 256]],
      [427, 641, 224, [224, 336]],
      [1203, 799, 232, [349, 232]],
      [333, 500, 248, [248, 372]],
      [500, 333, 235, [352, 235]],
      [97, 31, 64, [200, 64]],
      [1, 131, 224, [224, 29344]],
      [3, 2, 7, [10, 7]],
    ];
    for (const [width, height, edge, [w, h]] of sizes)
      expect(geometry({ resize: { shortestEdge: edge } }, { width, height }).resized).toEqual({
        width: w,
        height: h,
      });
  });

  test("stripes of two columns, with their number as level, show the first column", async () => {
    const bytes = new Uint8Array(readFileSync(path("cases/jpeg/83-455x256-stripes.jpg")));
    const first = (preprocess: Preprocess) => {
      const plain = { ...preprocess, rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] };
      return filled(bytes, plain, { height: 224, width: 224 }).slice(0, 4);
    };
    const huggingFace = parsePreprocessorConfig({
      image_processor_type: "MobileNetV2ImageProcessor",
      size: { shortest_edge: 256 },
    });
    // The image keeps its size, 455 x 256; half of the remaining width is 115.5.
    within(first(TORCHVISION), [58, 58, 59, 59], 0.6, 1, "torchvision");
    within(first(huggingFace), [57, 58, 58, 59], 0.6, 1, "Hugging Face");
    // Options for other fields keep the model's rounding.
    const size = { height: 224, width: 224 };
    const { cropRounding: _, ...unsaid } = TORCHVISION;
    for (const preprocess of [{ crop: size }, {}] as Partial<Preprocess>[]) {
      const model = await api.loadModel(writeOnnx(identity(3, size)), { threads: 1, preprocess });
      expect(model.preprocess.cropRounding).toBe("even");
      await model.close();
    }
    within(first(unsaid), [57, 58, 58, 59], 0.6, 1, "unsaid is down");
  });
});

describe("checks", () => {
  const given = (fields: object) => () => checkPreprocess({ ...TORCHVISION, ...fields });
  test.each<[string, object, RegExp]>([
    [
      "a field",
      { center_crop: 224 },
      /^preprocess\.center_crop is not known; the fields are precrop, resize, crop/,
    ],
    ["a field of crop", { crop: { height: 1, width: 1, top: 3 } }, /^preprocess\.crop\.top is not known/],
    [
      "two ways to resize",
      { resize: { shortestEdge: 3, height: 4 } },
      /^preprocess\.resize\.height is not known/,
    ],
    ["a rounding", { cropRounding: "up" }, /^preprocess\.cropRounding is "up"; expected down, even, zero$/],
    ["a negative side", { pad: { top: -1 } }, /^preprocess\.pad\.top is -1; expected a whole number from 0/],
    [
      "a level",
      { pad: { top: 1, value: 256 } },
      /^preprocess\.pad\.value is 256; expected a level from 0 to 255$/,
    ],
    [
      "a share",
      { precrop: { height: 1, width: 1.5 } },
      /^preprocess\.precrop\.width is 1\.5; expected a share/,
    ],
    ["a filter", { resample: "cubic" }, /^preprocess\.resample is "cubic"; expected nearest, box, bilinear/],
  ])("refuse %s", (_, fields, message) => {
    expect(given(fields)).toThrow(PreprocessError);
    expect(given(fields)).toThrow(message);
  });

  test("metadata that cannot be read are an error of one line", () => {
    const graph = identity(3, { height: 8, width: 8 });
    writePreprocess(graph, { ...PLAIN, resize: { height: 8, width: 8 } });
    const [key = ""] = graph.metadata.keys();
    for (const text of ["{", "null", "[1]", '{"mean":"x"}', '{"size":3}', '{"std":[0,0,0]}']) {
      graph.metadata.set(key, text);
      expect(() => readPreprocess(graph), text).toThrow(ConvertError);
      expect(() => readPreprocess(graph), text).toThrow(/^the model's metadata[^\n]*$/);
    }
    expect(() => writePreprocess(graph, { ...PLAIN, mean: [1] })).toThrow(/preprocess\.mean is \[1\]/);
  });

  test("huge planes are refused before they are made", async () => {
    const graph = identity(3, { height: 8, width: 8 });
    const inputs = graph.inputs.map((input) => ({ ...input, shape: ["N", 3, "H", "W"] }));
    const side = 16000;
    const pad = { top: 300, left: 300, bottom: 0, right: 0 };
    const model = writeOnnx({ ...graph, inputs });
    const preprocess: Preprocess = { ...PLAIN, crop: { height: side, width: side }, pad };
    await expect(api.loadModel(model, { threads: 1, preprocess })).rejects.toThrow(/images of 16300x16300;/);
  });

  test.each<[string[], object]>([
    [["--pad", "2"], { pad: { top: 2, left: 2, bottom: 2, right: 2 } }],
    [["--pad", "1,2,3,2"], { pad: { top: 1, left: 2, bottom: 3, right: 2 } }],
    [["--crop", "28", "--crop-rounding", "even"], { crop: { height: 28, width: 28 }, cropRounding: "even" }],
    // A size that fills the network needs no padding.
    [["--size", "32x32"], { resize: { height: 32, width: 32 } }],
    [["--no-antialias"], { resample: "bilinear", antialias: false }],
    [["--resample", "hamming", "--channels", "grayscale"], { resample: "hamming", channels: "grayscale" }],
  ])("options %s", async (args, expected) => {
    const out = join(folder, "options.onnx");
    const { status, stderr } = run("convert", MODEL, out, "--input", "jpeg", ...args);
    expect(status, stderr).toBe(0);
    expect(readMetadata(readOnnx(await readFile(out)))?.preprocess).toMatchObject(expected);
  });
});
