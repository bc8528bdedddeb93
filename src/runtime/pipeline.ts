/** One thread's way from files to outputs: `bytes → planes → (coefficients →) network`. */
import { readFileSync } from "node:fs";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import { JpegDomainError } from "../errors.js";
import { volume } from "../onnx/graph.js";
import { compress } from "../transform/images.js";
import { fillPlanes } from "./entrance.js";
import { describeFailure } from "./failure.js";
import type { Network } from "./network.js";
import { openSession, type SessionOptions } from "./session.js";
import { sourceFailure } from "./source.js";

/** A JPEG file: its bytes, or its path. */
export type JpegSource = Uint8Array | string;

/** What a model gives for one image. */
export interface ModelOutput {
  data: Float32Array;
  /** Without the batch: `[classes]` for a classifier. */
  shape: number[];
}

/** By the names of the model's outputs. */
export type Outputs = Record<string, ModelOutput>;

/** What became of one file. */
export type JpegResult = { outputs: Outputs; error?: never } | { outputs?: never; error: Error };

/** The planes of one file, or why there are none. */
export type PlanesResult = { planes: Float32Array; error?: never } | { planes?: never; error: Error };

/** Reads a file and writes its planes to `out`; returns why it could not, if so. */
export function enter(source: JpegSource, network: Network, out: Float32Array): Error | undefined {
  const failure = sourceFailure(source);
  if (failure) return failure;
  try {
    const bytes = typeof source === "string" ? readFileSync(source) : source;
    fillPlanes(bytes, network.preprocess, network.planes, out);
    return undefined;
  } catch (error) {
    return describeFailure(error);
  }
}

/** Enters a file into memory of its own. */
export function planesOf(source: JpegSource, network: Network): PlanesResult {
  const planes = new Float32Array(planeLength(network));
  const error = enter(source, network, planes);
  return error === undefined ? { planes } : { error };
}

export const planeLength = ({ planes: { channels, height, width } }: Network): number =>
  channels * height * width;

export type Fill<T> = (image: T, planes: Float32Array) => Error | undefined;

/** Fills in the planes of files, on this thread. */
export const fromFiles =
  (network: Network): Fill<JpegSource> =>
  (source, planes) =>
    enter(source, network, planes);

/** Fills in planes that were made elsewhere. */
export const fromPlanes: Fill<PlanesResult> = ({ planes, error }, out) => {
  if (planes) out.set(planes);
  return error;
};

export interface Pipeline {
  outputNames: readonly string[];
  /** Images, at most a batch of them, to outputs. `fill` writes the planes of one, or returns why it cannot. */
  run<T>(images: readonly T[], fill: Fill<T>): Promise<JpegResult[]>;
  close(): Promise<void>;
}

/** Opens a network on this thread. `batch` is the most images that will be run at once. */
export async function openPipeline(
  network: Network,
  batch: number,
  options: SessionOptions = {},
): Promise<Pipeline> {
  const session = await openSession(network.model, options);
  const length = planeLength(network);
  const fixed = network.fixedBatch ?? 1;
  const capacity = Math.ceil(batch / fixed) * fixed;
  /** Batches' planes that no run uses at the moment; new memory would cost more time than a small network does. */
  const spare: Float32Array[] = [];

  async function run<T>(images: readonly T[], fill: Fill<T>) {
    const planes = spare.pop() ?? new Float32Array(capacity * length);
    try {
      const results: (JpegResult | undefined)[] = [];
      let count = 0;
      for (const image of images) {
        const error = fill(image, planes.subarray(count * length, (count + 1) * length));
        if (error === undefined) count++;
        results.push(error && { error });
      }
      const rows = count === 0 ? [] : await runRows(session, network, planes, count);
      return results.map((result) => result ?? (rows.shift() as JpegResult));
    } finally {
      spare.push(planes);
    }
  }

  return {
    outputNames: session.outputNames,
    run,
    close: () => session.release(),
  };
}

/** The outputs of the first `count` planes. A failure of the network is every file's. */
async function runRows(
  session: InferenceSession,
  network: Network,
  planes: Float32Array,
  count: number,
): Promise<JpegResult[]> {
  const rows = network.fixedBatch ?? count;
  const length = planeLength(network);
  const results: JpegResult[] = [];
  try {
    for (let from = 0; from < count; from += rows) {
      const part = planes.subarray(from * length, (from + rows) * length);
      const made = await session.run({ [session.inputNames[0] as string]: inputTensor(network, part, rows) });
      for (let row = 0; row < Math.min(rows, count - from); row++)
        results.push({ outputs: outputsOf(made, row, rows) });
    }
    return results;
  } catch (error) {
    const failed = { error: describeFailure(error) };
    return Array.from({ length: count }, (_, i) => results[i] ?? failed);
  }
}

function inputTensor({ planes: { channels, height, width }, table }: Network, data: Float32Array, n: number) {
  const shape = [n, channels, height, width];
  if (table === undefined) return new Tensor("float32", data, shape);
  const { data: coefficients, shape: grid } = compress(...wholeBlocks(data, shape), { table });
  return new Tensor("float32", coefficients, grid);
}

/** Planes with zeros to the right and below, where their sides are no multiples of 8. */
function wholeBlocks(planes: Float32Array, shape: number[]): [planes: Float32Array, shape: number[]] {
  const [n, channels, height, width] = shape as [number, number, number, number];
  const [rows, columns] = [8 * Math.ceil(height / 8), 8 * Math.ceil(width / 8)];
  if (rows === height && columns === width) return [planes, shape];
  const padded = new Float32Array(n * channels * rows * columns);
  for (let plane = 0; plane < n * channels; plane++)
    for (let y = 0; y < height; y++) {
      const from = (plane * height + y) * width;
      padded.set(planes.subarray(from, from + width), (plane * rows + y) * columns);
    }
  return [padded, [n, channels, rows, columns]];
}

/** The part of every output that belongs to one image of the batch. */
function outputsOf(made: InferenceSession.OnnxValueMapType, row: number, rows: number): Outputs {
  return Object.fromEntries(
    Object.entries(made).map(([name, value]) => {
      const { data, dims } = value as Tensor;
      if (rows > 1 && dims[0] !== rows)
        throw new JpegDomainError(
          `output "${name}" is [${dims.join(", ")}] for ${rows} images, so it cannot be told which part is whose; expected batch 1`,
        );
      const shape = dims[0] === rows ? dims.slice(1) : [...dims];
      const length = volume(shape);
      const values = data.slice(row * length, (row + 1) * length) as ArrayLike<number | bigint>;
      return [
        name,
        { data: values instanceof Float32Array ? values : Float32Array.from(values, Number), shape },
      ];
    }),
  );
}
