import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NotebookReport } from "../packages/experiments/src/report/results.js";
import reference from "./reference/reference.json" with { type: "json" };

const run = promisify(execFile);

let folder: string;
let stdout: string;
let results: NotebookReport;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-demo-"));
  const job = await run(process.execPath, [
    "packages/cli/dist/main.js",
    "demo",
    "--no-exploded",
    "--out",
    folder,
  ]);
  stdout = job.stdout;
  results = JSON.parse(await readFile(join(folder, "results.json"), "utf8")) as NotebookReport;
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the shipped model is correct on at least 98.8 % of the test images, exactly as often from coefficients", () => {
  const { spatial, exact, asm10 } = results;
  expect(spatial.total).toBe(10_000);
  expect(spatial.correct).toBeGreaterThanOrEqual(9880);
  expect(exact).toMatchObject({ total: 10_000, correct: spatial.correct, samePredictions: 10_000 });
  expect(exact.maxLogitDifference).toBeLessThanOrEqual(1e-4);
  expect(asm10.total).toBe(10_000);
  expect(asm10.samePredictions).toBeGreaterThanOrEqual(9_950);
  for (const { imagesPerSecond } of [spatial, exact, asm10]) expect(imagesPerSecond).toBeGreaterThan(0);
});

test("all 70,000 images survive compression and decompression", () => {
  expect(results.reconstructionError).toBeLessThan(1e-6);
});

test("the fused file is at most 64 KB larger than the spatial one", async () => {
  const size = (plan: string) => results.plans.find((entry) => entry.plan === plan)?.fileBytes as number;
  expect(size("spatial")).toBe((await stat("packages/experiments/models/mnist-resnet.onnx")).size);
  expect(size("fused") - size("spatial")).toBeLessThanOrEqual(64 * 1024);
});

test("ASM and APX become exact at n = 14", () => {
  expect(results.frequencies).toHaveLength(30);
  for (const { n, maxLogitDifference } of results.frequencies)
    if (n === 14) expect(maxLogitDifference).toBeLessThanOrEqual(1e-4);
    else expect(maxLogitDifference).toBeGreaterThan(1e-4);
});

test("the error of ASM and of APX against ReLU is the reference's to three digits", () => {
  for (const [frequencies, [asm, apx]] of Object.entries(reference.relu_rmse_asm_apx)) {
    const point = results.rmse.find(({ n }) => n + 1 === Number(frequencies));
    expect(Math.abs((point?.asm as number) - (asm as number)), `ASM ${frequencies}`).toBeLessThan(5e-4);
    expect(Math.abs((point?.apx as number) - (apx as number)), `APX ${frequencies}`).toBeLessThan(5e-4);
  }
});

test("the job stays within 2 GB", () => {
  expect(results.peakBytes).toBeLessThan(2e9);
});

test("the tables fit 80 columns, and a plan's speed agrees with its share of the spatial model's", () => {
  const lines = stdout.split("\n");
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const rows = lines.flatMap((line) => {
    const [, plan, speed = "", share] =
      /^(spatial|fused|blockwise) +\S+ +([\d,]+) +(\d+\.\d{3}) /.exec(line) ?? [];
    return plan === undefined ? [] : [{ speed: Number(speed.replaceAll(",", "")), share: Number(share) }];
  });
  expect(rows).toHaveLength(6);
  const spatial = rows[0]?.speed as number;
  // Both are rounded.
  for (const { speed, share } of rows)
    expect(Math.abs(speed / spatial - share)).toBeLessThan(0.0006 + 1 / spatial);
});

test("the table and the page show the results", async () => {
  const page = await readFile(join(folder, "report.html"), "utf8");
  const correct = results.spatial.correct.toLocaleString("en-US");
  for (const text of [stdout, page]) expect(text).toContain(`${correct} of 10,000`);
  expect(page.match(/<svg /g)?.length).toBeGreaterThanOrEqual(6);
  expect(page.match(/<img /g)?.length).toBeGreaterThanOrEqual(31);
  expect(page).not.toMatch(/(?:src|href)="(?!data:|#)/);
});
