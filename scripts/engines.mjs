/**
 * Runs the library in the engine that runs this script: codec, conversion, and models on one and two threads. Prints the
 * results as one JSON object, which must be the same in every engine.
 *   node scripts/engines.mjs      deno run -A scripts/engines.mjs      bun scripts/engines.mjs
 */
import { readFile } from "node:fs/promises";
import {
  convert,
  encodeJpeg,
  loadModel,
  readCoefficients,
  writeCoefficients,
} from "../packages/cli/dist/index.js";

const pixels = Float32Array.from({ length: 64 * 48 }, (_, i) => 128 + 100 * Math.sin(i / 9));
const planes = [pixels, pixels.map((value) => 255 - value), pixels.map((value) => value / 2)];
const picture = { width: 64, height: 48, colorSpace: "rgb", planes };
const file = encodeJpeg(picture, { quality: 90, subsampling: "4:2:0", progressive: true });

const image = readCoefficients(file);
const again = readCoefficients(writeCoefficients(image, { progressive: false }));
const sum = ({ components }) =>
  components.map(({ coefficients }) => coefficients.reduce((all, value, at) => all + value * (at % 97), 0));
if (`${sum(again)}` !== `${sum(image)}`)
  throw new Error("the coefficients changed when they were written and read again");

const spatial = await readFile(new URL("../packages/experiments/models/mnist-resnet.onnx", import.meta.url));
const models = { spatial, fused: convert(spatial), blockwise: convert(spatial, { plan: "blockwise" }) };
const results = {};
for (const [name, bytes] of Object.entries(models))
  for (const threads of [1, 2]) {
    const model = await loadModel(bytes, { threads });
    const answers = [];
    for await (const { outputs, error } of model.stream([file, undefined, file.subarray(0, 9), file])) {
      const [logits] = Object.values(outputs ?? {});
      answers.push(error ? error.message : Array.from(logits.data, (value) => Number(value.toFixed(2))));
    }
    await model.close();
    results[`${name}, ${threads}`] = answers;
  }
console.log(JSON.stringify({ bytes: file.length, coefficients: sum(image), results }));
