import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mnistJpegs } from "./runtime-material.js";
import { HAS_TERMINAL, MAIN, onTerminal } from "./terminal.js";

const MODEL = fileURLToPath(new URL("../models/mnist-resnet.onnx", import.meta.url));
const NOTEBOOK = ["--mean", "0.1307", "--std", "0.3081"];
const LIMIT = { timeout: 120_000 };

let folder: string;
beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-terminal-"));
  await mkdir(join(folder, "digits"));
  const { files } = await mnistJpegs(6, 95);
  await Promise.all(files.map((file, i) => writeFile(join(folder, `digits/${i}.jpg`), file)));
});
afterAll(() => rm(folder, { recursive: true }));

describe.skipIf(!HAS_TERMINAL)("on a terminal", () => {
  const digits = /^digits\/\d\.jpg: /;

  test.each([
    [80, {}],
    [200, {}],
    [80, { NO_COLOR: "1" }],
  ])(
    "classify, %i columns, %j: each file's own name, and all of them counted",
    LIMIT,
    async (columns, env) => {
      const seen = await onTerminal(["classify", MODEL, "digits", ...NOTEBOOK], {
        cwd: folder,
        columns,
        env,
      });
      const lines = seen.lines.filter((line) => digits.test(line));
      expect(lines.map((line) => line.slice(0, 12))).toEqual(
        [0, 1, 2, 3, 4, 5].map((i) => `digits/${i}.jpg`),
      );
      expect(lines.map((line) => /: (\d)/.exec(line)?.[1])).toEqual(["7", "2", "1", "0", "4", "1"]);
      expect(seen.lines.at(-1)).toBe("6 of 6 files, 0 failed");
      expect(seen.code).toBe(0);
    },
  );
});
