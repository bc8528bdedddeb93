/**
 * A long run of test/onnx-fuzz.test.ts: ONNX models, mutated as bytes and as protobuf fields. Each goes through `readOnnx`,
 * and then through `convert` (every plan and input) or `inspect`.
 *
 *   node scripts/fuzz-onnx.mjs [MODELS = 1000000] [first seed = 1000]
 *
 * Each process takes 20,000 models with one seed. If a process ends, hangs, takes too much memory or throws an error that
 * is not ours, this prints its seed and the model in base64, and goes on. At the end it prints the number of failures.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const PER_PROCESS = 20_000;
const models = Number(process.argv[2] ?? 1_000_000);
const firstSeed = Number(process.argv[3] ?? 1000);
const start = Date.now();
const totals = { converted: 0, refused: 0, failures: 0 };
for (let done = 0; done < models; done += PER_PROCESS) {
  const seed = firstSeed + done / PER_PROCESS;
  const { status, signal, stdout, stderr } = spawnSync("npx", ["vitest", "run", "test/onnx-fuzz.test.ts"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: {
      ...process.env,
      ONNX_FUZZ_MODELS: String(Math.min(PER_PROCESS, models - done)),
      ONNX_FUZZ_SEED: String(seed),
    },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: 3_600_000,
  });
  if (status !== 0) {
    totals.failures++;
    console.error(`seed ${seed}: ${signal ?? status}\n${stdout}\n${stderr}`);
  }
  const { converted = 0, refused = 0 } = JSON.parse(/\{"converted".*\}/.exec(stdout)?.[0] ?? "{}");
  totals.converted += converted;
  totals.refused += refused;
  const seconds = Math.round((Date.now() - start) / 1000);
  console.log(`${converted + refused} with seed ${seed}, ${seconds} s, in total ${JSON.stringify(totals)}`);
}
process.exitCode = totals.failures > 0 ? 1 : 0;
