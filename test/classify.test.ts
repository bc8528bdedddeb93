import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JpegComponent } from "../packages/coefficients/src/jpeg/image.js";
import { readCoefficients } from "../packages/coefficients/src/jpeg/read.js";
import { writeCoefficients } from "../packages/coefficients/src/jpeg/write.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { loadSplit } from "../packages/experiments/src/data/mnist.js";
import { mnistJpegs, picture } from "./runtime-material.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path("../packages/cli/dist/main.js");
const MODEL = path("../packages/experiments/models/mnist-resnet.onnx");
const NOTEBOOK = ["--mean", "0.1307", "--std", "0.3081"];

let folder: string;
let labels: Uint8Array;
beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-classify-"));
  labels = (await loadSplit(undefined, "test")).labels;
  await mkdir(join(folder, "digits/more"), { recursive: true });
  const { files } = await mnistJpegs(6, 95, 0);
  const names = [
    "digits/a.jpg",
    "digits/b.JPEG",
    "digits/c.jfif",
    "digits/more/d.jpg",
    "digits/more/e.jpe",
    "f.txt",
  ];
  await Promise.all(names.map((name, i) => writeFile(join(folder, name), files[i] as Uint8Array)));
  await writeFile(join(folder, "digits/notes.txt"), "no picture");
  await writeFile(join(folder, "bad.jpg"), (files[0] as Uint8Array).subarray(0, 100));
});
afterAll(() => rm(folder, { recursive: true }));

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command. Every few milliseconds `interrupt` says whether to press Ctrl-C, once. */
function jpegDomain(args: string[], interrupt?: (stderr: string) => boolean): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data;
  });
  const timer = setInterval(() => {
    if (interrupt?.(stderr) && child.kill("SIGINT")) clearInterval(timer);
  }, 3);
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => {
      clearInterval(timer);
      done({ code, stdout, stderr });
    });
  });
}

interface Line {
  file: string;
  top?: { class: number; label?: string; probability: number }[];
  error?: string;
  by?: Record<string, string | number>;
}

