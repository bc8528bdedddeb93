import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as api from "../src/index.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

test("the package exports the public names, and no others", () => {
  // JPEG files, conversion, the transform tensors, ONNX files, running, training, data, errors.
  expect(Object.keys(api).sort()).toEqual(
    [
      [
        "readCoefficients",
        "readHeader",
        "writeCoefficients",
        "encodeJpeg",
        "planesFromPixels",
        "releasePool",
      ],
      ["sequentialScript", "progressiveScript", "qualityTable", "estimateQuality", "summarizeJpeg"],
      ["JpegError", "JpegImageError", "UnsupportedJpegError"],
      ["convert", "convertGraph", "readMetadata", "readPreprocess", "writePreprocess"],
      ["D", "D_n", "Z", "S", "Si", "B", "J", "Ji", "C", "Ci"],
      ["DEFAULT_TABLE", "ZIGZAG", "compress", "decompress"],
      ["JPEG_INPUTS", "feedsOf", "fillPlanes", "Preprocessor", "PreprocessError"],
      ["loadModel", "topClasses", "TORCHVISION", "checkPreprocess", "parsePreprocessorConfig"],
      ["openClassifier", "evaluate", "compareLogits"],
      ["resnet", "train", "TRAINING"],
      ["loadImageSet", "loadSplit", "planes", "labelledPlanes"],
      ["readOnnx", "writeOnnx", "GraphBuilder", "float", "float32", "int64"],
      ["JpegDomainError", "ConvertError", "TransformError", "OnnxError", "IdxError", "TrainingError"],
      ["CheckpointError"],
    ]
      .flat()
      .sort(),
  );
  for (const error of [
    api.ConvertError,
    api.PreprocessError,
    api.TransformError,
    api.OnnxError,
    api.IdxError,
    api.TrainingError,
  ])
    expect(error.prototype).toBeInstanceOf(api.JpegDomainError);
});

describe("the packed package, in an empty folder", () => {
  let folder: string;
  let files: string[];
  // The user's environment: without this project's npm settings, which npm passes to its scripts.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/onnxruntime[_-]node/i.test(name)),
  );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jpeg-domain-package-"));
    const packing = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const { stdout } = await run("npm", packing, { cwd: ROOT, env });
    const listed = JSON.parse(stdout) as Packed[] | Record<string, Packed>;
    const [packed] = Object.values(listed) as [Packed];
    files = packed.files.map(({ path }) => path);
    await writeFile(
      join(folder, "package.json"),
      JSON.stringify({ name: "empty", private: true, type: "module" }),
    );
    const { stdout: version } = await run("npm", ["--version"], { cwd: folder, env });
    const line = await installLine(Number.parseInt(version, 10));
    const options = { cwd: folder, env: { ...env, npm_config_prefer_offline: "true" } };
    await run("sh", ["-c", line.replace(/ jpeg-domain$/, ` ./${packed.filename}`)], options);
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true }));

  test("holds a README and the licence", () => {
    for (const file of ["README.md", "LICENSE"]) expect(files).toContain(file);
  });

  test("holds what it needs and nothing else", () => {
    for (const file of ["package.json", "models/mnist-resnet.onnx"]) expect(files).toContain(file);
    for (const file of ["dist/src/index.js", "dist/src/index.d.ts", "dist/src/cli/main.js"])
      expect(files).toContain(file);
    const strangers = files.filter(
      (file) =>
        !/^(package\.json|README\.md|LICENSE|models\/.*\.(onnx|json|md|txt)$|dist\/(src|bench)\/.*\.(js|d\.ts)$)/.test(
          file,
        ),
    );
    expect(strangers).toEqual([]);
    expect(files.filter((file) => file.includes("test"))).toEqual([]);
  });

  test("has a command", { timeout: 60_000 }, async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
    const npx = async (...args: string[]) =>
      (await run("npx", ["--no-install", "jpeg-domain", ...args], { cwd: folder, env })).stdout;
    expect(await npx("--version")).toBe(`${version}\n`);
    const model = "node_modules/jpeg-domain/models/mnist-resnet.onnx";
    const result = JSON.parse(await npx("convert", model, "converted.onnx", "--json")) as {
      fileBytes: number;
    };
    expect((await stat(join(folder, "converted.onnx"))).size).toBe(result.fileBytes);
    const evaluated = JSON.parse(await npx("eval", "converted.onnx", "--limit", "100", "--json"));
    expect(evaluated).toMatchObject({ plan: "fused", relu: "exact", total: 100 });
    expect((evaluated as { correct: number }).correct).toBeGreaterThan(95);
  });

  test("is a library with types", { timeout: 60_000 }, async () => {
    const script = `
import { readFile } from "node:fs/promises";
import { compress, convert, type ConvertOptions, decompress, evaluate, labelledPlanes, loadSplit, openClassifier, type Tensor } from "jpeg-domain";

const options: ConvertOptions = { relu: { asm: 10 }, plan: "blockwise" };
const model: Uint8Array = convert(await readFile("node_modules/jpeg-domain/models/mnist-resnet.onnx"), options);
const classifier = await openClassifier(model);
const samples = { ...labelledPlanes(await loadSplit(undefined, "test")), count: 100 };
const { correct } = await evaluate(classifier, samples);
const packed: Tensor = compress(samples.planes(0, 1), [1, 1, 32, 32]);
const { data } = decompress(packed);
const largest = Math.max(...samples.planes(0, 1).map((value, i) => Math.abs(value - (data[i] as number))));
console.log(JSON.stringify({ correct, shape: packed.shape, exact: largest < 1e-5 }));
`;
    await writeFile(join(folder, "script.ts"), script);
    const settings = {
      strict: true,
      target: "es2022",
      module: "nodenext",
      types: ["node"],
      skipLibCheck: true,
    };
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: settings, files: ["script.ts"] }),
    );
    await mkdir(join(folder, "node_modules/@types"), { recursive: true });
    for (const types of ["@types/node", "undici-types"])
      await cp(join(ROOT, "node_modules", types), join(folder, "node_modules", types), {
        recursive: true,
        force: true,
      });
    await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder]);
    const { stdout } = await run(process.execPath, ["script.js"], { cwd: folder });
    const result = JSON.parse(stdout) as { correct: number };
    expect(result).toMatchObject({ shape: [1, 1, 4, 4, 64], exact: true });
    expect(result.correct).toBeGreaterThan(95);
  });
});

/** The README's line that installs the package with this version of npm. */
async function installLine(npm: number): Promise<string> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const lines = Array.from(readme.matchAll(/^- npm ([\d and]+): `(.*npm install jpeg-domain)`\.$/gm));
  const [, , line] =
    lines.find(([, versions = ""]) => versions.split(" and ").map(Number).includes(npm)) ?? [];
  if (line === undefined) throw new Error(`the README does not say how npm ${npm} installs the package`);
  return line;
}

interface Packed {
  filename: string;
  files: { path: string }[];
}
