/** How commands read and write files: pipes, devices, full disks, other programs' files, several processes. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorsIn, jpegDomain as run } from "./commands.js";
import { writeImageSet } from "./image-set.js";
import { mnistJpegs } from "./runtime-material.js";
import { MAIN } from "./terminal.js";

const LIMIT = { timeout: 120_000 };
const NOTEBOOK = ["--mean", "0.1307", "--std", "0.3081"];
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

let folder: string;
let server: Server;
const isUnix = process.platform !== "win32";
const HAS_FULL = existsSync("/dev/full");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-files-"));
  const at = (name: string) => join(folder, name);
  await copyFile(path("../packages/experiments/models/mnist-resnet.onnx"), at("m.onnx"));
  const { files } = await mnistJpegs(6, 95);
  await mkdir(at("digits"));
  for (const [i, file] of files.entries()) await writeFile(at(`digits/${i}.jpg`), file);
  await writeFile(at("a.jpg"), files[0] as Uint8Array);
  await writeImageSet(at("set"), 40, 20);
  await writeImageSet(at("odd"), 40, 20);
  await rm(at("odd/t10k-images-idx3-ubyte"));
  if (isUnix) for (const name of ["pipe", "odd/t10k-images-idx3-ubyte"]) spawnSync("mkfifo", [at(name)]);
  server = createServer().listen(at("socket"));
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const jpegDomain = (args: readonly string[], options: Partial<Parameters<typeof run>[1]> = {}) =>
  run(args, { cwd: folder, ...options });

/** Every place where a command reads a file; `@` stands for the file. */
const READS = [
  "convert @ x.onnx",
  "eval @",
  "eval m.onnx --data @",
  "classify @ a.jpg",
  "classify m.onnx @",
  "classify m.onnx a.jpg --labels @",
  "classify m.onnx a.jpg --preprocessor @",
  "compare @ a.jpg",
  "compare m.onnx a.jpg --spatial @",
  "compare m.onnx @",
  "inspect @",
  "coefficients @ --out x.npz",
  "demo --model @ --data set",
  "train --data set --out x.onnx --resume --checkpoint @",
];
/** Every place where a command writes a file. */
const WRITES = [
  "convert m.onnx @",
  "classify m.onnx a.jpg --out @",
  "classify m.onnx a.jpg --out @ --resume",
  "coefficients a.jpg --out @",
  "coefficients a.jpg --png @",
  "train --data set --epochs 1 --out @",
  "train --data set --epochs 1 --out y.onnx --checkpoint @",
];
const words = (line: string, file: string) => line.split(" ").map((word) => (word === "@" ? file : word));

/** Things that are not regular files. Only a few commands get all of them, because the commands share the code. */
const OTHERS: [file: string, kind: string][] = [
  ["pipe", "a pipe"],
  ["/dev/zero", "a device"],
  ["socket", "a socket"],
  ["digits", "a folder"],
];
const othersFor = (line: string) =>
  OTHERS.slice(0, /^(inspect|convert|train --data set --epochs 1 --out) /.test(line) ? 4 : 2);

describe.runIf(isUnix)("pipes, devices, sockets and folders are refused as files:", () => {
  describe.concurrent.each(READS)("jpeg-domain %s", (line) => {
    test.each(othersFor(line))("%s", LIMIT, async (file, kind) => {
      const ended = await jpegDomain(words(line, file));
      const [error = "", ...others] = errorsIn(ended);
      expect(others).toEqual([]);
      expect(error).toContain(
        line.includes("--data @") ? "found no such folder" : `it is ${kind}, expected a file`,
      );
      expect(error).toContain(`${file}: `.replace(/: $/, ""));
      expect(ended).toMatchObject({ code: 1, signal: null });
    });
  });

  describe.concurrent.each(WRITES)("jpeg-domain %s", (line) => {
    test.each(othersFor(line).filter(([file]) => file !== "/dev/zero"))("%s", LIMIT, async (file, kind) => {
      const ended = await jpegDomain(words(line, file));
      expect(errorsIn(ended)).toEqual([`error: ${file}: it is ${kind}, expected a file`]);
      expect(ended.stderr).not.toMatch(/epoch/);
      expect(ended).toMatchObject({ code: 1, signal: null });
    });
  });

  test("a file of a data set", LIMIT, async () => {
    const ended = await jpegDomain(["eval", "m.onnx", "--data", "odd"]);
    expect(errorsIn(ended)).toEqual([expect.stringMatching(/^error: odd\/t10k-images.*it is a pipe/)]);
    expect(ended).toMatchObject({ code: 1, signal: null });
  });

  test("no temporary files are left", async () => {
    expect((await readdir(folder)).filter((name) => /tmp|lock|^[xy]\./.test(name))).toEqual([]);
  });
});

