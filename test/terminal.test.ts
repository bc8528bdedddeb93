import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeImageSet } from "./image-set.js";
import { describeWith } from "./jpeg/tools.js";
import { mnistJpegs, picture } from "./runtime-material.js";
import { HAS_TERMINAL, MAIN, onTerminal } from "./terminal.js";

const NOTEBOOK = ["--mean", "0.1307", "--std", "0.3081"];
const LIMIT = { timeout: 120_000 };
const BAR = /[█░]/;
const COLOR = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`);

let folder: string;
beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-terminal-"));
  await copyFile(
    fileURLToPath(new URL("../packages/experiments/models/mnist-resnet.onnx", import.meta.url)),
    join(folder, "m.onnx"),
  );
  await mkdir(join(folder, "digits"));
  await mkdir(join(folder, "many"));
  const { files } = await mnistJpegs(6, 95);
  await Promise.all(files.map((file, i) => writeFile(join(folder, `digits/${i}.jpg`), file)));
  for (let i = 0; i < 3000; i++)
    await writeFile(join(folder, `many/${10000 + i}.jpg`), files[i % 6] as Uint8Array);
  await writeFile(join(folder, "bad.jpg"), (files[0] as Uint8Array).subarray(0, 100));
  await writeFile(join(folder, "photo.jpg"), picture(100, 60));
  await writeImageSet(join(folder, "set"), 300, 60);
});
afterAll(() => rm(folder, { recursive: true }));

/** A command, and lines that it must print, in this order. */
const COMMANDS: [command: string, lines: RegExp[], code?: number][] = [
  [
    "train --data set --epochs 2 --out trained.onnx",
    [
      /^epoch 1 of 2: test \d+ of 60 \(/,
      /^epoch 2 of 2: test \d+ of 60 \(/,
      /^trained\.onnx: \d+ of 60 test images correct .* after 2 epochs, /,
    ],
  ],
  ["convert m.onnx c.onnx", [/^c\.onnx: plan fused, ReLU exact/, /^ {2}file {6}\d+ kB/]],
  ["eval m.onnx --limit 2000", [/^m\.onnx \(spatial/, /^ {2}correct {2}1980 of 2000 \(99\.00 %\)/]],
  [
    `compare m.onnx digits --rounds 2 ${NOTEBOOK.join(" ")}`,
    [
      /^6 of 6 files have the same top class/,
      /^median over the files +sharp +jpeg-domain$/,
      /^jpeg-domain is /,
    ],
  ],
  [
    `compare m.onnx bad.jpg digits/0.jpg --rounds 1 ${NOTEBOOK.join(" ")}`,
    [/^error: bad\.jpg: byte \d+/, /^1 of 1 files have/],
    1,
  ],
  [
    "inspect photo.jpg m.onnx",
    [
      /^photo\.jpg: 100x60 pixels/,
      /^m\.onnx: ONNX model/,
      /^block1\.conv1 +Conv +pixels +0\.3 {2}\S/,
      /^total /,
    ],
  ],
  ["coefficients photo.jpg --out p.npz --png p.png", [/^p\.npz: \[8, 13, 64\]/, /^p\.png: /]],
  ["bench", [/^jpeg-domain bench NAME/, /^ {2}codec +read photographs/, /^ {2}train +a training step/]],
  ["", [/^Usage: jpeg-domain/, /^ {2}classify +classify JPEG files/], 2],
  ["nothing", [/^error: unknown command 'nothing' \(see jpeg-domain help\)$/], 2],
  ["eval none.onnx", [/^error: none\.onnx: no such file$/], 1],
  ["eval m.onnx --data none", [/^error: none, byte 0: found no such folder/], 1],
];

describeWith(HAS_TERMINAL, "util-linux's script", "on a terminal", () => {
  describe.each([
    [80, {}],
    [200, {}],
    [80, { NO_COLOR: "1" }],
  ])("of %i columns, %j,", (columns, env) => {
    const run = (command: string | string[], redirect?: string) =>
      onTerminal(typeof command === "string" ? command.split(" ").filter((word) => word) : command, {
        cwd: folder,
        columns,
        env,
        ...(redirect && { redirect }),
      });

    test.each(COMMANDS)("jpeg-domain %s", LIMIT, async (command, expected, code = 0) => {
      const seen = await run(command);
      const places = expected.map((line) => seen.lines.findIndex((text) => line.test(text)));
      expect(places, seen.lines.join("\n")).not.toContain(-1);
      expect(places).toEqual([...places].sort((a, b) => a - b));
      // Long file names and sentences are broken across lines; tables, lists and bars must not be.
      expect(seen.broken.filter((line) => !/assumed|^error: |^ {2}first/.test(line))).toEqual([]);
      expect(seen.lines.join("\n")).not.toMatch(BAR);
      expect(seen.raw).not.toMatch(COLOR);
      expect(seen.isCursorShown).toBe(true);
      expect(seen.code).toBe(code);
      await rm(join(folder, "trained.checkpoint.onnx"), { force: true });
    });

    test("classify shows each file's own name, and counts all of them", LIMIT, async () => {
      const seen = await run(["classify", "m.onnx", "digits", "bad.jpg", ...NOTEBOOK]);
      const lines = seen.lines.filter((line) => /^digits\/\d\.jpg: /.test(line));
      expect(lines.map((line) => line.slice(0, 14))).toEqual(
        ["7", "2", "1", "0", "4", "1"].map((digit, i) => `digits/${i}.jpg: ${digit}`.slice(0, 14)),
      );
      expect(lines.map((line) => /: (\d)/.exec(line)?.[1])).toEqual(["7", "2", "1", "0", "4", "1"]);
      expect(seen.lines.filter((line) => line.startsWith("error"))).toEqual([
        expect.stringMatching(/^error: bad\.jpg: byte \d+/) as string,
      ]);
      expect(seen.lines.at(-1)).toBe("7 of 7 files, 1 failed");
      expect(seen.lines.join("\n")).not.toMatch(BAR);
      expect(seen.code).toBe(1);
    });

    test("JSON lines stay whole, with a bar below them", LIMIT, async () => {
      const seen = await run(["classify", "m.onnx", "digits", "--jsonl", ...NOTEBOOK]);
      const lines = seen.lines.filter((line) => line.startsWith("{"));
      expect(lines.map((line) => (JSON.parse(line) as { file: string }).file)).toEqual(
        [0, 1, 2, 3, 4, 5].map((i) => `digits/${i}.jpg`),
      );
      expect(seen.lines.join("\n")).not.toMatch(BAR);
      expect(seen.raw).toMatch(BAR);
    });

    test("bars are only on standard error", LIMIT, async () => {
      const command = ["classify", "m.onnx", "digits", ...NOTEBOOK];
      const shown = await run(command, ">out.txt");
      expect(shown.raw).toMatch(BAR);
      expect(shown.lines.at(-1)).toBe("6 of 6 files, 0 failed");
      const out = await readFile(join(folder, "out.txt"), "utf8");
      expect(out).toMatch(/^(digits\/\d\.jpg: \d [\d %.,]+\n){6}$/);
      const hidden = await run(command, "2>err.txt");
      expect(hidden.raw.replaceAll("\r", "")).toBe(out);
      expect(await readFile(join(folder, "err.txt"), "utf8")).not.toMatch(BAR);
    });
  });

  test.each<[string[], RegExp[]]>([
    [
      ["train", "--data", "set", "--epochs", "200", "--out", "long.onnx"],
      [
        /^stopped after step \d+ of 600; saved in long\.checkpoint\.onnx\. To continue:$/,
        /jpeg-domain train .*--resume/,
      ],
    ],
    [
      ["classify", "m.onnx", "many", "--threads", "1", "--batch", "1", ...NOTEBOOK],
      [/^\d+ of 3000 files, 0 failed$/],
    ],
    [
      ["compare", "m.onnx", "many", ...NOTEBOOK],
      [/^stopped after \d+ of 3000 files$/, /^jpeg-domain is /],
    ],
    [["eval", "m.onnx"], []],
    [
      ["demo", "--data", "set", "--no-exploded", "--out", "story"],
      [/^evaluate the spatial model: \d+ of 60/],
    ],
  ])("Ctrl-C ends %j", LIMIT, async (command, expected) => {
    const started = command[0] === "demo" ? /sweep.*[█░]/ : BAR;
    const seen = await onTerminal(command, { cwd: folder, interrupt: started });
    for (const line of expected)
      expect(
        seen.lines.some((text) => line.test(text)),
        seen.lines.join("\n"),
      ).toBe(true);
    expect(seen.lines.join("\n")).not.toMatch(BAR);
    expect(seen.isCursorShown).toBe(true);
    expect(seen.code).toBe(130);
  });
});
