/** Repeats the notebook stage by stage on real data. `jpeg-domain demo` runs this, and the report shows it. */
import { arch, cpus } from "node:os";
import { compress, decompress, JpegDomainError } from "@jpeg-domain/coefficients";
import { convertGraph, type Graph, readOnnx, writeOnnx } from "@jpeg-domain/conversion";
import { compareLogits, type Evaluation, evaluate, openClassifier } from "@jpeg-domain/node";
import { formatCount, formatPercent, formatSmall } from "jpeg-domain/internal";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { mersenne } from "pure-rand/generator/mersenne";
import { type ImageSet, type LabelledImages, labelledPlanes, paddedSize, planes } from "../data/mnist.js";
import { type Candidate, CONVERSIONS, comparePlans, convertedCandidate, spatialCandidate } from "./plans.js";
import { RELU_GRAPHS, reluErrors } from "./relu-error.js";
import {
  type CoefficientPicture,
  type Digit,
  type FrequencyPoint,
  labelOf,
  type NotebookReport,
  type TrainingPoint,
} from "./results.js";

/** Shows one stage. */
export interface Stage {
  update(done: number): void;
  /** A message during the stage. */
  note(text: string): void;
  /** The result, in a few words. */
  done(result: string): void;
}

export interface NotebookOptions {
  /** The model's name in the report. */
  modelName: string;
  /** Test images for the sweep over n. Default 500. */
  sweep?: number;
  /** Random blocks for the ReLU figure. Default one million. */
  blocks?: number;
  seed?: number;
  /** Whether to measure the exploded plan too, which needs gigabytes. Default true. */
  exploded?: boolean;
  stage(label: string, total: number, unit: string): Stage;
}

const BATCH = 128;
const ROUNDS = 10;

/**
 * Runs all stages for a spatial model and a data set.
 * @throws {JpegDomainError} if the model does not take the images, or cannot be converted
 */
