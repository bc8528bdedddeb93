/** What one thread does from files to outputs: `bytes → planes → (coefficients →) network`. */

import {
  type ByteSource,
  compress,
  type JpegBytes,
  type JpegDamage,
  JpegDomainError,
} from "@jpeg-domain/coefficients";
import { Preprocessor } from "@jpeg-domain/conversion";
import { repeated } from "@jpeg-domain/conversion/internal";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import { describeFailure } from "./failure.js";
import type { Network } from "./network.js";
import { hasBatch, type Outputs, outputsOf, type ReadOutput } from "./outputs.js";
import { MOST_BYTES, withRegularFile } from "./read-file.js";
import { openSession, type SessionOptions } from "./session.js";
import { sourceFailure } from "./source.js";

/**
 * A JPEG file: its bytes, its path, or what its bytes come from: a `Blob`, a `ReadableStream` such as the body of a `fetch`,
 * or an async iterable of bytes such as a Node stream. All but bytes are read only as far as the network needs: of a
 * progressive file often a small part.
 */
export type JpegSource = JpegFile | ByteSource;

/** A file that any thread can read at once. */
export type JpegFile = Uint8Array | string;

/** The result for one file. `damage` says what was damaged or missing; it is absent for an undamaged file. */
export type JpegResult =
  | { outputs: Outputs; damage?: JpegDamage[]; error?: never }
  | { outputs?: never; damage?: never; error: Error };

/** The planes of one file, or why there are none. */
export type PlanesResult =
  | { planes: Float32Array; damage?: JpegDamage[]; error?: never }
  | { planes?: never; damage?: never; error: Error };

/** What {@link Fill} says about a file: its damage, or why it has no planes. */
export type FillResult = { damage?: JpegDamage[]; error?: never } | { damage?: never; error: Error };

/** Makes planes of files: a preprocessor, or one with helpers. */
export type Filler = Pick<Preprocessor, "fill">;

/** The preprocessor for a network's files. Each thread has its own. */
export const preprocessorFor = ({ preprocess, planes }: Network): Preprocessor =>
  new Preprocessor(preprocess, planes);

/** Reads a file and writes its planes to `out`. */
export function fillFromFile(
  source: JpegFile,
  preprocessor: Filler,
  { reading }: Network,
  out: Float32Array,
): FillResult {
  const error = sourceFailure(source);
  if (error) return { error };
  try {
    const fill = (file: JpegBytes) => damageOf(preprocessor.fill(file, out, reading));
    return typeof source === "string" ? withRegularFile(source, MOST_BYTES.jpeg, fill) : fill(source);
  } catch (error) {
    return { error: describeFailure(error) };
  }
}

/** The `damage` field alone, if there is one. */
const damageOf = ({ damage }: { damage?: JpegDamage[] }): { damage?: JpegDamage[] } =>
  damage ? { damage } : {};

/** Reads a file into new planes. */
export function planesOf(source: JpegFile, preprocessor: Preprocessor, network: Network): PlanesResult {
  const planes = new Float32Array(planeLength(network));
  const result = fillFromFile(source, preprocessor, network, planes);
  return result.error ? result : { planes, ...damageOf(result) };
}

export const planeLength = ({ planes: { channels, height, width } }: Network): number =>
  channels * height * width;

/** Writes an image's planes. `undefined` means that the image is undamaged. */
export type Fill<T> = (image: T, planes: Float32Array) => FillResult | undefined;

/** Fills planes from files, on this thread. */
export const fromFiles =
  (preprocessor: Filler, network: Network): Fill<JpegFile> =>
  (source, planes) =>
    fillFromFile(source, preprocessor, network, planes);

/** Copies planes that another thread made. */
export const fromPlanes: Fill<PlanesResult> = (image, out) => {
  if (image.error) return image;
  out.set(image.planes);
  return damageOf(image);
};

export interface Pipeline {
  /** Runs the network on at most a batch of images. `fill` writes the planes of one image, or says why it cannot. */
  run<T>(images: readonly T[], fill: Fill<T>): Promise<JpegResult[]>;
  close(): Promise<void>;
}

/** The most bytes of planes that go through a network at once. */
const MOST_BATCH_BYTES = 2 ** 31;

