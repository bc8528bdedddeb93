import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { median } from "jpeg-domain/internal";

export interface Memory {
  /** Bytes of resident memory: the median of each quarter of the run. */
  quarters: number[];
  /** The last quarter minus the third: a run of a few seconds warms up until its middle. */
  growth: number;
}

const EVERY_MILLISECONDS = 50;
const PAGE = 4096;

/** Resident memory of `jpeg-domain classify` over a folder. Linux only. */
export async function memoryOfClassify(model: string, folder: string, flags: string[]): Promise<Memory> {
  const main = fileURLToPath(new URL("dist/main.js", import.meta.resolve("jpeg-domain/package.json")));
  const child = spawn(process.execPath, [main, "classify", model, folder, "--jsonl", ...flags], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.stdout.resume();
  const samples: number[] = [];
  const timer = setInterval(() => {
    try {
      samples.push(PAGE * Number(readFileSync(`/proc/${child.pid}/statm`, "utf8").split(" ")[1]));
    } catch {
      // The process has ended.
    }
  }, EVERY_MILLISECONDS);
  await new Promise((done) => child.on("close", done));
  clearInterval(timer);
  // During the last samples the process is ending.
  const kept = samples.slice(0, -5);
  const quarter = kept.length / 4;
  const quarters = [0, 1, 2, 3].map((i) =>
    median(kept.slice(Math.floor(i * quarter), Math.floor((i + 1) * quarter))),
  );
  return { quarters, growth: (quarters[3] as number) - (quarters[2] as number) };
}
