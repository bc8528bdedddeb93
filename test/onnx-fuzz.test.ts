import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { modelLines } from "../packages/cli/src/views/model-text.js";
import { JpegDomainError } from "../packages/coefficients/src/errors.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import type { ConvertOptions } from "../packages/conversion/src/convert/options.js";
import { summarizeModel } from "../packages/conversion/src/convert/summary.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { mutated, randomOf } from "./hostile/mutate.js";
import { buildMaps, mapRecipes } from "./reference/random-maps.js";
import { build, recipes } from "./reference/random-networks.js";

/** scripts/fuzz-onnx.mjs sets these for a long run. */
const MODELS = Number(process.env.ONNX_FUZZ_MODELS ?? 3000);
const SEED = Number(process.env.ONNX_FUZZ_SEED ?? 1);
/** The most processor time for a model of a few kilobytes, and the most memory of the process. */
const MOST_MILLISECONDS = 2000;
const MOST_BYTES = 300 * 2 ** 20;

const LARGEST_SEED = 20_000;

/** Models of the tests, and random networks. */
function seeds(): Uint8Array[] {
  const files = ["cases/onnx/", "cases/hostile/"].flatMap((folder) => {
    const url = new URL(folder, import.meta.url);
    return readdirSync(url)
      .filter((name) => name.endsWith(".onnx"))
      .map((name) => new Uint8Array(readFileSync(new URL(name, url))));
  });
  const random = { numRuns: 40, seed: SEED };
  const networks = [
    ...fc.sample(recipes, random).map((recipe) => build(recipe)),
    ...fc.sample(mapRecipes, random).map((recipe) => buildMaps(recipe)),
  ];
  const readable = (file: Uint8Array) => {
    try {
      readOnnx(file);
      return file.length <= LARGEST_SEED;
    } catch {
      return false;
    }
  };
  return [...files, ...networks.map((graph) => writeOnnx(graph))].filter(readable);
}

const OPTIONS: ConvertOptions[] = [
  {},
  { relu: { asm: 6 } },
  { plan: "blockwise" },
  { plan: "blockwise", relu: { apx: 3 } },
  { plan: "exploded", memoryLimit: 1e9 },
  { input: "jpeg" },
  { input: "jpeg", plan: "blockwise", relu: { asm: 9 } },
];

test(`${MODELS} mutated models: no crash, no hang, no error but our own`, {
  timeout: 3_600_000,
}, () => {
  const all = seeds();
  const outcomes = { converted: 0, refused: 0 };
  /** One of each kind. */
  const failures = new Map<string, string>();
  const fail = (what: string, where: string) => {
    const kind = what.split("\n").slice(0, 2).join("\n");
    if (!failures.has(kind)) failures.set(kind, `${what}\n${where}`);
  };
  const base = process.memoryUsage().rss;
  let before: Uint8Array = all[0] as Uint8Array;
  for (let index = 0; index < MODELS; index++) {
    const random = randomOf(SEED * 1_000_003 + index);
    const seed = () => all[random(all.length)] as Uint8Array;
    // Sometimes a mutated model is mutated again.
    const file = mutated(random, random(4) === 0 ? before : seed(), seed());
    const options = OPTIONS[random(OPTIONS.length)] as ConvertOptions;
    const start = process.cpuUsage();
    const details = () =>
      `seed ${SEED}, model ${index}, ${JSON.stringify(options)}\n${Buffer.from(file).toString("base64")}`;
    try {
      const graph = readOnnx(file);
      if (file.length <= LARGEST_SEED) before = file;
      if (random(4) === 0) modelLines(summarizeModel(graph, options));
      else writeOnnx(convertGraph(graph, options).graph);
      outcomes.converted++;
    } catch (error) {
      if (!(error instanceof JpegDomainError)) fail(`${(error as Error).stack}`, details());
      else if (/[\n\r]/.test(error.message)) fail(`more than one line: ${error.message}`, details());
      outcomes.refused++;
    }
    const { user, system } = process.cpuUsage(start);
    if ((user + system) / 1000 > MOST_MILLISECONDS)
      fail("it took too long", `${(user + system) / 1000} ms, ${details()}`);
    if (index % 16 === 0 && process.memoryUsage().rss - base > 2 * MOST_BYTES)
      fail("it takes too much memory", details());
  }
  expect([...failures.values()].join("\n\n")).toBe("");
  // The test must have seen both.
  expect(Math.min(outcomes.converted, outcomes.refused)).toBeGreaterThan(MODELS / 20);
  if (process.env.ONNX_FUZZ_MODELS) console.log(JSON.stringify(outcomes));
});
