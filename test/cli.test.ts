import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readOnnx } from "../packages/conversion/src/onnx/file.js";
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
} from "../packages/conversion/src/onnx/generated/onnx_pb.js";
import { loadSplit } from "../packages/experiments/src/data/mnist.js";
import { writeImageSet } from "./image-set.js";
import { readNpy } from "./reference/arrays.js";
import { picture } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path("../packages/cli/dist/main.js");
const PYTORCH = path("reference/mnist-resnet-pytorch.onnx");
const LIMIT = { timeout: 120_000 };

let folder: string;
beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command. When `interrupt` appears on standard error, presses Ctrl-C. */
function jpegDomain(args: string[], { cwd = folder, interrupt = "" } = {}): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr, interrupted] = ["", "", false];
  child.stdout.on("data", (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data;
    if (interrupt && !interrupted && stderr.includes(interrupt)) interrupted = child.kill("SIGINT");
  });
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

/** The single JSON object on standard output. */
function json({ code, stdout, stderr }: Result): Record<string, unknown> {
  expect(code, stderr).toBe(0);
  expect(stdout.endsWith("}\n")).toBe(true);
  expect(stdout.indexOf("\n")).toBe(stdout.length - 1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("convert and eval", () => {
  test("give PyTorch's answers, from pixels and from coefficients", LIMIT, async () => {
    const { data: logits } = readNpy("spatial_logits.npy");
    const { labels } = await loadSplit(undefined, "test");
    let [correct, loss] = [0, 0];
    for (let i = 0; i < 256; i++) {
      const row = Array.from(logits.subarray(10 * i, 10 * i + 10));
      const label = labels[i] as number;
      if (row.every((value) => value <= (row[label] as number))) correct++;
      loss += Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - (row[label] as number);
    }

    const spatial = json(await jpegDomain(["eval", PYTORCH, "--limit", "256", "--json"]));
    expect(spatial).toMatchObject({ model: PYTORCH, plan: "spatial", relu: "exact", correct, total: 256 });
    expect(spatial.accuracy).toBe(correct / 256);
    expect(Math.abs((spatial.meanLoss as number) - loss / 256)).toBeLessThan(1e-5);
    expect(spatial.imagesPerSecond).toBeGreaterThan(0);

    const out = join(folder, "new/folder/converted.onnx");
    const converted = json(await jpegDomain(["convert", PYTORCH, out, "--json"]));
    expect(converted).toMatchObject({
      input: PYTORCH,
      output: out,
      plan: "fused",
      relu: "exact",
      fileBytes: (await stat(out)).size,
      spatialFileBytes: (await stat(PYTORCH)).size,
    });
    const exact = json(await jpegDomain(["eval", out, "--limit", "256", "--batch", "100", "--json"]));
    expect(exact).toMatchObject({ model: out, plan: "fused", relu: "exact", correct, total: 256 });
    expect(Math.abs((exact.meanLoss as number) - loss / 256)).toBeLessThan(1e-5);
  });

  test("print the same for people in a few lines", LIMIT, async () => {
    const out = join(folder, "asm.onnx");
    const converted = await jpegDomain(["convert", PYTORCH, out, "--relu", "asm:6", "--plan", "blockwise"]);
    expect(converted).toMatchObject({ code: 0, stderr: "" });
    expect(converted.stdout).toMatch(/plan blockwise, ReLU asm:6, converted in \d+ ms/);
    expect(readOnnx(await readFile(out)).inputs[0]?.name).toBe("coefficients");
    const evaluated = await jpegDomain(["eval", out, "--limit", "20"]);
    expect(evaluated.code).toBe(0);
    expect(evaluated.stdout).toMatch(/\(blockwise, ReLU asm:6\)\n {2}correct +\d+ of 20 \(\d+\.\d\d %\)\n/);
  });
});

describe("models", () => {
  /** The PyTorch model with its largest constant in a file beside it. */
  async function apart(name: string, location = "weights/fc.bin"): Promise<string> {
    const proto = fromBinary(ModelProtoSchema, await readFile(PYTORCH));
    const tensors = proto.graph?.initializer ?? [];
    const largest = tensors.reduce((a, b) => (a.rawData.length >= b.rawData.length ? a : b));
    const directory = join(folder, name);
    await mkdir(join(directory, "weights"), { recursive: true });
    await writeFile(join(directory, "weights/fc.bin"), Buffer.concat([Buffer.alloc(16), largest.rawData]));
    const entries = { location, offset: "16", length: String(largest.rawData.length) };
    largest.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
    [largest.dataLocation, largest.rawData] = [1, new Uint8Array(0)];
    const path = join(directory, "model.onnx");
    await writeFile(path, toBinary(ModelProtoSchema, proto));
    return path;
  }

  test(
    "with constants in files beside them are read, converted into one file, and inspected",
    LIMIT,
    async () => {
      const model = await apart("external");
      const [out, whole] = [join(folder, "external.onnx"), join(folder, "whole.onnx")];
      json(await jpegDomain(["convert", model, out, "--json"]));
      json(await jpegDomain(["convert", PYTORCH, whole, "--json"]));
      expect(await readFile(out)).toEqual(await readFile(whole));
      const { files } = json(await jpegDomain(["inspect", model, out, "--plan", "blockwise", "--json"]));
      const [spatial, converted] = files as Record<string, unknown>[];
      expect(spatial).toMatchObject({ kind: "onnx", plan: "blockwise", relu: "exact" });
      const layers = spatial?.layers as { op: string; domain: string }[];
      expect(layers.filter(({ op }) => op === "Conv").every(({ domain }) => domain === "coefficients")).toBe(
        true,
      );
      expect(layers.at(-1)).toMatchObject({ op: "Gemm", domain: "pixels" });
      expect(converted).toMatchObject({ kind: "onnx", converted: { plan: "fused", input: "planes" } });
    },
  );

  test("classify --resume does not mix results if the weights in those files changed", LIMIT, async () => {
    const model = await apart("weights");
    await writeFile(join(folder, "gray.jpg"), picture(32, 32));
    const command = ["classify", model, "gray.jpg", "--out", "weights.jsonl"];
    expect((await jpegDomain(command)).code).toBe(0);
    expect((await jpegDomain([...command, "--resume"])).code).toBe(0);
    const weights = join(folder, "weights/weights/fc.bin");
    await writeFile(weights, (await readFile(weights)).reverse());
    const refused = await jpegDomain([...command, "--resume"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^error: weights\.jsonl: line 1 was made with model [0-9a-f]{12}, expected [0-9a-f]{12}; --resume/m,
    );
  });

  test("with files outside their folder, by path or by link, are refused in one line", LIMIT, async () => {
    const upwards = await jpegDomain(["inspect", await apart("upwards", "../secret.bin")]);
    expect(upwards).toMatchObject({ code: 1, stdout: "" });
    expect(upwards.stderr).toMatch(/^error: .*expected a path inside the model's folder\n$/);
    const linked = await apart("linked", "link.bin");
    await writeFile(join(folder, "secret.bin"), "secret");
    await symlink(join(folder, "secret.bin"), join(folder, "linked/link.bin"));
    const link = await jpegDomain(["convert", linked, join(folder, "x.onnx")]);
    expect(link).toMatchObject({ code: 1, stdout: "" });
    expect(link.stderr).toMatch(/^error: .*"link.bin" is a link to .*, outside the model's folder\n$/);
    const missing = await jpegDomain(["inspect", await apart("missing", "gone.bin")]);
    expect(missing.stderr).toMatch(/^error: .*external file "gone.bin": no such file\n$/);
    const piped = await apart("piped", "pipe");
    if (spawnSync("mkfifo", [join(folder, "piped/pipe")]).status === 0)
      expect((await jpegDomain(["inspect", piped])).stderr).toMatch(
        /^error: .*external file "pipe": it is a pipe, expected a file\n$/,
      );
  });

  test("are shown layer by layer, as a table", LIMIT, async () => {
    const { code, stdout } = await jpegDomain(["inspect", PYTORCH, "--relu", "asm:6"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /ONNX model, ai.onnx \d+, \d+ nodes, [\d,]+ parameters\nimage 1x32x32; .* plan fused, ReLU asm:6/,
    );
    expect(stdout).toMatch(/^layer +operator +domain +million multiply-adds +why$/m);
    expect(stdout).toMatch(/^\S+ +Conv +pixels +\S+ +the inverse transform of the image comes before it/m);
    expect(stdout).toMatch(/^total \S+ million multiply-adds per image, \S+ in the spatial model$/m);
  });
});

describe("train", () => {
  const flags = ["--epochs", "5", "--batch", "8", "--seed", "3", "--out", "model.onnx", "--json"];
  let data: string;
  const place = async (name: string) => {
    await mkdir(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  beforeAll(async () => {
    data = await writeImageSet(join(folder, "digits"), 200, 40);
  });

  test("learns, prints the accuracy, and keeps a checkpoint to resume from", LIMIT, async () => {
    const cwd = await place("learns");
    const run = [
      ...["train", "--data", data, "--limit", "60", "--epochs", "2", "--batch", "10"],
      ...["--schedule", "constant", "--json"],
    ];
    const first = json(await jpegDomain([...run, "--out", "m.onnx"], { cwd }));
    expect(first).toMatchObject({ model: "m.onnx", checkpoint: "m.checkpoint.onnx", steps: 12, total: 40 });
    expect(first.testAccuracy).toBe((first.correct as number) / 40);
    expect((await readdir(cwd)).sort()).toEqual(["m.checkpoint.onnx", "m.onnx"]);

    const longer = run.with(run.indexOf("--epochs") + 1, "3");
    const second = json(await jpegDomain([...longer, "--out", "m.onnx", "--resume"], { cwd }));
    expect(second).toMatchObject({ steps: 18 });
    expect((second.accuracies as number[]).slice(0, 2)).toEqual(first.accuracies);
    const evaluated = json(await jpegDomain(["eval", "m.onnx", "--data", data, "--json"], { cwd }));
    expect(evaluated).toMatchObject({ correct: second.correct, total: 40 });
  });

  test("stopped by Ctrl-C, --resume gives the very same model", { timeout: 300_000 }, async () => {
    const [whole, parts] = [await place("whole"), await place("parts")];
    const command = ["train", "--data", data, ...flags];
    const uninterrupted = json(await jpegDomain(command, { cwd: whole }));

    const stopped = await jpegDomain(command, { cwd: parts, interrupt: "epoch 1 of 5" });
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toBe("");
    const [, step, steps] = /stopped after step (\d+) of (\d+);/.exec(stopped.stderr) ?? [];
    expect(steps).toBe("125");
    expect(Number(step)).toBeGreaterThanOrEqual(25);
    expect(Number(step)).toBeLessThan(125);
    expect(stopped.stderr).toMatch(/jpeg-domain train .*--resume/);
    expect(await readdir(parts)).toEqual(["model.checkpoint.onnx"]);

    const resumed = json(await jpegDomain([...command, "--resume"], { cwd: parts }));
    expect(resumed.accuracies).toEqual(uninterrupted.accuracies);
    const [a, b] = await Promise.all([whole, parts].map((cwd) => readFile(join(cwd, "model.onnx"))));
    expect(Buffer.compare(a as Buffer, b as Buffer)).toBe(0);
  });
});

describe.concurrent("bad arguments: one line, exit status 2:", () => {
  test.each<[string, RegExp]>([
    ["convert in.onnx out.onnx --crop 224", /options for preparing photographs need --input jpeg/],
    ["convert in.onnx out.onnx --relu asm:99", /--relu.*'asm:99' is invalid.*from 0 to 14, found 99/],
    ["convert in.onnx out.onnx --relu asm", /--relu.*'asm' is invalid.*expected exact, asm:N or apx:N/],
    ["convert in.onnx out.onnx --plan foo", /--plan.*'foo' is invalid.*fused, blockwise, exploded/],
    ["convert in.onnx", /missing required argument 'out.onnx'/],
    ["convert", /missing required argument 'in.onnx'/],
    ["convert a.onnx b.onnx c.onnx", /too many arguments.*Expected 2 arguments but got 3/],
    ["eval", /missing required argument 'model.onnx'/],
    ["eval model.onnx --limit 0", /--limit.*'0' is invalid.*whole number from 1/],
    ["eval model.onnx --limit many", /--limit.*'many' is invalid.*whole number from 1/],
    ["eval model.onnx --batch -5", /--batch.*'-5' is invalid.*whole number from 1/],
    ["eval model.onnx --batch", /--batch.*argument missing/],
    ["eval model.onnx --plan fused", /unknown option '--plan'/],
    ["train --epochs 0", /--epochs.*'0' is invalid.*whole number from 1/],
    ["train --limit 1.5", /--limit.*'1.5' is invalid.*whole number from 1/],
    ["train --lr -1", /--lr.*'-1' is invalid.*number above 0/],
    ["train --seed x", /--seed.*'x' is invalid.*whole number from 0/],
    ["train --schedule foo", /--schedule.*'foo' is invalid.*constant/],
    ["train now", /too many arguments/],
    ["demo --nonsense", /unknown option '--nonsense'/],
    ["evla model.onnx", /unknown command 'evla'.*Did you mean eval/],
    ["--nonsense", /unknown option '--nonsense'/],
  ])("%s", LIMIT, async (line, message) => {
    const { code, stdout, stderr } = await jpegDomain(line.split(" "));
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("jpeg-domain help");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

describe.concurrent("work that cannot be done: one line, exit status 1:", () => {
  beforeAll(async () => {
    const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
    await writeFile(join(folder, "picture.png"), png);
    await writeFile(join(folder, "notes.txt"), "These are no weights.\nNor is this.\n");
    await writeFile(join(folder, "empty.onnx"), "");
    await writeFile(join(folder, "cut.onnx"), (await readFile(PYTORCH)).subarray(0, 200_000));
    await mkdir(join(folder, "pictures"));
    await writeFile(join(folder, "pictures/0001.png"), png);
    await writeFile(join(folder, "photo.jpg"), picture(32, 32));
    const whole = await writeImageSet(join(folder, "whole-set"), 20, 20);
    const cut = await writeImageSet(join(folder, "cut-set"), 20, 20);
    const images = await readFile(join(whole, "t10k-images-idx3-ubyte"));
    await writeFile(join(cut, "t10k-images-idx3-ubyte"), images.subarray(0, 5000));
    await mkdir(join(folder, "asfile.onnx"));
  });

  const MODEL = PYTORCH;
  /** Folders that cannot be made inside an existing one. */
  const NO_FOLDERS = [
    ["convert", MODEL, "/proc/none/below/out.onnx"],
    ["coefficients", "photo.jpg", "--out", "/proc/none/below/photo.npz"],
    ["coefficients", "photo.jpg", "--png", "/proc/none/below/photo.png"],
    [
      "classify",
      MODEL,
      "photo.jpg",
      "--size",
      "32x32",
      ...["--mean", "0", "--std", "1"],
      "--out",
      "/proc/none/below/o.jsonl",
    ],
    ["train", "--data", "whole-set", "--out", "/proc/none/below/m.onnx"],
    ["demo", "--data", "whole-set", "--out", "/proc/none/below"],
  ].map((args): [string[], RegExp] => [
    args,
    /^error: \/proc\/none\/below\S* no folder can be made at \/proc\/none, expected a path that can be written to$/,
  ]);
  test.each<[string[], RegExp]>([
    [["convert", "missing.onnx", "out.onnx"], /^error: missing.onnx: no such file$/],
    [["convert", "pictures", "out.onnx"], /^error: pictures: it is a folder, expected a file$/],
    [
      ["convert", "picture.png", "out.onnx"],
      /picture.png: not an ONNX model: found 16 bytes beginning 89 50 4e 47/,
    ],
    [["convert", "notes.txt", "out.onnx"], /notes.txt: not an ONNX model: found 35 bytes/],
    [["convert", "empty.onnx", "out.onnx"], /empty.onnx: not an ONNX model: found 0 bytes/],
    [["convert", "cut.onnx", "out.onnx"], /cut.onnx: not an ONNX model: found 200000 bytes/],
    [["convert", MODEL, "asfile.onnx"], /asfile.onnx: it is a folder, expected a file/],
    [
      ["convert", MODEL, "notes.txt/out.onnx"],
      /notes.txt\/out.onnx: part of the path is a file, expected a folder/,
    ],
    ...(process.platform === "linux" ? NO_FOLDERS : []),
    [["eval", "missing.onnx"], /missing.onnx: no such file/],
    [["eval", "pictures"], /pictures: it is a folder, expected a file/],
    [["eval", "picture.png"], /picture.png: not an ONNX model/],
    [["eval", "cut.onnx"], /cut.onnx: not an ONNX model/],
    [["eval", MODEL, "--data", "nowhere"], /nowhere.*no such folder/],
    [["eval", MODEL, "--data", "pictures"], /pictures.*none of the files looked for.*t10k-images-idx3-ubyte/],
    [
      ["eval", MODEL, "--data", "cut-set"],
      /cut-set\/t10k-images-idx3-ubyte, byte 5000: found the end of the file/,
    ],
    [["train", "--data", "pictures"], /pictures.*none of the files looked for/],
    [["train", "--data", "cut-set"], /t10k-images-idx3-ubyte, byte 5000/],
    [["train", "--data", "notes.txt"], /notes.txt.*expected a folder/],
    [
      ["train", "--data", "whole-set", "--resume", "--out", "new.onnx"],
      /checkpoint new.checkpoint.onnx: no such file/,
    ],
    [
      ["train", "--data", "whole-set", "--out", "notes.txt/m.onnx"],
      /notes.txt\/m.onnx: part of the path is a file, expected a folder/,
    ],
    [["train", "--data", "whole-set", "--epochs", "1", "--out", "asfile.onnx"], /asfile.onnx/],
    [["demo", "--model", "missing.onnx"], /missing.onnx: no such file/],
    [["demo", "--data", "pictures"], /pictures.*none of the files looked for/],
    [["demo", "--model", "picture.png", "--data", "whole-set"], /not an ONNX model/],
  ])("%j", LIMIT, async (args, message) => {
    const { code, stdout, stderr } = await jpegDomain(args);
    // There may be progress lines before it.
    const lines = stderr.trimEnd().split("\n");
    const errors = lines.filter((line) => !/^(epoch|train|eval) |: \d+ training and/.test(line));
    expect(errors, stderr).toEqual([lines.at(-1)]);
    expect(lines.at(-1)).toMatch(message);
    expect(lines.at(-1)).toMatch(/^error: /);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(existsSync(join(folder, "out.onnx"))).toBe(false);
  });
});

test("help and version", LIMIT, async () => {
  const { version } = JSON.parse(await readFile(path("../packages/cli/package.json"), "utf8")) as {
    version: string;
  };
  expect(await jpegDomain(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  const help = await jpegDomain(["help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const command of ["demo", "train", "convert", "eval", "bench"]) expect(help.stdout).toContain(command);
  for (const args of [
    ["help", "convert"],
    ["convert", "--help"],
  ]) {
    const { code, stdout, stderr } = await jpegDomain(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("--relu <kind>");
  }
});
