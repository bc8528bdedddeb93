/** What benchmarks print if files or peers are missing. Their measurements are not tested here. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorsIn, jpegDomain } from "./commands.js";
import { picture } from "./runtime-material.js";

const LIMIT = { timeout: 120_000 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-bench-"));
  await mkdir(join(folder, "empty"));
});
afterAll(() => rm(folder, { recursive: true }));

const bench = (...args: string[]) => jpegDomain(["bench", ...args], { cwd: join(folder, "empty") });

test.each([
  ["codec", /^error: nothing is measured: there are no files to read$/],
  ["codec --json", /^error: nothing is measured: there are no files to read$/],
  ["codec --only 2MP", /^error: nothing is measured: there are no files whose names contain "2MP" to read$/],
  ["preprocess", /^error: nothing is measured: there are no files to read$/],
  ["models .", /^error: \.: nothing is measured: the folder has no such \.onnx files$/],
  ["models none", /^error: none: no such file$/],
])("bench %s, with nothing to measure, makes no claim and fails", LIMIT, async (line, error) => {
  const ended = await bench(...line.split(" "));
  expect(errorsIn(ended)).toEqual([expect.stringMatching(error)]);
  if (/codec|preprocess/.test(line))
    expect(ended.stderr).toMatch(/^no photographs in .*photographs\.sh downloads them$/m);
  expect(ended.stdout.toString()).toBe("");
  expect(ended.code).toBe(1);
});

test("bench end-to-end, with nothing to measure, names the sections and fails", LIMIT, async () => {
  const ended = await bench("end-to-end", "--only", "folder", "pixels");
  for (const section of ["folder", "pixels"])
    expect(ended.stderr).toMatch(new RegExp(`^not measured, because of the above: ${section}$`, "m"));
  expect(ended.stdout.toString()).toBe("");
  expect(ended.code).toBe(1);
});

test("bench codec with some of its files measures what it can, and says what it cannot", LIMIT, async () => {
  await mkdir(join(folder, "empty/out/bench-codec"), { recursive: true });
  await writeFile(join(folder, "empty/out/bench-codec/some_0.03MP_q80_baseline.jpg"), picture(200, 150));
  const ended = await bench("codec", "--rounds", "1");
  const out = ended.stdout.toString();
  expect(out).toMatch(/^ours is faster by/m);
  expect(out).toMatch(/^sharp's decode +\d/m);
  expect(ended.stderr).toMatch(
    /^not measured, because files or the peer are missing: DC only of a progressive file/m,
  );
  // A required claim was not measured, and not left out on purpose.
  expect(ended.code).toBe(1);
  const part = await bench("codec", "--rounds", "1", "--only", "0.03MP");
  expect(part.code, part.stderr).toBe(0);
});
