/** Models that ask for far more memory or time than their size, or break an assumption: refused in one line, or read correctly. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { convert } from "../packages/conversion/src/convert/convert.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32 } from "../packages/conversion/src/onnx/graph.js";
import { openClassifier } from "../packages/node/src/runtime/classifier.js";
import { MODELS } from "./hostile/models.js";

const CHILD = fileURLToPath(new URL("hostile/child.mjs", import.meta.url));
const CASES = fileURLToPath(new URL("cases/hostile", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "hostile-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Limits for each API that takes a model: processor time, and memory beyond what the process had before. */
const MOST_MILLISECONDS = 1000;
const MOST_MEGABYTES = 200;
/** Valid models with so many nodes that they take longer, in ONNX Runtime too. */
const LARGE = new Set([
  "manyNodes",
  "sameHint",
  "outputs",
  "outputsOfOne",
  "outputs_10000",
  "readers",
  "sharedWeight",
]);

interface Line {
  file: string;
  way: string;
  milliseconds: number;
  megabytes: number;
  message?: string;
  isOurs?: boolean;
  stack?: string;
}

function taken(files: string[]): Line[] {
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, ["--expose-gc", CHILD, ...files], {
    encoding: "utf8",
    timeout: 280_000,
    maxBuffer: 2 ** 28,
  });
  const lines = stdout.split("\n").filter((line) => line !== "");
  const last = lines.at(-1)?.slice(0, 200);
  expect(status, `ended by ${signal} after ${last}\n${stderr}`).toBe(0);
  return lines.map((line) => JSON.parse(line) as Line);
}

function check(files: string[]): void {
  for (const { file, way, milliseconds, megabytes, message, isOurs, stack } of taken(files)) {
    const name = basename(file, ".onnx");
    const most = LARGE.has(name) ? 4 * MOST_MILLISECONDS : MOST_MILLISECONDS;
    if (message !== undefined) {
      expect(isOurs, `${name}, ${way}: ${stack}`).toBe(true);
      expect(message, `${name}, ${way}`).not.toMatch(/[\n\r]/);
      expect(message.length, `${name}, ${way}: ${message.slice(0, 200)}`).toBeLessThan(1000);
    }
    expect(milliseconds, `${name}, ${way}: milliseconds`).toBeLessThan(most);
    expect(megabytes, `${name}, ${way}: megabytes`).toBeLessThan(MOST_MEGABYTES);
  }
}

/** Models per process: starting the process takes most of its time. */
const TOGETHER = 12;

const chunks = (names: string[]): string[][] =>
  Array.from({ length: Math.ceil(names.length / TOGETHER) }, (_, i) =>
    names.slice(TOGETHER * i, TOGETHER * (i + 1)),
  );

describe("hostile models are refused in one line or read, at once and without memory", () => {
  const files = readdirSync(CASES).filter((name) => name.endsWith(".onnx"));
  test.each(chunks(files))("%s …", { timeout: 300_000 }, (...names) =>
    check(names.map((name) => join(CASES, name))),
  );

  test.each(chunks(Object.keys(MODELS)))("%s …", { timeout: 300_000 }, (...names) => {
    const made = names.map((name) => {
      const file = join(folder, `${name}.onnx`);
      writeFileSync(file, MODELS[name]?.() ?? "");
      return file;
    });
    check(made);
  });
});

test("a valid model of plan exploded unpacks to far more than its file, and opens", {
  timeout: 120_000,
}, async () => {
  const g = new GraphBuilder("wide");
  const weights = Float32Array.from({ length: 4 * 9 }, (_, i) => Math.sin(i));
  const x = g.input("x", "float32", ["N", 1, 48, 48]);
  const map = g.node("Conv", [x, g.constant("w", float32(weights, [4, 1, 3, 3]))], { pads: [1, 1, 1, 1] });
  g.output(g.node("Flatten", [g.node("GlobalAveragePool", [g.node("Relu", [map])])]), "y", "float32", [
    "N",
    4,
  ]);
  const spatial = writeOnnx(g.build());
  const planes = Float32Array.from({ length: 48 * 48 }, (_, i) => Math.cos(i * i));
  const [expected, logits] = await Promise.all(
    [spatial, convert(spatial, { plan: "exploded" })].map(async (model) => {
      const classifier = await openClassifier(model);
      const made = await classifier.run(classifier.prepare(planes));
      await classifier.close();
      return made;
    }),
  );
  expect(logits).toHaveLength(4);
  for (const [i, value] of (expected as Float32Array).entries())
    expect(Math.abs((logits?.[i] as number) - value)).toBeLessThan(1e-4);
});