const classify = (...args: string[]) => jpegDomain(["classify", MODEL, ...args, ...NOTEBOOK]);
const parse = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("classify", () => {
  test("names files, folders and globs, each file once, with its classes", async () => {
    const { code, stdout, stderr } = await classify(
      "./f.txt",
      "f.txt",
      "digits",
      "**/*.jp*g",
      "--jsonl",
      "--top",
      "2",
    );
    expect(stderr).not.toContain("assumed");
    const lines = parse(stdout);
    expect(lines.map(({ file }) => file)).toEqual(
      [
        "f.txt",
        "digits/a.jpg",
        "digits/b.JPEG",
        "digits/c.jfif",
        "digits/more/d.jpg",
        "digits/more/e.jpe",
        "bad.jpg",
      ].map((file) => join(file)),
    );
    const classes = lines.slice(0, 6).map(({ top }) => top?.[0]?.class);
    expect(classes).toEqual([5, 0, 1, 2, 3, 4].map((i) => labels[i]));
    for (const { top } of lines.slice(0, 6)) {
      expect(top).toHaveLength(2);
      expect(top?.[0]?.probability).toBeGreaterThan(top?.[1]?.probability as number);
    }
    const hash = createHash("sha256")
      .update(await readFile(MODEL))
      .digest("hex");
    const by = {
      model: hash.slice(0, 12),
      preprocess: expect.stringMatching(/^[0-9a-f]{12}$/) as string,
      top: 2,
    };
    expect(lines[6]).toEqual({ file: "bad.jpg", error: expect.stringMatching(/^byte \d+/) as string, by });
    for (const line of lines) expect(line.by).toEqual(by);
    expect(stderr).toMatch(/^7 of 7 files, 1 failed$/m);
    expect(code).toBe(1);
  });

  test("prints lines of text, with labels from lines or JSON", async () => {
    const names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    await writeFile(join(folder, "labels.txt"), `${names.join("\n")}\n`);
    const id2label = Object.fromEntries(names.map((name, i) => [i, name]));
    await writeFile(join(folder, "labels.json"), JSON.stringify({ id2label }));
    for (const file of ["labels.txt", "labels.json"]) {
      const { code, stdout } = await classify("digits/a.jpg", "--top", "1", "--labels", file);
      expect(stdout).toMatch(/^digits\/a\.jpg: seven \d+\.\d %\n$/);
      expect(code).toBe(0);
    }
  });

  test("reports each wrong argument in one line", async () => {
    await writeFile(join(folder, "short.txt"), "zero\none\n");
    await writeFile(join(folder, "long.txt"), "background\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    const gray = readCoefficients(await readFile(join(folder, "digits/a.jpg")));
    const two = [1, 2].map((id) => ({ ...(gray.components[0] as JpegComponent), id }));
    const strange = writeCoefficients({ ...gray, colorSpace: "unknown", components: two });
    await writeFile(join(folder, "two.jpg"), strange);
    await writeFile(join(folder, "small.jpg"), picture(20, 40));
    const g = new GraphBuilder("words");
    g.output(g.node("Relu", [g.input("words", "float32", ["N", 16])]), "y", "float32", ["N", 16]);
    await writeFile(join(folder, "words.onnx"), writeOnnx(g.build()));
    await mkdir(join(folder, "empty"), { recursive: true });
    const cases: [args: string[], line: RegExp, code: number][] = [
      [[MODEL, "empty", "none*.jpg"], /^error: empty, none\*\.jpg: found no JPEG files, expected/, 1],
      [[MODEL, "missing.jpg"], /^error: missing\.jpg: no such file/, 1],
      [[MODEL, "two.jpg"], /^error: two\.jpg: the file has 2 components.*; expected 1 /, 1],
      [
        ["words.onnx", "digits"],
        /^error: words\.onnx: the model's inputs are words: float32 \[N, 16\]; expected/,
        1,
      ],
      [["missing.onnx", "digits"], /^error: missing\.onnx: no such file/, 1],
      [["bad.jpg", "digits"], /^error: bad\.jpg: .*ONNX/i, 1],
      [[MODEL, "digits", "--labels", "short.txt"], /^error: there are 2 labels, the model has 10 classes/, 1],
      [[MODEL, "digits", "--labels", "long.txt"], /^error: there are 11 labels, the model has 10 classes/, 1],
      [[MODEL, "digits", "--provider", "none"], /^error: .*: ONNX Runtime refuses the model: .*none/, 1],
      [[MODEL, "digits", "--resume"], /^error: --resume needs the file to continue/, 2],
      [[MODEL, "digits", "--size", "big"], /^error: option .*Expected pixels/, 2],
      [[MODEL, "digits", "--preprocessor", "labels.missing"], /^error: labels\.missing: no such file/, 1],
    ];
    await Promise.all(
      cases.map(async ([args, line, expected]) => {
        const { code, stderr, stdout } = await jpegDomain(["classify", ...args]);
        const lines = stderr.split("\n").filter((text) => text.startsWith("error"));
        expect(lines, stderr).toHaveLength(1);
        expect(lines[0]).toMatch(line);
        expect(code).toBe(expected);
        expect(stdout).toBe("");
      }),
    );
  });

  test("a file smaller than the crop gets a black border, unless it is enlarged", async () => {
    const config = { do_resize: false, do_center_crop: true, crop_size: 32, do_normalize: false };
    await writeFile(join(folder, "preprocessor_config.json"), JSON.stringify(config));
    const graph = readOnnx(await readFile(MODEL));
    const [input] = graph.inputs;
    // The same network behind the mean of three channels.
    const color = structuredClone(graph.nodes);
    const mean = {
      op: "ReduceMean",
      domain: "",
      name: "gray",
      inputs: ["rgb"],
      outputs: [input?.name as string],
    };
    const attributes = new Map([
      ["axes", { kind: "ints" as const, value: [1] }],
      ["keepdims", { kind: "int" as const, value: 1 }],
    ]);
    const model = writeOnnx({
      ...graph,
      inputs: [{ name: "rgb", type: "float32", shape: ["N", 3, 32, 32] }],
      nodes: [{ ...mean, attributes }, ...color],
    });
    await writeFile(join(folder, "color.onnx"), model);
    await writeFile(join(folder, "small.jpg"), picture(20, 40));
    await writeFile(join(folder, "large.jpg"), picture(50, 40));
    const args = ["small.jpg", "large.jpg", "--preprocessor", "preprocessor_config.json", "--jsonl"];
    const { code, stdout, stderr } = await jpegDomain(["classify", "color.onnx", ...args]);
    expect(stderr).not.toContain("assumed");
    const [small, large] = parse(stdout);
    expect(small?.top).toHaveLength(5);
    expect(large?.top).toHaveLength(5);
    expect(code).toBe(0);
  });
});

describe("interrupted work", () => {
  const size = (file: string) => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0;
  const slow = ["--batch", "1", "--threads", "1"];
  beforeAll(async () => {
    await mkdir(join(folder, "many"));
    const { files } = await mnistJpegs(800, 90);
    files[500] = (files[500] as Uint8Array).subarray(0, 100);
    await Promise.all(files.map((file, i) => writeFile(join(folder, `many/${10000 + i}.jpg`), file)));
  });

  test("--resume continues, and gives the same file as work that was not interrupted", async () => {
    const whole = await classify("many", "--out", "out/whole.jsonl", ...slow);
    expect(whole.code).toBe(1);
    expect(whole.stderr).toMatch(/^800 of 800 files, 1 failed$/m);
    const args = ["classify", MODEL, "many", "--out", "parts.jsonl", ...slow, ...NOTEBOOK];
    const first = await jpegDomain(args, () => size("parts.jsonl") > 20_000);
    expect(first.code).toBe(130);
    const text = await readFile(join(folder, "parts.jsonl"), "utf8");
    expect(text.endsWith("}\n")).toBe(true);
    const done = parse(text).length;
    expect(done).toBeLessThan(800);
    expect(first.stderr).toMatch(
      new RegExp(`^${done} of 800 files, .*; --resume continues with the others$`, "m"),
    );

    const refused = await jpegDomain(args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error: parts\.jsonl: it already has results; --resume continues/m);

    // The state after a kill in the middle of a line.
    await appendFile(join(folder, "parts.jsonl"), '{"file":"many/1');
    const second = await jpegDomain([...args, "--resume"]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^800 of 800 files, 1 failed$/m);
    const [parts, expected] = await Promise.all(
      ["parts.jsonl", "out/whole.jsonl"].map((file) => readFile(join(folder, file), "utf8")),
    );
    expect(parts).toBe(expected);

    // A failed file is tried again, and has one line whatever the result.
    const third = await jpegDomain([...args, "--resume"]);
    expect(third.stderr).toMatch(/^800 of 800 files, 1 failed$/m);
    const sorted = (text: string) => text.split("\n").sort();
    const later = await readFile(join(folder, "parts.jsonl"), "utf8");
    expect(sorted(later)).toEqual(sorted(expected as string));
    await writeFile(join(folder, "many/10500.jpg"), await readFile(join(folder, "many/10499.jpg")));
    const repaired = await jpegDomain([...args, "--resume"]);
    expect(repaired.code).toBe(0);
    expect(repaired.stderr).toMatch(/^800 of 800 files, 0 failed$/m);
    const lines = parse(await readFile(join(folder, "parts.jsonl"), "utf8"));
    expect(new Set(lines.map(({ file }) => file)).size).toBe(800);
    expect(lines).toHaveLength(800);
    const [before, after] = ["many/10499.jpg", "many/10500.jpg"].map((file) =>
      lines.find((line) => line.file === file),
    );
    expect(after?.top).toEqual(before?.top);
  });

  test("ends quietly when the reader of its output does, whatever its threads are doing", async () => {
    // More lines than a pipe and its reader can hold, so that it cannot end before the reader does.
    const args = [MAIN, "classify", MODEL, "many", "--jsonl", "--top", "10", "--threads", "2", ...NOTEBOOK];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (data: Buffer) => {
      stderr += data;
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const ended = await new Promise((done) => child.on("close", (...how) => done(how)));
    expect(ended).toEqual([141, null]);
    expect(stderr).not.toMatch(/terminate|Napi|Error/);
    const [, done] = /^(\d+) of 800 files, \d failed$/m.exec(stderr) ?? [];
    expect(Number(done)).toBeLessThan(800);
  });

  test("results of another model or other options are not continued, and stay", async () => {
    await writeFile(join(folder, "letters.txt"), "abcdefghij".split("").join("\n"));
    await classify("digits/a.jpg", "--out", "kept.jsonl");
    const kept = await readFile(join(folder, "kept.jsonl"), "utf8");
    const { by } = parse(kept)[0] as Line;
    const other = path("reference/mnist-resnet-pytorch.onnx");
    const cases: [model: string, args: string[], found: string][] = [
      [other, NOTEBOOK, `model ${by?.model}`],
      [MODEL, ["--mean", "0.5", "--std", "0.5"], `preprocess ${by?.preprocess}`],
      [MODEL, [...NOTEBOOK, "--labels", "letters.txt"], "labels none"],
      [MODEL, [...NOTEBOOK, "--top", "3"], "top 5, expected 3"],
    ];
    for (const [model, args, found] of cases) {
      const command = ["classify", model, "digits", "--out", "kept.jsonl", "--resume", ...args];
      const { code, stderr } = await jpegDomain(command);
      const lines = stderr
        .trimEnd()
        .split("\n")
        .filter((line) => line.startsWith("error"));
      expect(lines, stderr).toEqual([expect.stringContaining(`kept.jsonl: line 1 was made with ${found}`)]);
      expect(code).toBe(1);
      expect(await readFile(join(folder, "kept.jsonl"), "utf8")).toBe(kept);
    }
    // Results of other files are continued.
    expect((await classify("digits", "--out", "kept.jsonl", "--resume")).code).toBe(0);
    const more = await readFile(join(folder, "kept.jsonl"), "utf8");
    expect(more.startsWith(kept)).toBe(true);
    expect(parse(more)).toHaveLength(5);
  });

  test("a file with other content is not continued", async () => {
    await writeFile(join(folder, "other.jsonl"), '{"name":1}\n');
    const { code, stderr } = await classify("digits", "--out", "other.jsonl", "--resume");
    expect(stderr).toContain('error: other.jsonl: line 1 is not a result, expected {"file": …}');
    expect(code).toBe(1);
    expect(await readFile(join(folder, "other.jsonl"), "utf8")).toBe('{"name":1}\n');
  });
});

test("compare runs sharp and the spatial model, and ours", async () => {
  const args = ["compare", MODEL, "digits", "bad.jpg", "--rounds", "2", "--json", ...NOTEBOOK];
  const { code, stdout } = await jpegDomain(args);
  const result = JSON.parse(stdout) as Record<string, unknown> & { files: Line[] };
  expect(result).toMatchObject({ files: expect.any(Array) as Line[], failed: 1, sameTop1: 5 });
  expect(result.planeDifference).toBeLessThan(0.5);
  expect(result.files).toHaveLength(6);
  expect(result.files[5]?.error).toMatch(/^byte/);
  expect(result.files[0]).toMatchObject({ sameTop1: true, ours: { total: expect.any(Number) as number } });
  expect(code).toBe(1);
});

test("an interrupted compare prints its results so far", async () => {
  // If a model does not say how images are prepared, compare says so when it starts.
  const graph = readOnnx(await readFile(MODEL));
  graph.metadata.clear();
  await writeFile(join(folder, "old.onnx"), writeOnnx(graph));
  let begun = Number.POSITIVE_INFINITY;
  const { code, stdout, stderr } = await jpegDomain(
    ["compare", "old.onnx", "many", "--rounds", "20", "--json", ...NOTEBOOK],
    (output) => {
      if (output.includes("assumed")) begun = Math.min(begun, performance.now());
      return performance.now() > begun + 500;
    },
  );
  const { files } = JSON.parse(stdout) as { files: Line[] };
  expect(files.length).toBeGreaterThan(0);
  expect(files.length).toBeLessThan(800);
  expect(stderr).toContain(`stopped after ${files.length} of 800 files`);
  expect(code).toBe(130);
});
