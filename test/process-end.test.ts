/** A process ends well with a model open, whatever it is doing, and starts well with a long command line. */
import { link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { COMMAND, runProcess, sideBySide, usersEnvironment, writeScript } from "./processes.js";
import { picture } from "./runtime-material.js";

const DIGITS = fileURLToPath(new URL("reference/mnist-resnet-pytorch.onnx", import.meta.url));

let folder: string;
let constants: { MODEL: string; FILE: string; LARGE: string };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-end-"));
  constants = {
    MODEL: join(folder, "slow.onnx"),
    FILE: join(folder, "picture.jpg"),
    LARGE: join(folder, "large.jpg"),
  };
  const api = await importBuilt();
  await writeFile(constants.MODEL, slowModel(api));
  await writeFile(constants.FILE, picture(64, 64));
  const large = api.readCoefficients(picture(2000, 1600));
  await writeFile(constants.LARGE, api.writeCoefficients(large, { restartInterval: 125 }));
});
afterAll(() => rm(folder, { recursive: true }));

/** A network that takes about ten milliseconds, nearly all of a thread's time. */
function slowModel(api: typeof Api): Uint8Array {
  const g = new api.GraphBuilder("slow");
  let x = g.input("x", "float32", ["N", 3, 64, 64]);
  for (let i = 0; i < 12; i++) {
    const [outputs, inputs] = [64, i === 0 ? 3 : 64];
    const weights = Float32Array.from({ length: outputs * inputs * 9 }, (_, k) => Math.sin(7 * k + i) / 20);
    const kernel = g.constant(`w${i}`, api.float32(weights, [outputs, inputs, 3, 3]));
    x = g.node("Relu", [g.node("Conv", [x, kernel], { pads: [1, 1, 1, 1] })]);
  }
  g.output(g.node("Flatten", [g.node("GlobalAveragePool", [x])]), "y", "float32", ["N", 64]);
  return api.writeOnnx(g.build());
}

const OPEN = `
  const open = (threads) => loadModel(MODEL, { threads, batch: 2 });
  const files = (count) => Array(count).fill(FILE);
  const drain = async (stream) => { for await (const { error } of stream) if (error) throw error; };
  async function busy(threads) {
    const model = await open(threads);
    // The first files start its threads.
    await drain(model.stream(files(2 * threads)));
    const [run, stream] = [model.run(files(500)), drain(model.stream(files(500)))];
    await new Promise((next) => setTimeout(next, 30));
  }`;

describe("processes side by side", { timeout: 240_000 }, () => {
  test.each<[name: string, script: string, status: number | string, times?: number]>([
    ["with threads at work, exit", "await busy(2); process.exit(7);", 7, 20],
    ["with the main thread at work, exit", "await busy(1); process.exit(7);", 7],
    [
      "with a stream half-way, exit",
      `const model = await open(2);
       let count = 0;
       for await (const { error } of model.stream(files(200))) if (++count === 9) process.exit(error ? 1 : 7);`,
      7,
      20,
    ],
    [
      "with threads that are starting, exit",
      "const model = await open(2); void drain(model.stream(files(20))); setTimeout(() => process.exit(7), 60);",
      7,
    ],
    [
      "with idle threads, exit",
      "const model = await open(2); await drain(model.stream(files(4))); process.exit(7);",
      7,
      20,
    ],
    ["with an idle session, exit", "await open(1); process.exit(7);", 7, 20],
    ["with a session and threads, come to their end", "await drain((await open(2)).stream(files(4)));", 0],
    [
      "with a helper for large files that is starting, exit",
      "const [{ error }] = await (await open(2)).run([LARGE]); process.exit(error ? 1 : 7);",
      7,
    ],
    [
      "with an idle helper for large files, exit",
      "const model = await open(2); for (let i = 0; i < 10; i++) await model.run([LARGE]); process.exit(7);",
      7,
    ],
    [
      "with a helper for large files, come to their end",
      "const model = await open(2); for (let i = 0; i < 10; i++) await model.run([LARGE]);",
      0,
    ],
    [
      "with threads at work, fail with an exception",
      "await busy(2); setTimeout(() => { throw new Error('a fault'); });",
      1,
    ],
    [
      "with threads at work, fail with a rejection",
      "await busy(2); setTimeout(() => Promise.reject(new Error('a fault')));",
      1,
    ],
    [
      "with threads at work, exit in a signal's handler",
      "process.once('SIGTERM', () => process.exit(7)); await busy(2); process.kill(process.pid, 'SIGTERM');",
      7,
    ],
    [
      "with threads at work, end by a signal",
      "await busy(2); process.kill(process.pid, 'SIGINT');",
      "SIGINT",
    ],
  ])("%s: with the status they asked for", async (_, script, status, times = 6) => {
    const file = await writeScript(OPEN + script, constants);
    const runs = Array.from({ length: times }, (_, i) => i);
    const ends = await sideBySide(runs, 5, () => runProcess(process.execPath, [file]));
    for (const { text, end } of ends) {
      expect(text).not.toContain("terminate called");
      expect(end, text).toBe(status);
    }
  });
});

