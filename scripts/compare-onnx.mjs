/**
 * Converts the ONNX models in a folder with every plan, and compares each with the original model, both in ONNX Runtime.
 *
 *   npm run build && node scripts/compare-onnx.mjs FOLDER [SIDE = 64]
 *
 * The outcomes for each plan are: `agrees` (the largest difference of an output, divided by its largest value, is at most
 * 1e-3), `differs`, `refused` (and why), `crash` (an error that is not ours, or a process that ended). Models that ONNX
 * Runtime does not run, or whose only input is not an image, are counted separately. If a model leaves its height and
 * width open, they are SIDE. Each model runs in its own process.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tensor } from "onnxruntime-node";
import { JpegDomainError } from "../packages/coefficients/dist/errors.js";
import { compress, toWholeBlocks } from "../packages/coefficients/dist/transform/images.js";
import { convertGraph } from "../packages/conversion/dist/convert/convert.js";
import { findImage } from "../packages/conversion/dist/convert/image-input.js";
import { parseModel } from "../packages/node/dist/runtime/model-files.js";
import { openSession } from "../packages/node/dist/runtime/session.js";

const PLANS = ["fused", "blockwise", "exploded"];
const MOST_DIFFERENCE = 1e-3;
const MEMORY = 2e9;
const MINUTES = 5;

const [target, side = "64"] = process.argv.slice(2);
function compareAll(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".onnx"));
  const totals = {};
  for (const name of files.sort()) {
    const { stdout, status, signal } = spawnSync(
      process.execPath,
      [fileURLToPath(import.meta.url), join(folder, name), side],
      { encoding: "utf8", env: { ...process.env, COMPARE_ONE: "1" }, timeout: MINUTES * 60_000 },
    );
    const results = stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
    if (status !== 0) results.push({ plan: "-", outcome: "crash", why: `ended with ${signal ?? status}` });
    for (const { plan, outcome, why } of results) {
      console.log(`${name}  ${plan}  ${outcome}${why === undefined ? "" : `: ${why}`}`);
      const key = `${plan} ${outcome}`;
      totals[key] = (totals[key] ?? 0) + 1;
    }
  }
  console.log(`\n${files.length} models`);
  for (const key of Object.keys(totals).sort()) console.log(`${key}: ${totals[key]}`);
}

async function compareOne(path) {
  let expected;
  let input;
  let graph;
  try {
    graph = parseModel(path, readFileSync(path));
    const { source, image } = findImage(graph);
    const length = (known) => (typeof known === "number" ? known : Number(side));
    const batch = typeof image.batch === "number" ? image.batch : 1;
    const shape = [batch, image.channels, length(image.height), length(image.width)];
    input = { data: noise(shape.reduce((a, b) => a * b)), shape, isBytes: image.type === "uint8" };
    if (input.isBytes) input.data = input.data.map((value) => Math.round(127.5 * (value + 1)));
    expected = await run(source, new Tensor("float32", input.data, shape));
  } catch (error) {
    say({ plan: "-", outcome: isOurs(error) ? "no image model" : "crash", why: error.message });
    return;
  }
  for (const plan of PLANS)
    try {
      const { graph: converted } = convertGraph(graph, { plan, memoryLimit: MEMORY });
      const whole = toWholeBlocks(input.data, input.shape);
      const { data, shape } = compress(whole.data, whole.shape);
      const found = await run(converted, new Tensor("float32", data, shape));
      const difference = Math.max(...expected.map((tensor, i) => differenceOf(tensor, found[i])));
      const outcome = difference <= MOST_DIFFERENCE ? "agrees" : "differs";
      say({ plan, outcome, why: difference.toExponential(1) });
    } catch (error) {
      say({
        plan,
        outcome: isOurs(error) ? "refused" : "crash",
        why: isOurs(error) ? error.message : error.stack,
      });
    }
}

const say = (result) => console.log(JSON.stringify(result));
const isOurs = (error) => error instanceof JpegDomainError;

/** Smooth like a photograph, with a little noise; the same in every run. */
function noise(length) {
  let state = 1;
  return Float32Array.from({ length }, (_, at) => {
    state = (state * 48271) % 2147483647;
    return 0.8 * Math.sin(at / 37) + 0.2 * ((2 * state) / 2147483647 - 1);
  });
}

async function run(graph, tensor) {
  const session = await openSession(graph);
  try {
    const results = await session.run({ [session.inputNames[0]]: tensor });
    return session.outputNames.map((name) => results[name]);
  } catch (error) {
    throw new JpegDomainError(`ONNX Runtime does not run it: ${error.message.split("\n")[0]}`);
  } finally {
    await session.release();
  }
}

/** The largest difference between two tensors, divided by the largest value; whole numbers and text are equal or not. */
function differenceOf(expected, found) {
  if (expected.dims.join() !== found?.dims.join()) return Number.POSITIVE_INFINITY;
  const [a, b] = [expected.data, found.data];
  if (!(a instanceof Float32Array))
    return a.every((value, at) => value === b[at]) ? 0 : Number.POSITIVE_INFINITY;
  let [difference, largest] = [0, 1];
  for (let at = 0; at < a.length; at++) {
    if (Object.is(a[at], b[at])) continue;
    difference = Math.max(difference, Math.abs(a[at] - b[at]));
    largest = Math.max(largest, Math.abs(a[at]));
    if (Number.isNaN(a[at] - b[at])) return Number.POSITIVE_INFINITY;
  }
  return difference / largest;
}

if (process.env.COMPARE_ONE) await compareOne(target);
else compareAll(target);
