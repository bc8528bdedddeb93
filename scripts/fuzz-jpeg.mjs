/**
 * A long run of test/jpeg-fuzz.test.ts: generated and mutated JPEG files, Huffman and arithmetic coded, each read
 * strictly, tolerantly and in part, and compared with libjpeg-turbo. Needs gcc and libjpeg62-turbo-dev for the comparison.
 *
 *   node scripts/fuzz-jpeg.mjs [FILES = 1000000] [first seed = 1000]
 *
 * Each process reads 50,000 files with one seed; a failure prints the file in base64 and ends the run.
 *
 * Last long run: seeds 30000 to 30003, 200,000 files, no failure.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const PER_PROCESS = 50_000;
const files = Number(process.argv[2] ?? 1_000_000);
const firstSeed = Number(process.argv[3] ?? 1000);
const start = Date.now();
for (let done = 0; done < files; done += PER_PROCESS) {
  const seed = firstSeed + done / PER_PROCESS;
  const { status, stdout, stderr } = spawnSync("npx", ["vitest", "run", "test/jpeg-fuzz.test.ts"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: {
      ...process.env,
      JPEG_FUZZ_FILES: String(Math.min(PER_PROCESS, files - done)),
      JPEG_FUZZ_SEED: String(seed),
    },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) {
    console.error(`seed ${seed}\n${stdout}\n${stderr}`);
    process.exit(1);
  }
  const count = Math.min(files, done + PER_PROCESS);
  console.log(
    `${count} files, seeds ${firstSeed} to ${seed}, ${Math.round((Date.now() - start) / 1000)} s: no failure`,
  );
}
