/**
 * The package with the codec, and the one with the conversion, in pages: as files that a plain server sends, and by
 * bundlers at their defaults, none of which may warn. Each page has to find what Node finds.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { encodeJpeg, readCoefficients } from "@jpeg-domain/coefficients";
import { convert } from "@jpeg-domain/conversion";
import * as esbuild from "esbuild";
import * as vite from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webpack from "webpack";
import { hasChromium, outcomeOf, outcomeOfFiles } from "./chromium.js";

const run = promisify(execFile);
const MODEL = "packages/experiments/models/mnist-resnet.onnx";

const planes = [Float32Array.from({ length: 40 * 24 }, (_, at) => 128 + 100 * Math.sin(at))];
const jpeg = encodeJpeg({ width: 40, height: 24, colorSpace: "grayscale", planes }, { quality: 90 });
/** Of bytes or numbers: enough to see that all are the same. */
const sum = (values: ArrayLike<number>) =>
  Array.from(values).reduce((all, value, at) => (all * 31 + value * (at + 1)) % 1_000_003, 7);

const script = (body: string) => `
const sum = (values) => Array.from(values).reduce((all, value, at) => (all * 31 + value * (at + 1)) % 1_000_003, 7);
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
${body}
const outcome = document.createElement("pre");
outcome.textContent = JSON.stringify(found);
document.body.append(outcome);`;
const base64 = (bytes: Uint8Array) => JSON.stringify(Buffer.from(bytes).toString("base64"));

let folder: string;
let codec: string;
let conversion: string;
let expected: { codec: number; conversion: number };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-bundlers-"));
  const names = ["@jpeg-domain/coefficients", "@jpeg-domain/conversion"];
  const workspaces = names.map((name) => `--workspace=${name}`);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
  const packing = ["pack", ...workspaces, "--silent", "--ignore-scripts", "--pack-destination", folder];
  const files = (await run("npm", packing, { env })).stdout
    .trim()
    .split("\n")
    .map((name) => `./${name}`);
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const options = ["--prefer-offline", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...options, ...files], { cwd: folder, env });
  const model = await readFile(MODEL);
  codec = script(`import { readCoefficients } from "@jpeg-domain/coefficients";
const found = sum(readCoefficients(bytes(${base64(jpeg)})).components[0].coefficients);`);
  conversion = script(`import { convert } from "@jpeg-domain/conversion";
const found = sum(convert(bytes(${base64(model)}), { plan: "blockwise" }));`);
  expected = {
    codec: sum(readCoefficients(jpeg).components[0]?.coefficients ?? []),
    conversion: sum(convert(model, { plan: "blockwise" })),
  };
  await writeFile(join(folder, "codec.js"), codec);
  await writeFile(join(folder, "conversion.js"), conversion);
  await writeFile(join(folder, "index.html"), page("/codec.js"));
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

const page = (source: string) =>
  `<!doctype html><html><body><script type="module" src="${source}"></script></body></html>`;

/** What a page with this bundle finds. */
async function inPage(bundle: string | Uint8Array): Promise<unknown> {
  return outcomeOfFiles(folder, { "/": page("/bundle.js"), "/bundle.js": bundle });
}

test.skipIf(!hasChromium)("no bundler: the codec by an import of its file", async () => {
  const plain = codec.replace(
    '"@jpeg-domain/coefficients"',
    '"/node_modules/@jpeg-domain/coefficients/dist/index.js"',
  );
  const html = `<!doctype html><body><script type="module">${plain}</script></body>`;
  expect(await outcomeOfFiles(folder, { "/": html })).toBe(expected.codec);
});

describe.each(["codec", "conversion"] as const)("%s", (what) => {
  const entry = () => join(folder, `${what}.js`);

  test("esbuild", async () => {
    const { warnings, outputFiles } = await esbuild.build({
      entryPoints: [entry()],
      bundle: true,
      format: "esm",
      write: false,
      absWorkingDir: folder,
      logLevel: "silent",
    });
    expect(warnings).toEqual([]);
    if (hasChromium) expect(await inPage(outputFiles[0]?.contents as Uint8Array)).toBe(expected[what]);
  });

  test("Vite, build", async () => {
    const { logger, said } = listening();
    const built = await vite.build({
      root: folder,
      configFile: false,
      customLogger: logger,
      build: { write: false, rollupOptions: { input: entry() } },
    });
    expect(said).toEqual([]);
    const [bundle] = (built as vite.Rolldown.RolldownOutput).output;
    if (hasChromium) expect(await inPage(bundle.code)).toBe(expected[what]);
  });

  test.skipIf(!hasChromium)("Vite, dev", async () => {
    const { logger, said } = listening();
    await writeFile(join(folder, "index.html"), page(`/${what}.js`));
    const cacheDir = join(folder, `.vite-${what}`);
    const server = await vite.createServer({
      root: folder,
      configFile: false,
      customLogger: logger,
      cacheDir,
      server: { host: "127.0.0.1", port: 0 },
    });
    try {
      await server.listen();
      const [address = ""] = server.resolvedUrls?.local ?? [];
      expect(await outcomeOf(address)).toBe(expected[what]);
    } finally {
      await server.close();
    }
    expect(said).toEqual([]);
  });

  test("webpack", { timeout: 120_000 }, async () => {
    const path = join(folder, `webpack-${what}`);
    await mkdir(path);
    const stats = await new Promise<webpack.Stats | undefined>((done, failed) => {
      webpack(
        // Its own advice on sizes is about the model that this test puts into the page.
        { mode: "production", context: folder, entry: entry(), output: { path }, performance: false },
        (error, result) => (error ? failed(error) : done(result)),
      );
    });
    expect(stats?.toJson({ all: false, warnings: true, errors: true })).toMatchObject({
      warnings: [],
      errors: [],
    });
    if (hasChromium) expect(await inPage(await readFile(join(path, "main.js")))).toBe(expected[what]);
  });
});

/** A logger of Vite's that keeps its warnings and errors. */
function listening(): { logger: vite.Logger; said: string[] } {
  const said: string[] = [];
  const keep = (text: string) => void said.push(text);
  const logger = vite.createLogger("warn");
  return { logger: { ...logger, warn: keep, warnOnce: keep, error: keep }, said };
}
