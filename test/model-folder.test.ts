/** A model hub's folders as models, in the library and in every command that takes a model. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { picture } from "./runtime-material.js";
import { answersTo, planesOf } from "./runtime-reference.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path("../packages/cli/dist/main.js");
const SHIPPED = path("../packages/experiments/models/mnist-resnet.onnx");

let api: typeof Api;
let folder: string;
let onnx: Uint8Array;
const FILE = picture(60, 45);
beforeAll(async () => {
  api = await importBuilt();
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-folder-"));
  onnx = await readFile(path("cases/onnx/classes_second.onnx"));
  await writeFile(join(folder, "a.jpg"), FILE);
});
afterAll(() => rm(folder, { recursive: true }));

const CONFIG = { id2label: { 0: "cat", 1: "dog", 2: "bird", 3: "fish" } };
const PREPROCESSOR = {
  ...{ do_resize: true, size: { height: 32, width: 32 }, resample: 2, do_rescale: true },
  ...{ rescale_factor: 1 / 255, do_normalize: true, image_mean: [0.5, 0.4, 0.3], image_std: [0.2, 0.3, 0.4] },
  image_processor_type: "ViTImageProcessor",
};

let count = 0;
/** Makes a folder of files from bytes, text, or values that become JSON. */
async function made(files: Record<string, Uint8Array | string | object>): Promise<string> {
  const name = `hub-${count++}`;
  for (const [file, content] of Object.entries(files)) {
    const to = join(folder, name, file);
    await mkdir(dirname(to), { recursive: true });
    const isFile = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(to, isFile ? content : JSON.stringify(content));
  }
  return name;
}
const at = (name: string) => join(folder, name);
const command = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", cwd: folder });