export async function runNotebook(
  model: Uint8Array,
  set: ImageSet,
  options: NotebookOptions,
): Promise<NotebookReport> {
  const seconds: Record<string, number> = {};
  const stage = async <T>(
    label: string,
    total: number,
    unit: string,
    work: (shown: Stage) => Promise<[T, string]>,
  ) => {
    const shown = options.stage(label, total, unit);
    const start = performance.now();
    const [result, text] = await work(shown);
    seconds[label] = (performance.now() - start) / 1000;
    shown.done(text);
    return result;
  };
  const pick = picker(options.seed ?? 0);
  const graph = readOnnx(model);
  const test = labelledPlanes(set.test);

  const spatial = await openClassifier(model);
  checkSize(spatial, test);
  const onPixels = await stage("evaluate the spatial model", test.count, "images", async ({ update }) => {
    const result = await evaluate(spatial, test, { onProgress: update });
    return [result, accuracyText(result)];
  });

  const transform = await stage(
    "compress and decompress all images",
    set.train.count + set.test.count,
    "images",
    async ({ update }) => {
      const result = await roundTrip([set.train, set.test], update);
      return [result, `largest pixel difference ${formatSmall(result.error)}`];
    },
  );

  const conversions = CONVERSIONS.filter(({ plan }) => plan !== "exploded" || (options.exploded ?? true));
  const converted = await stage("convert", conversions.length, "models", async ({ update }) => {
    const results = conversions.map((conversion, i) => {
      const result = convertedCandidate(model, conversion);
      update(i + 1);
      return result;
    });
    const slowest = Math.max(...results.map(({ milliseconds }) => milliseconds));
    return [results, `${results.length} models, each within ${Math.ceil(slowest)} ms`];
  });

  const classes = onPixels.logits.length / test.count;
  const evaluateConverted = (label: string, { file }: Candidate) =>
    stage(label, test.count, "images", async ({ update }) => {
      const classifier = await openClassifier(file);
      const result = await evaluate(classifier, test, { onProgress: update });
      await classifier.close();
      const logits = compareLogits(onPixels.logits, result.logits, classes);
      const difference = `largest logit difference ${formatSmall(logits.maxLogitDifference)}`;
      return [{ ...withoutLogits(result), ...logits }, `${accuracyText(result)}, ${difference}`];
    });
  const [fusedExact, fusedAsm] = converted as [Candidate, Candidate];
  const exact = await evaluateConverted("evaluate exact, n = 14", fusedExact);
  const asm10 = await evaluateConverted("evaluate ASM, n = 10", fusedAsm);

  const frequencies = await stage("sweep n = 0 … 14", RELU_GRAPHS, "models", async ({ update }) => {
    const points = await sweep(graph, test, onPixels.logits, options.sweep ?? 500, update);
    return [points, `${RELU_GRAPHS} models on ${formatCount(points[0]?.total ?? 0)} images each`];
  });

  const rmse = await stage("error of ASM and APX against ReLU", RELU_GRAPHS, "graphs", async ({ update }) => {
    const blocks = options.blocks ?? 1e6;
    const points = await reluErrors({ blocks, seed: options.seed ?? 0, onProgress: update });
    return [points, `${formatCount(blocks)} random blocks`];
  });
  await spatial.close();
  const peakBytes = peakMemory();

  const candidates = [spatialCandidate(model), ...converted];
  const plans = await stage("time every plan side by side", 1, "of the rounds", async ({ update, note }) => {
    const batch = Math.min(BATCH, test.count);
    const measured = await comparePlans(candidates, test.planes(0, batch), batch, {
      rounds: ROUNDS,
      onProgress: (done, total) => update(done / total),
      onLarge: note,
    });
    return [measured, `${ROUNDS} rounds at batch ${batch}, interleaved`];
  });
  const speedOf = (wanted: Candidate) =>
    plans.find((plan) => labelOf(plan) === labelOf(wanted))?.imagesPerSecond ?? Number.NaN;

  return {
    dataset: set.name,
    model: options.modelName,
    spatial: { ...withoutLogits(onPixels), imagesPerSecond: speedOf(candidates[0] as Candidate) },
    exact: { ...exact, imagesPerSecond: speedOf(fusedExact) },
    asm10: { ...asm10, imagesPerSecond: speedOf(fusedAsm) },
    plans,
    frequencies,
    rmse,
    training: trainingCurve(graph),
    trainDigits: digits(set.train, pick(set.train.count, 10)),
    testDigits: digits(set.test, pick(set.test.count, 10)),
    reconstructedDigits: reconstructed(set.test, pick(set.test.count, 10)),
    coefficients: coefficientPicture(set.test, pick(set.test.count, 1)[0] as number),
    reconstructionError: transform.error,
    conversionMilliseconds: Object.fromEntries(
      converted.map((conversion) => [labelOf(conversion), conversion.milliseconds]),
    ),
    peakBytes,
    peakBytesWithEveryPlan: peakMemory(),
    seconds,
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()} (${arch()})`,
    versions: { node: process.versions.node },
  };
}

/** The most memory that this process has used so far, in bytes. */
const peakMemory = () => process.resourceUsage().maxRSS * 1024;

async function sweep(
  graph: Graph,
  test: ReturnType<typeof labelledPlanes>,
  logits: Float32Array,
  limit: number,
  update: (done: number) => void,
): Promise<FrequencyPoint[]> {
  const points: FrequencyPoint[] = [];
  const samples = { ...test, count: Math.min(limit, test.count) };
  const classes = logits.length / test.count;
  const wanted = logits.subarray(0, samples.count * classes);
  for (const relu of ["asm", "apx"] as const)
    for (let n = 0; n <= 14; n++) {
      const { graph: converted } = convertGraph(graph, { relu: relu === "asm" ? { asm: n } : { apx: n } });
      const classifier = await openClassifier(writeOnnx(converted));
      const { correct, total, logits: got } = await evaluate(classifier, samples);
      await classifier.close();
      const { maxLogitDifference } = compareLogits(wanted, got, classes);
      points.push({ n, relu, correct, total, maxLogitDifference });
      update(points.length);
    }
  return points;
}

/** Compresses and decompresses sets in parts; returns the largest difference of a pixel. */
async function roundTrip(sets: LabelledImages[], update: (done: number) => void): Promise<{ error: number }> {
  const part = 5000;
  let [error, done] = [0, 0];
  for (const set of sets) {
    const { rows, columns } = paddedSize(set);
    for (let from = 0; from < set.count; from += part) {
      const to = Math.min(set.count, from + part);
      const pixels = planes(set, { from, to });
      const { data } = decompress(compress(pixels, [to - from, 1, rows, columns]));
      for (let i = 0; i < data.length; i++)
        error = Math.max(error, Math.abs((data[i] as number) - (pixels[i] as number)));
      done += to - from;
      update(done);
      await new Promise(setImmediate);
    }
  }
  return { error };
}

function digits(set: LabelledImages, indices: number[]): Digit[] {
  const size = paddedSize(set);
  return indices.map((index) => ({
    pixels: planes(set, [index]),
    ...size,
    label: set.labels[index] as number,
  }));
}

function reconstructed(set: LabelledImages, indices: number[]): Digit[] {
  return digits(set, indices).map((digit) => {
    const shape = [1, 1, digit.rows, digit.columns];
    return { ...digit, pixels: decompress(compress(digit.pixels, shape)).data };
  });
}

function coefficientPicture(set: LabelledImages, index: number): CoefficientPicture {
  const [digit] = digits(set, [index]) as [Digit];
  const { data, shape } = compress(digit.pixels, [1, 1, digit.rows, digit.columns]);
  return { data, blocksHigh: shape[2] as number, blocksWide: shape[3] as number, label: digit.label, digit };
}

/** The training curve that `jpeg-domain train` writes to the model's metadata. */
function trainingCurve(graph: Graph): TrainingPoint[] {
  try {
    const { history } = JSON.parse(graph.metadata.get("training") ?? "{}") as { history?: unknown };
    return Array.isArray(history) ? history.filter(isTrainingPoint) : [];
  } catch {
    // Another program's metadata may have an entry with this name.
    return [];
  }
}

function isTrainingPoint(value: unknown): value is TrainingPoint {
  const { epoch, step, loss, testAccuracy = 0 } = (value ?? {}) as Partial<TrainingPoint>;
  return [epoch, step, loss, testAccuracy].every(Number.isFinite);
}

/** Picks distinct indices, the same for the same seed. */
function picker(seed: number): (count: number, wanted: number) => number[] {
  const random = mersenne(seed);
  return (count, wanted) => {
    const picked = new Set<number>();
    while (picked.size < Math.min(wanted, count)) picked.add(uniformInt(random, 0, count - 1));
    return [...picked];
  };
}

const withoutLogits = ({ logits: _, ...rest }: Evaluation & { logits: Float32Array }): Evaluation => rest;

const accuracyText = ({ correct, total }: Evaluation) =>
  `${formatCount(correct)} of ${formatCount(total)}, ${formatPercent(correct / total)}`;

function checkSize(
  { channels, height, width }: { channels: number; height: number; width: number },
  { rows, columns }: { rows: number; columns: number },
): void {
  if (channels !== 1 || height !== rows || width !== columns)
    throw new JpegDomainError(
      `the model takes planes of ${channels}x${height}x${width}, but the test images give 1x${rows}x${columns}`,
    );
}