function checkBatch(network: Network, batch: number): void {
  const most = Math.max(1, Math.floor(MOST_BATCH_BYTES / (4 * planeLength(network))));
  if (batch > most)
    throw new JpegDomainError(
      `batch is ${batch}, expected at most ${most}: its planes would take more than ${MOST_BATCH_BYTES / 2 ** 30} GiB`,
    );
}

/** Opens a network on this thread. `batch` is the most images that will run at once. */
export async function openPipeline(
  network: Network,
  batch: number,
  options: SessionOptions = {},
): Promise<Pipeline> {
  checkBatch(network, batch);
  const session = await openSession(network.model, options);
  const runRows = rowRunner(session, network);
  const length = planeLength(network);
  const fixed = network.fixedBatch ?? 1;
  const capacity = Math.ceil(batch / fixed) * fixed;
  /** Memory for a batch's planes that no run is using. Allocating it anew would take longer than a small network. */
  const spare: Float32Array[] = [];

  async function run<T>(images: readonly T[], fill: Fill<T>) {
    const planes = spare.pop() ?? new Float32Array(capacity * length);
    try {
      const filled: FillResult[] = [];
      let count = 0;
      for (const image of images) {
        const result = fill(image, planes.subarray(count * length, (count + 1) * length)) ?? {};
        if (!result.error) count++;
        filled.push(result);
      }
      const rows = count === 0 ? [] : await runRows(planes, count);
      return filled.map((result) => {
        if (result.error) return result;
        const row = rows.shift() as JpegResult;
        return row.error ? row : { ...row, ...damageOf(result) };
      });
    } finally {
      spare.push(planes);
    }
  }

  return {
    run,
    close: () => session.release(),
  };
}

/** Runs the first `count` images in `planes`. If the network fails, every file in that run gets the error. */
type RunRows = (planes: Float32Array, count: number) => Promise<JpegResult[]>;

function rowRunner(session: InferenceSession, network: Network): RunRows {
  const { outputs, fixedBatch } = network;
  const length = planeLength(network);
  const fetches = outputs.map(({ value }) => value);
  const others = otherFeeds(network);
  let { isBatchable } = network;

  /** The outputs for `rows` images, the first of them number `from`, or why there are none. */
  async function run(
    planes: Float32Array,
    from: number,
    rows: number,
  ): Promise<Record<string, Tensor> | Error> {
    const part = planes.subarray(from * length, (from + rows) * length);
    try {
      const feeds = { [network.input]: inputTensor(network, part, rows), ...others(rows) };
      return (await session.run(feeds, fetches)) as Record<string, Tensor>;
    } catch (error) {
      return describeFailure(error);
    }
  }

  return async (planes, count) => {
    const results: JpegResult[] = [];
    while (results.length < count) {
      const from = results.length;
      const rows = fixedBatch ?? (isBatchable ? count : 1);
      const tensors = await run(planes, from, rows);
      const hasFailed = tensors instanceof Error || !hasBatch(tensors, outputs, rows);
      if (hasFailed && rows > 1 && fixedBatch === undefined) {
        // The model declares any batch but does not take it. Single images may work.
        isBatchable = false;
        continue;
      }
      for (let row = 0; row < Math.min(rows, count - from); row++)
        results.push(tensors instanceof Error ? { error: tensors } : partOf(tensors, outputs, row, rows));
    }
    return results;
  };
}

/** The tensors for the inputs other than the image, for a number of images. */
function otherFeeds({ others }: Network): (rows: number) => Record<string, Tensor> {
  const known = new Map<number, Record<string, Tensor>>();
  return (rows) => {
    let feeds = known.get(rows);
    if (feeds === undefined) {
      feeds = Object.fromEntries(
        others.map((input) => {
          const { type, data, dims } = input.isBatched ? repeated(input, rows) : input;
          return [input.name, new Tensor(type as Tensor.Type, data as never, dims)];
        }),
      );
      known.set(rows, feeds);
    }
    return feeds;
  };
}

function partOf(
  tensors: Record<string, Tensor>,
  outputs: readonly ReadOutput[],
  row: number,
  rows: number,
): JpegResult {
  try {
    return { outputs: outputsOf(tensors, outputs, row, rows) };
  } catch (error) {
    return { error: describeFailure(error) };
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
