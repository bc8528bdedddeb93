/** Names, labels and messages with control characters are shown, but never act on a terminal or a page. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { escapeHtml } from "../packages/cli/src/views/format.js";
import { visible, visibleJson } from "../packages/cli/src/views/visible.js";
import { mnistJpegs } from "./runtime-material.js";
import { MAIN } from "./terminal.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const DIGITS = path("../packages/experiments/models/mnist-resnet.onnx");
const ESCAPE = String.fromCharCode(27);
const EVIL = `${ESCAPE}[31mEVIL${ESCAPE}[0m\n${ESCAPE}]0;pwned${String.fromCharCode(7)} line2`;
const SHOWN = String.raw`\x1b[31mEVIL\x1b[0m\n\x1b]0;pwned\x07 line2`;
/** File names. The system allows no zero byte in them. */
const NAMES = [
  `a${ESCAPE}[2Jb.jpg`,
  "two\nlines.jpg",
  "\u202egpj.exe.jpg",
  "c1\u009b31m.jpg",
  "del\u007f.jpg",
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-text-"));
  await mkdir(join(folder, "names"));
  const { files } = await mnistJpegs(NAMES.length, 95);
  for (const [i, name] of NAMES.entries())
    await writeFile(join(folder, "names", name), files[i] as Uint8Array);
  await writeFile(join(folder, `bad${ESCAPE}[1m.jpg`), (files[0] as Uint8Array).subarray(0, 100));
  for (const name of ["ansi_node", "ansi_node_ok"])
    await writeFile(join(folder, `${name}.onnx`), await readFile(path(`cases/hostile/${name}.onnx`)));
});
afterAll(() => rm(folder, { recursive: true }));

function jpegDomain(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data;
  });
  return new Promise((done) => child.on("close", (code) => done({ code, stdout, stderr })));
}

/** Only line breaks act on a terminal. */
function expectPlain(...texts: string[]): void {
  for (const text of texts)
    expect(
      [...text].filter((c) => c !== "\n" && /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u.test(c)),
    ).toEqual([]);
}

test("each character that acts is escaped as in JavaScript, and nothing else changes", () => {
  const acting = [
    ...Array.from({ length: 32 }, (_, code) => code),
    ...Array.from({ length: 33 }, (_, i) => 127 + i),
    ...[0x61c, 0x200e, 0x200f, 0x2028, 0x2029],
    ...[0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
    ...[0xd800, 0xdbff, 0xdc00, 0xdfff],
  ].map((code) => String.fromCharCode(code));
  for (const character of acting) {
    const shown = visible(`a${character}b`);
    expect(shown).toMatch(/^a\\([nrt]|x[0-9a-f]{2}|u[0-9a-f]{4})b$/);
    // JavaScript's own reading of the escape.
    expect(JSON.parse(`"${shown.replace("\\x", "\\u00")}"`)).toBe(`a${character}b`);
    const json = visibleJson({ [character]: character });
    expectPlain(json);
    expect(JSON.parse(json)).toEqual({ [character]: character });
    expectPlain(escapeHtml(character));
  }
  const plain = "naïve 日本語 العربية 👩‍👩‍👧 C:\\x1b 𝒳 é\u0301 ~";
  expect(visible(plain)).toBe(plain);
  expect(JSON.parse(visibleJson(plain))).toBe(plain);
});

describe("is shown, not acted on:", () => {
  test("a layer's and an operator's name", async () => {
    const [text, json, converted, refused] = await Promise.all([
      jpegDomain("inspect", "ansi_node.onnx", "ansi_node_ok.onnx"),
      jpegDomain("inspect", "ansi_node.onnx", "--json"),
      jpegDomain("convert", "ansi_node_ok.onnx", "out.onnx"),
      jpegDomain("classify", "ansi_node.onnx", "names"),
    ]);
    expectPlain(text.stdout, json.stdout, converted.stdout, refused.stderr);
    expect(text.stdout.split("\n").filter((line) => line.startsWith(SHOWN))).toHaveLength(2);
    const { files } = JSON.parse(json.stdout) as { files: { layers: { node: string }[] }[] };
    expect(files[0]?.layers[0]?.node).toBe(EVIL);
    expect(converted.stdout).toContain(`Conv ${SHOWN}: `);
    // ONNX Runtime's own message, which names the operator.
    expect(refused.stderr).toMatch(
      /^error: ansi_node\.onnx: ONNX Runtime refuses the model: [^\n]*Foo\\x1b\[2J[^\n]*\n$/,
    );
    expect(refused.code).toBe(1);
  });

  test("a file's name, in results and in errors", async () => {
    const bad = `bad${ESCAPE}[1m.jpg`;
    const notebook = ["--mean", "0.1307", "--std", "0.3081"];
    const text = await jpegDomain("classify", DIGITS, "names", bad, "none\n.jpg", ...notebook);
    expectPlain(text.stdout, text.stderr);
    const shown = [...NAMES].map((name) => join("names", name)).sort();
    expect(
      text.stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/: \d \d.*/, "")),
    ).toEqual(shown.map(visible));
    expect(text.stderr).toMatch(/^error: bad\\x1b\[1m\.jpg: byte \d+/m);
    expect(text.stderr).toMatch(/^error: none\\n\.jpg: no such file$/m);
    const json = await jpegDomain("classify", DIGITS, "names", "--jsonl", ...notebook);
    expectPlain(json.stdout);
    const files = json.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { file: string }).file);
    expect(files).toEqual(shown);
    const inspected = await jpegDomain("inspect", bad, join("names", NAMES[1] as string));
    expectPlain(inspected.stdout, inspected.stderr);
  });

  test("a class's name", async () => {
    const labels = [EVIL, ...Array.from({ length: 9 }, (_, i) => `\u202e${i}`)];
    await writeFile(join(folder, "labels.json"), JSON.stringify(labels));
    const seen = await jpegDomain("classify", DIGITS, "names", "--labels", "labels.json", "--top", "10");
    expectPlain(seen.stdout);
    expect(seen.stdout).toContain(`${SHOWN} `);
    expect(seen.stdout).toContain("\\u202e8 ");
  });

  test("a wrong argument", async () => {
    for (const args of [
      [`--${ESCAPE}[2J`],
      [`${ESCAPE}[2J`],
      ["eval", "m.onnx", "--batch", `${ESCAPE}c\u202e`],
      ["bench", ESCAPE],
    ]) {
      const { code, stderr } = await jpegDomain(...args);
      expectPlain(stderr);
      expect(stderr).toMatch(/^error: [^\n]*\\x1b[^\n]*\n$/);
      expect(code).toBe(args[0] === "bench" ? 1 : 2);
    }
  });
});
