/** Runs the baseline (sharp and the spatial model) and our pipeline in turn on the same files, and times each stage. */

import { type JpegDamage, JpegDomainError } from "@jpeg-domain/coefficients";
import type { InputValues, Preprocess } from "@jpeg-domain/conversion";
import {
  classesOutput,
  fillFromFile,
  fromPlanes,
  type NetworkOptions,
  openNetwork,
  openPipeline,
  type Pipeline,
  planeLength,
  preprocessorFor,
} from "@jpeg-domain/node/internal";
import { openBaseline } from "./baseline.js";
import { median } from "./measure.js";

/** Milliseconds of each stage for a file: the median of the rounds. */
export interface FileComparison {
  ours: { preprocessing: number; network: number; total: number };
  baseline: { decode: number; normalize: number; network: number; total: number };
  sameTop1: boolean;
  /** The largest difference between logits. */
  logitDifference: number;
  largestLogit: number;
  /** The mean difference between planes, in levels of 0 to 255. */
  planeDifference: number;
  /** What was damaged or missing; absent for an undamaged file. */
  damage?: JpegDamage[];
}

/** Over all files: medians of the times, the largest differences, the geometric mean of the ratios. */
export interface Summary extends Omit<FileComparison, "sameTop1" | "damage"> {
  files: number;
  /** Files in which something was damaged or missing. */
  damaged: number;
  sameTop1: number;
  ratio: number;
}

export interface Comparison {
  assumed: string | undefined;
  compare(bytes: Uint8Array, rounds: number): Promise<FileComparison>;
  /** `undefined` if there are no files. */
  summary(files: readonly FileComparison[]): Summary | undefined;
  close(): Promise<void>;
}

/** Opens both pipelines. A spatial model serves both; a converted model also needs the spatial model it was made from. */
export async function comparePipelines(options: {
  model: string;
  spatial: string | undefined;
  preprocess: Partial<Preprocess>;
  inputs?: InputValues;
  strict?: boolean;
  maxPixels?: number;
}): Promise<Comparison> {
  const { model, spatial, ...reading } = options;
  const network = await openNetwork(model, reading);
  if (network.metadata !== undefined && spatial === undefined)
    throw new JpegDomainError(
      "it is a converted model; expected a spatial model, or its spatial model with --spatial FILE",
    );
  const { decode, normalize } = await openBaseline(reading);
  const ours = await openPipeline(network, 1);
  const baseline =
    spatial === undefined
      ? ours
      : await openSpatial(spatial, {
          preprocess: network.preprocess,
          ...(options.inputs && { inputs: options.inputs }),
        });
  const { preprocess, planes: size } = network;
  const output = (classesOutput(network.outputs) ?? network.outputs[0])?.name ?? "";
  const ourPlanes = new Float32Array(planeLength(network));
  const baselinePlanes = new Float32Array(planeLength(network));

  const preprocessor = preprocessorFor(network);
  async function runOurs(bytes: Uint8Array) {
    const start = performance.now();
    const { error, damage } = fillFromFile(bytes, preprocessor, network, ourPlanes);
    if (error) throw error;
    const prepared = performance.now();
    const logits = await logitsOf(ours, ourPlanes, output);
    const end = performance.now();
    return {
      logits,
      damage,
      times: { preprocessing: prepared - start, network: end - prepared, total: end - start },
    };
  }

  async function runBaseline(bytes: Uint8Array) {
    const start = performance.now();
    const pixels = await decode(bytes, preprocess);
    const decoded = performance.now();
    normalize(pixels, preprocess, size, baselinePlanes);
    const normalized = performance.now();
    const logits = await logitsOf(baseline, baselinePlanes, output);
    const end = performance.now();
    const times = { decode: decoded - start, normalize: normalized - decoded, network: end - normalized };
    return { logits, times: { ...times, total: end - start } };
  }

  return {
    assumed: network.assumed,
    async compare(bytes, rounds) {
      const [first, second] = [await runOurs(bytes), await runBaseline(bytes)];
      const [ourTimes, baselineTimes] = [[first.times], [second.times]];
      for (let round = 1; round < rounds; round++) {
        ourTimes.push((await runOurs(bytes)).times);
        baselineTimes.push((await runBaseline(bytes)).times);
      }
      return {
        ours: medians(ourTimes),
        baseline: medians(baselineTimes),
        sameTop1: argmax(first.logits) === argmax(second.logits),
        logitDifference: largest(first.logits, (value, i) => value - (second.logits[i] as number)),
        largestLogit: largest(second.logits, (value) => value),
        planeDifference: levels(ourPlanes, baselinePlanes, preprocess),
        ...(first.damage && { damage: first.damage }),
      };
    },
    summary(files) {
      if (files.length === 0) return undefined;
      const ratios = files.map(({ ours, baseline }) => Math.log(baseline.total / ours.total));
      return {
        files: files.length,
        damaged: files.filter(({ damage }) => damage !== undefined).length,
        sameTop1: files.filter((file) => file.sameTop1).length,
        logitDifference: Math.max(...files.map((file) => file.logitDifference)),
        largestLogit: Math.max(...files.map((file) => file.largestLogit)),
        planeDifference: mean(files.map((file) => file.planeDifference)),
        ours: medians(files.map((file) => file.ours)),
        baseline: medians(files.map((file) => file.baseline)),
        ratio: Math.exp(mean(ratios)),
      };
    },
    async close() {
      await ours.close();
      preprocessor.dispose();
      if (baseline !== ours) await baseline.close();
    },
  };
}

async function openSpatial(path: string, options: NetworkOptions): Promise<Pipeline> {
  const network = await openNetwork(path, options);
  if (network.metadata !== undefined)
    throw new JpegDomainError(`${path} is a converted model, expected its spatial model`);
  return openPipeline(network, 1);
}

async function logitsOf(
  pipeline: Pipeline,
  planes: Float32Array,
  output: string,
): Promise<Float32Array | Float64Array> {
  const [result] = await pipeline.run([{ planes }], fromPlanes);
  if (result?.error) throw result.error;
  const found = result?.outputs?.[output];
  if (found === undefined || Array.isArray(found.data))
    throw new JpegDomainError(
      `output "${output}" is ${found ? "strings" : "missing in one of the models"}, expected numbers to compare`,
    );
  return found.data;
}

function medians<Times extends Record<string, number>>(all: Times[]): Times {
  const names = Object.keys(all[0] as Times);
  return Object.fromEntries(
    names.map((name) => [name, median(all.map((times) => times[name] as number))]),
  ) as Times;
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const argmax = (values: Float32Array | Float64Array): number =>
  values.indexOf(largest(values, (value) => value, false));

function largest(
  values: Float32Array | Float64Array,
  of: (value: number, i: number) => number,
  absolute = true,
): number {
  return Float64Array.from(values).reduce((most, value, i) => {
    const found = of(value, i);
    return Math.max(most, absolute ? Math.abs(found) : found);
  }, Number.NEGATIVE_INFINITY);
}

/** The mean difference between normalised planes, in pixel levels. */
function levels(a: Float32Array, b: Float32Array, { std, rescale }: Preprocess): number {
  const plane = a.length / std.length;
  let sum = 0;
  for (let i = 0; i < a.length; i++)
    sum += Math.abs((a[i] as number) - (b[i] as number)) * ((std[Math.floor(i / plane)] as number) / rescale);
  return sum / a.length;
}