describe.runIf(HAS_FULL)("standard output on a full disk is one line:", () => {
  test.concurrent.each([
    "--help",
    "--version",
    "help convert",
    "convert m.onnx full.onnx",
    "convert m.onnx full.onnx --json",
    "convert m.onnx /dev/stdout",
    "eval m.onnx --limit 10",
    "eval m.onnx --limit 10 --json",
    "classify m.onnx digits",
    "classify m.onnx digits --jsonl",
    "compare m.onnx digits --rounds 1",
    "compare m.onnx digits --rounds 1 --json",
    "inspect a.jpg m.onnx",
    "inspect a.jpg m.onnx --json",
    "coefficients a.jpg --out full.npz",
    "train --data set --epochs 1 --out full/m.onnx --json",
    "bench",
    "bench relu-error --blocks 64",
  ])("jpeg-domain %s", LIMIT, async (line) => {
    const stdout = openSync("/dev/full", "w");
    try {
      const ended = await jpegDomain(line.split(" "), { stdout });
      expect(errorsIn(ended), ended.stderr).toEqual(["error: standard output: no space left on the device"]);
      expect(ended).toMatchObject({ code: 1, signal: null });
    } finally {
      closeSync(stdout);
    }
  });
});

describe("other programs' files are not replaced:", () => {
  const TEXT = "Someone's notes, without an end of the line";
  beforeAll(() => writeFile(join(folder, "notes"), TEXT));

  test.each([...WRITES])("jpeg-domain %s", LIMIT, async (line) => {
    const ended = await jpegDomain(words(line, "notes"));
    expect(errorsIn(ended)).toEqual([expect.stringMatching(/^error: notes: /)]);
    expect(ended.stderr).not.toMatch(/epoch/);
    expect(ended.code).toBe(1);
    expect(await readFile(join(folder, "notes"), "utf8")).toBe(TEXT);
  });

  test("a folder for demo with files of those names", LIMIT, async () => {
    await mkdir(join(folder, "mine"));
    for (const name of ["results.json", "report.html"]) {
      await writeFile(join(folder, "mine", name), TEXT);
      const ended = await jpegDomain(["demo", "--data", "set", "--out", "mine"]);
      expect(errorsIn(ended)).toEqual([
        expect.stringContaining(`error: mine/${name}: it holds something else`),
      ]);
      expect(await readFile(join(folder, "mine", name), "utf8")).toBe(TEXT);
      await rm(join(folder, "mine", name));
    }
  });

  test("models: the input, by any of its names, and another program's model", LIMIT, async () => {
    const model = await readFile(join(folder, "m.onnx"));
    await writeFile(join(folder, "other.onnx"), model);
    await symlink("m.onnx", join(folder, "link.onnx"));
    for (const out of ["m.onnx", "./digits/../m.onnx", "link.onnx", "other.onnx"]) {
      const ended = await jpegDomain(["convert", "m.onnx", out]);
      expect(errorsIn(ended)).toEqual([expect.stringContaining(`error: ${out}: it `)]);
      expect(ended.code).toBe(1);
    }
    expect(await readFile(join(folder, "m.onnx"))).toEqual(model);
    expect(await readFile(join(folder, "other.onnx"))).toEqual(model);
    // A file that convert wrote can be replaced, also behind a link.
    expect((await jpegDomain(["convert", "m.onnx", "c.onnx"])).code).toBe(0);
    await symlink("c.onnx", join(folder, "to-c.onnx"));
    expect((await jpegDomain(["convert", "m.onnx", "to-c.onnx", "--relu", "asm:6"])).code).toBe(0);
    expect(JSON.parse((await jpegDomain(["inspect", "c.onnx", "--json"])).stdout.toString())).toMatchObject({
      files: [{ converted: { relu: "asm:6" } }],
    });
  });
});