describe("loadModel", () => {
  test.each(["onnx/model.onnx", "model.onnx", "onnx/model_fp16.onnx", "model_quantized.onnx", "other.onnx"])(
    "finds %s, its labels and its preprocessing",
    async (file) => {
      const hub = at(
        await made({ [file]: onnx, "config.json": CONFIG, "preprocessor_config.json": PREPROCESSOR }),
      );
      const model = await api.loadModel(hub, { threads: 2 });
      expect(model.labels).toEqual(["cat", "dog", "bird", "fish"]);
      expect(model.assumed).toBeUndefined();
      expect(model.preprocess).toMatchObject({
        resize: { height: 32, width: 32 },
        mean: [0.5, 0.4, 0.3],
        std: [0.2, 0.3, 0.4],
      });
      for await (const { outputs } of model.stream(Array<Uint8Array>(20).fill(FILE))) {
        const size = { channels: 3, height: 32, width: 32 };
        const raw = await answersTo(onnx, planesOf(FILE, model.preprocess, size), size);
        const values = raw.y?.data as number[];
        const best = values.indexOf(Math.max(...values));
        const [top] = api.topClasses(outputs as Api.Outputs, 1, { labels: model.labels });
        expect(top).toMatchObject({ index: best, label: Object.values(CONFIG.id2label)[best] });
        break;
      }
      await model.close();
    },
  );

  test("prefers full precision to variants, and the onnx folder to its parent", async () => {
    const junk = "no model";
    const first = await made({ "onnx/model.onnx": onnx, "model.onnx": junk, "onnx/model_fp16.onnx": junk });
    await (await api.loadModel(at(first))).close();
    const second = await made({
      "model.onnx": onnx,
      "onnx/model_fp16.onnx": junk,
      "onnx/model_q4.onnx": junk,
    });
    await (await api.loadModel(at(second))).close();
  });

  test("a folder without the JSON files: no labels, and the assumptions are reported", async () => {
    const model = await api.loadModel(
      at(await made({ "model.onnx": onnx, "config.json": { model_type: "vit" } })),
    );
    expect(model.labels).toBeUndefined();
    expect(model.assumed).toMatch(/^the model does not say how images are prepared; assumed resize to 32x32/);
    await model.close();
  });

  test("options replace parts of the folder's preprocessing", async () => {
    const hub = at(await made({ "model.onnx": onnx, "preprocessor_config.json": PREPROCESSOR }));
    const model = await api.loadModel(hub, { preprocess: { mean: [0, 0, 0] } });
    expect(model.preprocess).toMatchObject({ mean: [0, 0, 0], std: [0.2, 0.3, 0.4] });
    await model.close();
  });

  test("a converted model in a folder, and one converted on the fly, use the folder's preprocessing", async () => {
    for (const [file, options] of [
      [api.convert(onnx), {}],
      [onnx, { plan: "blockwise" }],
    ] as const) {
      const hub = at(await made({ "model.onnx": file, "preprocessor_config.json": PREPROCESSOR }));
      const model = await api.loadModel(hub, options);
      expect(model.preprocess.mean).toEqual([0.5, 0.4, 0.3]);
      expect(model.assumed).toBeUndefined();
      await model.close();
    }
  });

  test("preprocessing in processor_config.json, and timm's in config.json", async () => {
    const processor = await made({
      "model.onnx": onnx,
      "processor_config.json": { image_processor: PREPROCESSOR },
    });
    const timm = await made({
      "model.onnx": onnx,
      "config.json": {
        pretrained_cfg: {
          ...{ input_size: [3, 32, 32], interpolation: "bilinear", crop_pct: 1, crop_mode: "center" },
          ...{ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
        },
      },
    });
    for (const hub of [processor, timm]) {
      const model = await api.loadModel(at(hub));
      expect(model.preprocess.mean).toEqual([0.5, 0.4, 0.3]);
      expect(model.assumed).toBeUndefined();
      await model.close();
    }
  });

  test.each([
    ["no ONNX file", { "config.json": CONFIG }, /: it is a model folder with config.json but no ONNX file/],
    ["nothing", { "notes.txt": "" }, /: it is a folder, expected a file$/],
    [
      "several",
      { "a.onnx": "", "b.onnx": "" },
      /a folder with 2 ONNX files \(.*a\.onnx, .*b\.onnx\), none called model/,
    ],
    ["config no JSON", { "model.onnx": "", "config.json": "{" }, /: config\.json: found .*, expected JSON$/],
    [
      "config an array",
      { "model.onnx": "", "config.json": "[1]" },
      /: config\.json: found \[1\], expected an object$/,
    ],
    [
      "labels with a gap",
      { "model.onnx": "", "config.json": { id2label: { 0: "a", 2: "b" } } },
      /: config\.json: found 2 names, one under "2" and none under "1"/,
    ],
    [
      "labels of numbers",
      { "model.onnx": "", "config.json": { id2label: [1] } },
      /: config\.json: found 1 as the name/,
    ],
    ["labels of text", { "model.onnx": "", "config.json": { id2label: "x" } }, /: config\.json: found/],
    [
      "preprocessor no JSON",
      { "model.onnx": "", "preprocessor_config.json": "nul" },
      /: preprocessor_config\.json: found .*, expected JSON$/,
    ],
    [
      "preprocessor that is not understood",
      { "model.onnx": "", "preprocessor_config.json": { ...PREPROCESSOR, image_mean: "x" } },
      /: preprocessor_config\.json: image_mean is/,
    ],
    [
      "bytes that are no text",
      { "model.onnx": "", "config.json": Uint8Array.of(0xff, 0xfe) },
      /config\.json: found bytes/,
    ],
    ["an ONNX file that is none", { "model.onnx": "x" }, /not an ONNX model/],
  ] as [string, Record<string, string | Uint8Array | object>, RegExp][])(
    "%s: one line",
    async (_, files, line) => {
      const name = await made(files);
      const error = await api.loadModel(at(name)).catch((reason: unknown) => reason as Error);
      expect(error).toBeInstanceOf(api.JpegDomainError);
      expect((error as Error).message).toMatch(line);
      const { status, stderr } = command("classify", name, "a.jpg");
      expect(status).toBe(1);
      expect(stderr).toMatch(/^error: .*\n$/);
      expect(stderr.trim()).toMatch(line);
    },
  );
});

test("a path through a file, or to nothing, is an error that says so", async () => {
  await expect(api.loadModel(join(folder, "a.jpg", "x"))).rejects.toThrow("part of the path is a file");
  await expect(api.loadModel(join(folder, "missing"))).rejects.toThrow("missing: no such file");
});

describe("commands", () => {
  const hub = () =>
    made({ "onnx/model.onnx": onnx, "config.json": CONFIG, "preprocessor_config.json": PREPROCESSOR });
  const model = path("cases/onnx/classes_second.onnx");

  test("classify prints the labels, and gives the same results as the file with the same preprocessing", async () => {
    const name = await hub();
    const { stdout, stderr, status } = command("classify", name, "a.jpg", "--jsonl");
    expect(status).toBe(0);
    expect(stderr).toContain("y is taken as the classes");
    const preprocessor = join(name, "preprocessor_config.json");
    const labels = join(name, "config.json");
    const other = command(
      "classify",
      model,
      "a.jpg",
      "--jsonl",
      "--preprocessor",
      preprocessor,
      "--labels",
      labels,
    );
    expect(JSON.parse(stdout)).toEqual(JSON.parse(other.stdout));
    expect((JSON.parse(stdout) as { top: { label: string }[] }).top[0]?.label).toMatch(
      /^(cat|dog|bird|fish)$/,
    );
    await writeFile(join(folder, "others.txt"), "a\nb\nc\nd\n");
    expect(command("classify", name, "a.jpg", "--labels", "others.txt").stdout).toMatch(/^a\.jpg: [abcd] /);
  });

  test("convert without a preprocessing of its own keeps the folder's in the file", async () => {
    const name = await hub();
    expect(command("convert", name, "planes.onnx", "--plan", "blockwise").status).toBe(0);
    const model = await api.loadModel(at("planes.onnx"));
    expect(model.assumed).toBeUndefined();
    expect(model.preprocess.mean).toEqual([0.5, 0.4, 0.3]);
    await model.close();
  });

  test("a wrong number of labels is refused", async () => {
    const name = await made({ "model.onnx": onnx, "config.json": { id2label: ["a", "b"] } });
    expect(command("classify", name, "a.jpg")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("there are 2 labels, the model has 4 classes") as string,
    });
  });

  test("convert keeps the preprocessing, and inspect shows it", async () => {
    const name = await hub();
    const { status, stderr } = command("convert", name, "made.onnx", "--input", "jpeg");
    // The model's output y has the name of a file's input; this is the only message.
    expect(status).toBe(0);
    expect(stderr).toMatch(/^hub-\d+: output "y" is renamed "y_output"[^\n]*\n$/);
    const made = await api.loadModel(at("made.onnx"));
    expect(made.assumed).toBeUndefined();
    expect(made.preprocess.mean).toEqual([0.5, 0.4, 0.3]);
    await made.close();
    const inspected = command("inspect", name, "--json");
    const [first] = (JSON.parse(inspected.stdout) as { files: object[] }).files;
    expect(first).toMatchObject({ file: name, kind: "onnx", image: { channels: 3, height: 32, width: 32 } });
    const failed = command("inspect", await made0(), name, "--json");
    expect(failed.status).toBe(1);
    expect((JSON.parse(failed.stdout) as { files: object[] }).files).toHaveLength(2);
  });
  const made0 = () => made({ "config.json": CONFIG });

  test("compare and eval take the folder", async () => {
    const compared = command("compare", await hub(), "a.jpg", "--rounds", "1", "--json");
    expect(JSON.parse(compared.stdout)).toMatchObject({ files: [{ file: "a.jpg", sameTop1: true }] });
    const shipped = await made({ "model.onnx": await readFile(SHIPPED) });
    const evaluated = command("eval", shipped, "--limit", "50", "--json");
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ model: shipped, total: 50 });
  });
});