describe("a command line", { timeout: 240_000 }, () => {
  test("of 5,000 files by a shell's glob is classified", async () => {
    const photographs = join(folder, "photographs");
    await mkdir(photographs);
    const small = join(folder, "small.jpg");
    await writeFile(small, picture(16, 16));
    const names = Array.from({ length: 5000 }, (_, i) => `photograph-${String(i).padStart(6, "0")}.jpg`);
    for (const name of names) await link(small, join(photographs, name));
    const line = `"${process.execPath}" "${fileURLToPath(COMMAND)}" classify "${DIGITS}" *.jpg --top 1 --jsonl`;
    const { text, end } = await runProcess("sh", ["-c", line], {
      cwd: photographs,
      env: usersEnvironment(),
    });
    const lines = text.split("\n").filter((each) => each.startsWith("{"));
    expect(lines.map((each) => (JSON.parse(each) as { file: string }).file)).toEqual(names);
    expect(text).toContain("5000 of 5000 files, 0 failed");
    expect(end).toBe(0);
  });

  test.each([1, 2])("as long as the system allows does not affect a model (%i threads)", async (threads) => {
    const script = `
      const model = await loadModel(MODEL, { threads: ${threads} });
      let count = 0;
      for await (const { error } of model.stream([FILE, FILE, FILE])) if (!error) count++;
      await model.close();
      console.log(count);`;
    const file = await writeScript(script, constants);
    const long = Array.from({ length: 15 }, (_, i) => `${i}`.padEnd(120_000, "/a photograph.jpg "));
    const { text, end } = await runProcess(process.execPath, [file, ...long], { env: usersEnvironment() });
    expect([text, end]).toEqual(["3\n", 0]);
  });

  test("that would crash the process from one of its own threads is refused there", async () => {
    const script = `
      import { isMainThread, parentPort, Worker } from "node:worker_threads";
      import { fileURLToPath } from "node:url";
      if (isMainThread) new Worker(fileURLToPath(import.meta.url)).on("message", (text) => console.log(text));
      else
        parentPort.postMessage(
          await loadModel(MODEL, { threads: 1 }).then((model) => model.close()).then(() => "loaded", (error) => error.message),
        );`;
    const file = await writeScript(script, constants);
    const long = ["".padEnd(60_000, "photograph.jpg ")];
    const ask = (args: string[], env: NodeJS.ProcessEnv) =>
      runProcess(process.execPath, [file, ...args], { env });
    const env = usersEnvironment();
    const refused = await ask(long, env);
    if (process.platform === "linux")
      expect(refused.text).toMatch(
        /^the process's command line has 6\d+ bytes, with which ONNX Runtime's telemetry would crash in a worker thread; expected ORT_DISABLE_TELEMETRY=1 in the process's environment\n$/,
      );
    expect(refused.end).toBe(0);
    expect(await ask(long, { ...env, ORT_DISABLE_TELEMETRY: "1" })).toEqual({ text: "loaded\n", end: 0 });
    expect(await ask([], env)).toEqual({ text: "loaded\n", end: 0 });
  });
});
