/**
 * Other people's models, converted with the plan `fused`, against the spatial models in the same runtime: time at each
 * batch, in turn, and the largest difference of any output, relative to the largest output.
 *
 * The models are in a folder, which test/reference/models.py fills with torchvision's architectures:
 *
 *   /usr/bin/python3 test/reference/models.py --full FOLDER && jpeg-domain bench models FOLDER
 *
 * The network takes planes, so this measures the network alone, with the inverse transform.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { compress, JpegDomainError } from "@jpeg-domain/coefficients";
import { toWholeBlocks } from "@jpeg-domain/coefficients/internal";
import { convertGraph, writeOnnx } from "@jpeg-domain/conversion";
import { findImage } from "@jpeg-domain/conversion/internal";
import { openSession, parseModel } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import {
  columns,
  interleave,
  median,
  openProgress,
  positiveInteger,
  print,
  printJson,
  readInput,
  withFile,
} from "jpeg-domain/internal";
import { type InferenceSession, Tensor } from "onnxruntime-node";

interface Flags {
  batch: number[];
  rounds: number;
  side: number;
  only?: string;
  threads?: number;
  json?: boolean;
}

interface Row {
  model: string;
  batch: number;
  spatialMilliseconds: number;
  fusedMilliseconds: number;
  ratio: number;
  difference: number;
  /** Why the first operator takes coefficients or pixels. */
  first: string;
}

const REQUIRED = { ratio: 0.97, difference: 1e-4 };
/** A turn of each model lasts about this long. */
const TURN_SECONDS = 0.1;

export const command = () =>
  new Command("models")
    .description("the models in a folder, fused against spatial: time and difference")
    .argument("<folder>", "folder of .onnx files; test/reference/models.py --full fills one")
    .option("--batch <n,n>", "images per batch", (text) => text.split(",").map(positiveInteger), [1, 16])
    .option("--rounds <n>", "rounds", positiveInteger, 15)
    .option("--side <n>", "height and width if the model leaves them open", positiveInteger, 224)
    .option("--only <text>", "models whose name contains it")
    .option("--threads <n>", "threads of ONNX Runtime (default: all cores)", positiveInteger)
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run(folder: string, flags: Flags): Promise<void> {
  const names = (await withFile(folder, () => readdir(folder))).filter(
    (name) => name.endsWith(".onnx") && name.includes(flags.only ?? ""),
  );
  if (names.length === 0)
    throw new JpegDomainError(`${folder}: nothing is measured: the folder has no such .onnx files`);
  const progress = openProgress({ label: "models", total: names.length, unit: "models" });
  const rows: Row[] = [];
  for (const [i, name] of names.sort().entries()) {
    const path = join(folder, name);
    rows.push(...(await withFile(path, async () => measure(path, await readInput(path), flags))));
    progress.update(i + 1, name);
  }
  progress.stop();
  if (flags.json) {
    await printJson({ rounds: flags.rounds, required: REQUIRED, models: rows });
    return;
  }
  const table = rows.map((row) => [
    row.model,
    String(row.batch),
    row.spatialMilliseconds.toFixed(2),
    row.fusedMilliseconds.toFixed(2),
    row.ratio.toFixed(3),
    row.difference.toExponential(1),
  ]);
  await print(...columns([["model", "batch", "spatial ms", "fused ms", "ratio", "difference"], ...table]));
  await print("", `required: ratio ${REQUIRED.ratio}, difference ${REQUIRED.difference.toExponential(0)}`);
}

async function measure(path: string, bytes: Uint8Array, flags: Flags): Promise<Row[]> {
  const model = basename(path, ".onnx");
  const source = parseModel(path, bytes);
  const { image } = findImage(source);
  const { graph, report } = convertGraph(source);
  const options = flags.threads ? { intraOpNumThreads: flags.threads } : {};
  const sessions = [await openSession(writeOnnx(source), options), await openSession(graph, options)];
  const [height, width] = [image.height, image.width].map((n) => (typeof n === "number" ? n : flags.side));
  const rows: Row[] = [];
  for (const batch of typeof image.batch === "number" ? [image.batch] : flags.batch) {
    const shape = [batch, image.channels, height as number, width as number];
    const planes = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => 2 * noise(i));
    const whole = toWholeBlocks(planes, shape);
    const packed = compress(whole.data, whole.shape);
    const inputs = [new Tensor("float32", planes, shape), new Tensor("float32", packed.data, packed.shape)];
    const runs = sessions.map(
      (session, i) => () => session.run({ [session.inputNames[0] as string]: inputs[i] as Tensor }),
    );
    const [spatial, fused] = runs as [Run, Run];
    const difference = relativeDifference(await spatial(), await fused());
    const start = performance.now();
    await spatial();
    const calls = Math.max(1, Math.round((1000 * TURN_SECONDS) / (performance.now() - start)));
    const contestants = runs.map((run, i) => ({ name: String(i), amount: 1, calls, run }));
    const speeds = await interleave(contestants, flags.rounds);
    const [a, b] = [speeds.get("0") ?? [], speeds.get("1") ?? []];
    rows.push({
      model,
      batch,
      spatialMilliseconds: 1000 / median(a),
      fusedMilliseconds: 1000 / median(b),
      ratio: median(b.map((speed, round) => speed / (a[round] as number))),
      difference,
      first: report[0]?.reason ?? "",
    });
  }
  for (const session of sessions) await session.release();
  return rows;
}

type Run = () => Promise<InferenceSession.OnnxValueMapType>;

/** A number between -1 and 1 that depends only on i. */
const noise = (i: number) => (Math.sin(i * 12.9898) * 43758.5453) % 1;

/** The largest difference between two results' outputs, relative to each output's largest value. */
function relativeDifference(a: Awaited<ReturnType<Run>>, b: Awaited<ReturnType<Run>>): number {
  const differences = Object.keys(a).map((name) => {
    const [x, y] = [a, b].map((results) => (results[name] as Tensor).data as Float32Array) as [
      Float32Array,
      Float32Array,
    ];
    const size = x.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
    return x.reduce((most, value, i) => Math.max(most, Math.abs(value - (y[i] as number))), 0) / size;
  });
  return Math.max(...differences);
}