test.runIf(isUnix)("the null device and standard output are accepted as output files", LIMIT, async () => {
  for (const line of ["convert m.onnx @", "coefficients a.jpg --out @", "classify m.onnx a.jpg --out @"]) {
    const ended = await jpegDomain([...words(line, "/dev/null"), ...(line.startsWith("cl") ? NOTEBOOK : [])]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
  }
  expect((await jpegDomain(["convert", "m.onnx", "plain.onnx"])).code).toBe(0);
  const out = await jpegDomain(["convert", "m.onnx", "/dev/stdout"]);
  expect(out.stdout).toEqual(await readFile(join(folder, "plain.onnx")));
  expect(out.stderr).toMatch(/plan fused/);
  const lines = await jpegDomain(["classify", "m.onnx", "digits", "--out", "/dev/stdout", ...NOTEBOOK]);
  expect(
    lines.stdout
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toHaveLength(6);
});

describe("train says before the first epoch that it cannot write:", () => {
  test.runIf(process.platform === "linux").each([
    ["--out", "/sys/m.onnx"],
    ["--checkpoint", "/sys/c.onnx"],
    ["--out", "/proc/m.onnx"],
  ])("%s %s", LIMIT, async (option, file) => {
    const other = option === "--out" ? [] : ["--out", "z.onnx"];
    const ended = await jpegDomain(["train", "--data", "set", "--epochs", "1", ...other, option, file]);
    expect(errorsIn(ended)).toEqual([expect.stringMatching(`^error: ${file}: `)]);
    expect(ended.stderr).not.toMatch(/epoch 1|step/);
    expect(ended.code).toBe(1);
  });

  test("another process that uses the files", LIMIT, async () => {
    const name = join(folder, "busy.checkpoint.onnx.lock");
    const args = ["train", "--data", "set", "--epochs", "1", "--out", "busy.onnx"];
    await writeFile(name, JSON.stringify({ pid: process.pid, host: hostname() }));
    const ended = await jpegDomain(args);
    expect(errorsIn(ended)).toEqual([
      expect.stringMatching(`^error: busy\\.checkpoint\\.onnx: process ${process.pid} is writing to it`),
    ]);
    expect(ended.stderr).not.toMatch(/epoch 1/);
    // Locks of a process that has ended, and of one whose number another process has.
    await writeFile(name, JSON.stringify({ pid: process.pid, host: hostname(), started: "1" }));
    if (process.platform === "linux") expect((await jpegDomain(args)).code).toBe(0);
  });

  test("one file for both", LIMIT, async () => {
    const ended = await jpegDomain(["train", "--data", "set", "--out", "z.onnx", "--checkpoint", "./z.onnx"]);
    expect(ended.stderr).toContain("--out and --checkpoint name the same file");
    expect(ended.code).toBe(2);
  });

  test("an existing model is replaced, and this is announced", LIMIT, async () => {
    const command = ["train", "--data", "set", "--epochs", "1", "--out", "again.onnx"];
    expect((await jpegDomain(command)).stderr).not.toContain("replaced");
    const { code, stderr } = await jpegDomain(command);
    expect(stderr).toMatch(
      /^again\.onnx will be replaced at the end of the training\nagain\.checkpoint\.onnx will be/,
    );
    expect(code).toBe(0);
    expect((await readdir(folder)).filter((name) => name.startsWith("again")).sort()).toEqual([
      "again.checkpoint.onnx",
      "again.onnx",
    ]);
  });
});

describe("results:", () => {
  const classify = (out: string, ...args: string[]) => [
    "classify",
    "m.onnx",
    "digits",
    "--out",
    out,
    ...NOTEBOOK,
    ...args,
  ];
  const linesOf = async (name: string) => (await readFile(join(folder, name), "utf8")).split("\n");

  test.each([
    ["text without an end", "no line"],
    ["another file's JSON without an end", '{"file":"a.png","size":3}'],
    ["a brace", "{"],
    ["bytes", "\u0000\u0001\ufffd"],
    ["a line of another, and text", '{"name":1}\nrest'],
  ])("--resume leaves %s as it is", LIMIT, async (_, content) => {
    await writeFile(join(folder, "theirs"), content);
    const ended = await jpegDomain(classify("theirs", "--resume"));
    expect(errorsIn(ended)).toEqual([expect.stringMatching(/^error: theirs: line 1 /)]);
    expect(ended.code).toBe(1);
    expect(await readFile(join(folder, "theirs"), "utf8")).toBe(content);
  });

  test(
    "--resume continues after an incomplete line, and after one without its line break",
    LIMIT,
    async () => {
      expect((await jpegDomain(classify("whole.jsonl"))).code).toBe(0);
      const text = await readFile(join(folder, "whole.jsonl"), "utf8");
      const second = text.indexOf("\n", text.indexOf("\n") + 1);
      for (const end of [second, second - 1, second - 20, text.indexOf("\n") + 12]) {
        await writeFile(join(folder, "cut.jsonl"), text.slice(0, end));
        expect((await jpegDomain(classify("cut.jsonl", "--resume"))).code).toBe(0);
        expect(await readFile(join(folder, "cut.jsonl"), "utf8")).toBe(text);
      }
    },
  );

  test.runIf(isUnix)(
    "are written by one process at a time; a killed process's lock is taken over",
    LIMIT,
    async () => {
      await mkdir(join(folder, "many"));
      for (let i = 0; i < 3000; i++) await copyFile(join(folder, "a.jpg"), join(folder, `many/${i}.jpg`));
      const command = [
        "classify",
        "m.onnx",
        "many",
        "--out",
        "shared.jsonl",
        ...NOTEBOOK,
        "--threads",
        "1",
        "--batch",
        "1",
      ];
      const first = spawn(process.execPath, [MAIN, ...command], { cwd: folder, stdio: "ignore" });
      while (!existsSync(join(folder, "shared.jsonl"))) await new Promise((done) => setTimeout(done, 5));
      const second = await jpegDomain([...command, "--resume"]);
      expect(errorsIn(second)).toEqual([
        expect.stringMatching(`^error: shared\\.jsonl: process ${first.pid} is writing to it`),
      ]);
      expect(second.code).toBe(1);
      const gone = new Promise((done) => first.on("close", done));
      first.kill("SIGKILL");
      await gone;
      expect(existsSync(join(folder, "shared.jsonl.lock"))).toBe(true);
      const third = await jpegDomain([...command.slice(0, 2), "digits", ...command.slice(3), "--resume"]);
      expect(third.code, third.stderr).toBe(0);
      expect(existsSync(join(folder, "shared.jsonl.lock"))).toBe(false);
      for (const line of (await linesOf("shared.jsonl")).slice(0, -1)) JSON.parse(line);
    },
  );

  test("a lock of another machine, or of no process, is not taken over", LIMIT, async () => {
    for (const [content, said] of [
      [JSON.stringify({ pid: 1, host: `not-${hostname()}` }), /process 1 on not-/],
      ["mine", /is not a process's lock/],
    ] as const) {
      await writeFile(join(folder, "l.jsonl.lock"), content);
      const ended = await jpegDomain(classify("l.jsonl"));
      expect(errorsIn(ended)).toEqual([expect.stringMatching(said)]);
      expect(await readFile(join(folder, "l.jsonl.lock"), "utf8")).toBe(content);
    }
  });

  test.runIf(process.platform === "linux")(
    "if the disk is full in the middle of a line, only whole lines stay",
    LIMIT,
    async () => {
      // Files of at most 1024 bytes: the write that would exceed it is cut short, as on a full disk.
      const before = "trap '' XFSZ; ulimit -f 1;";
      const full = await jpegDomain(classify("full.jsonl"), { before });
      const kept = await linesOf("full.jsonl");
      expect(kept.at(-1)).toBe("");
      expect(kept.length).toBeGreaterThan(2);
      expect(kept.length).toBeLessThan(7);
      expect(errorsIn(full)).toEqual([
        `error: full.jsonl: the file would be larger than is allowed; it keeps ${kept.length - 1} results, --resume continues with the others`,
      ]);
      expect(full.code).toBe(1);
      expect((await jpegDomain(classify("full.jsonl", "--resume"))).code).toBe(0);
      expect(await linesOf("full.jsonl")).toEqual(await linesOf("whole.jsonl"));
    },
  );

  test.runIf(process.platform === "linux")(
    "a full disk leaves an existing model as it is",
    LIMIT,
    async () => {
      expect((await jpegDomain(["convert", "m.onnx", "kept.onnx"])).code).toBe(0);
      const kept = await readFile(join(folder, "kept.onnx"));
      const ended = await jpegDomain(["convert", "m.onnx", "kept.onnx"], {
        before: "trap '' XFSZ; ulimit -f 64;",
      });
      expect(errorsIn(ended)).toEqual(["error: kept.onnx: the file would be larger than is allowed"]);
      expect(await readFile(join(folder, "kept.onnx"))).toEqual(kept);
      expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    },
  );
});

describe("labels", () => {
  const ten = Array.from({ length: 10 }, (_, i) => `n${i}`);
  const object = (names: readonly string[]) => Object.fromEntries(names.map((name, i) => [i, name]));
  test.each<[string, string | Buffer]>([
    ["lines", `${ten.join("\n")}\n`],
    ["lines of Windows, with a byte order mark", `\ufeff${ten.join("\r\n")}\r\n\r\n`],
    ["an array", JSON.stringify(ten)],
    [
      "an object, in any order",
      `{${ten
        .map((name, i) => `"${i}":"${name}"`)
        .reverse()
        .join(",")}}`,
    ],
    ["a config", `\ufeff${JSON.stringify({ id2label: object(ten) })}`],
  ])("%s", LIMIT, async (_, content) => {
    const name = `${Math.random()}.labels`;
    await writeFile(join(folder, name), content);
    const ended = await jpegDomain([
      "classify",
      "m.onnx",
      "a.jpg",
      "--labels",
      name,
      "--top",
      "1",
      ...NOTEBOOK,
    ]);
    expect(ended.stdout.toString()).toMatch(/^a\.jpg: n7 /);
  });

  test.each<[string, string | Buffer, RegExp]>([
    ["an empty file", "", /found no names/],
    ["an empty line", `${ten.slice(0, 4).join("\n")}\n\n${ten.slice(5).join("\n")}`, /line 5 is empty/],
    [
      "a gap",
      JSON.stringify({ ...object(ten.slice(0, 5)), 6: "n6" }),
      /6 names, one under "6" and none under "5"/,
    ],
    ["an index with a zero before it", '{"0":"a","01":"b"}', /one under "01" and none under "1"/],
    ["an index that is none", '{"id2label":{"a":"b"}}', /one under "a" and none under "0"/],
    ["a number as a name", "[1,2]", /found 1 as the name of class 0/],
    ["an empty name", '["a",""]', /found "" as the name of class 1/],
    ["nothing for id2label", '{"id2label":null}', /found id2label: null/],
    ["no JSON", "[1,", /JSON/],
    ["bytes that are not text", Buffer.from([0xff, 0xfe, 0x41, 0x00]), /not UTF-8/],
    ["too few", '["a"]', /1 labels?|1 name/],
  ])("%s is refused in one line", LIMIT, async (_, content, said) => {
    const name = `${Math.random()}.labels`;
    await writeFile(join(folder, name), content);
    const ended = await jpegDomain(["classify", "m.onnx", "a.jpg", "--labels", name]);
    expect(errorsIn(ended)).toEqual([expect.stringMatching(said)]);
    expect(ended.code).toBe(1);
  });

  test.each([
    ["labels-1e9.json", /one under "\d+" and none under "\d+"/],
    ["labels-proto.json", /one under "__proto__" and none under "\d+"/],
  ])("%s takes no memory", LIMIT, async (name, said) => {
    const ended = await jpegDomain([
      "classify",
      "m.onnx",
      "a.jpg",
      "--labels",
      path(`cases/hostile/${name}`),
    ]);
    expect(errorsIn(ended)).toEqual([expect.stringMatching(said)]);
    expect(ended.code).toBe(1);
    expect(ended.seconds).toBeLessThan(20);
  });
});

test.each<[string[], RegExp, number]>([
  [["convert", "m.onnx", ""], /a path is empty/, 1],
  [["classify", "m.onnx", ""], /a path is empty/, 1],
  [["train", "--data", "set", "--out", ""], /a path is empty/, 1],
  [["eval", "m.onnx", "--data", ""], /Expected a folder/, 2],
  [["convert", "m.onnx", "none/"], /it is a folder, expected a file/, 1],
  [["classify", "m.onnx", "a.jpg", "--batch", "1000000000"], /batch is 1000000000, expected at most \d+/, 1],
  [["bench", "relu-error", "--blocks", "1000000000000"], /it needs more memory than there is/, 1],
])("%j is refused in one line", LIMIT, async (args, said, code) => {
  const ended = await jpegDomain(args);
  expect(errorsIn(ended)).toEqual([expect.stringMatching(said)]);
  expect(ended.code).toBe(code);
});

test("train with a batch larger than the number of images", LIMIT, async () => {
  const args = ["train", "--data", "set", "--epochs", "1", "--batch", "2147483647", "--out", "batch.onnx"];
  const ended = await jpegDomain(args);
  expect(ended.code, ended.stderr).toBe(0);
});

test("names that start with a hyphen, contain spaces, or are not UTF-8", LIMIT, async () => {
  await mkdir(join(folder, "names"));
  const at = (name: string) => Buffer.concat([Buffer.from(`${folder}/names/`), Buffer.from(name, "latin1")]);
  const image = await readFile(join(folder, "a.jpg"));
  for (const name of ["-a.jpg", "two words.jpg"]) await writeFile(at(name), image);
  const isAnyBytes = await writeFile(at("\xff\xfe.jpg"), image).then(
    () => process.platform === "linux",
    () => false,
  );
  const cwd = join(folder, "names");
  const ended = await jpegDomain(["classify", "../m.onnx", ...NOTEBOOK, "--", "-a.jpg", "two words.jpg"], {
    cwd,
  });
  expect(ended.stdout.toString()).toMatch(/^-a\.jpg: 7 .*\ntwo words\.jpg: 7 .*\n$/);
  const inspected = await jpegDomain(["inspect", "--", "-a.jpg"], { cwd });
  expect(inspected.stdout.toString()).toMatch(/^-a\.jpg: 32x32/);
  if (!isAnyBytes) return;
  const all = await jpegDomain(["classify", "m.onnx", "names", ...NOTEBOOK]);
  expect(all.stdout.toString().split("\n")).toHaveLength(3);
  expect(errorsIn(all)).toEqual([
    expect.stringMatching(/^error: names\/.*: no such file; files whose names are not UTF-8/),
  ]);
});
