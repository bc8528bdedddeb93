/**
 * Calls every API that takes a model with each of the given files. Prints one JSON line for each file and API, with the
 * result, the processor time, and the peak of memory over what the process had before.
 *
 *   node --expose-gc test/hostile/child.mjs FILE…
 */
import { readFileSync, writeSync } from "node:fs";
import { modelLines } from "../../packages/cli/dist/views/model-text.js";
import { JpegDomainError } from "../../packages/coefficients/dist/errors.js";
import { convert } from "../../packages/conversion/dist/convert/convert.js";
import { summarizeModel } from "../../packages/conversion/dist/convert/summary.js";
import { readOnnx } from "../../packages/conversion/dist/onnx/file.js";
import { openClassifier } from "../../packages/node/dist/runtime/classifier.js";
import { loadModel } from "../../packages/node/dist/runtime/model.js";
import { ADAM } from "../../packages/training/dist/train/adam.js";
import { gradientGraph, trainingGraph } from "../../packages/training/dist/train/training-graph.js";

const plans = ["fused", "blockwise", "exploded"];
const ways = {
  read: (bytes) => readOnnx(bytes),
  ...Object.fromEntries(
    plans.flatMap((plan) => [
      [plan, (bytes) => convert(bytes, { plan })],
      [`${plan} asm`, (bytes) => convert(bytes, { plan, relu: { asm: 6 } })],
      [`${plan} jpeg`, (bytes) => convert(bytes, { plan, input: "jpeg" })],
    ]),
  ),
  inspect: (bytes) => modelLines(summarizeModel(readOnnx(bytes), { plan: "blockwise" })),
  gradient: (bytes) => gradientGraph(readOnnx(bytes)),
  train: (bytes) => trainingGraph(readOnnx(bytes), ADAM),
  load: async (bytes) => (await loadModel(bytes)).close(),
  classifier: async (bytes) => (await openClassifier(bytes)).close(),
};

const peak = () => process.resourceUsage().maxRSS / 1024;
for (const file of process.argv.slice(2)) {
  const bytes = new Uint8Array(readFileSync(file));
  for (const [way, work] of Object.entries(ways)) {
    globalThis.gc?.();
    const [highest, before] = [peak(), process.memoryUsage().rss / 2 ** 20];
    const start = process.cpuUsage();
    let error;
    try {
      await work(bytes);
    } catch (thrown) {
      error = thrown;
    }
    const { user, system } = process.cpuUsage(start);
    const line = {
      file,
      way,
      milliseconds: Math.round((user + system) / 1000),
      megabytes: peak() > highest ? Math.round(peak() - before) : 0,
      ...(error && { message: error.message, isOurs: error instanceof JpegDomainError, stack: error.stack }),
    };
    writeSync(1, `${JSON.stringify(line)}\n`);
  }
}
process.exit(0);
