/** One thread's way from files to outputs: `bytes → planes → (coefficients →) network`. */
import { type InferenceSession, Tensor } from "onnxruntime-node";
import { repeated } from "../convert/other-inputs.js";
import { JpegDomainError } from "../errors.js";
import type { JpegDamage } from "../jpeg/image.js";
import { fillPlanes } from "../preprocess/preprocessor.js";
import { compress } from "../transform/images.js";
import { describeFailure } from "./failure.js";
import type { Network } from "./network.js";
import { fits, type Outputs, outputsOf, type ReadOutput } from "./outputs.js";
import { MOST_BYTES, readRegularFile } from "./read-file.js";
import { openSession, type SessionOptions } from "./session.js";
import { sourceFailure } from "./source.js";

/** A JPEG file: its bytes, or its path. */
export type JpegSource = Uint8Array | string;

/** What became of one file. `damage`: what of it was damaged or missing; absent for a sound file. */
export type JpegResult =
  | { outputs: Outputs; damage?: JpegDamage[]; error?: never }
  | { outputs?: never; damage?: never; error: Error };

/** The planes of one file, or why there are none. */
export type PlanesResult =
  | { planes: Float32Array; damage?: JpegDamage[]; error?: never }
  | { planes?: never; damage?: never; error: Error };

/** What became of a file on its way to planes. */
export type Entered = { damage?: JpegDamage[]; error?: never } | { damage?: never; error: Error };

/** Reads a file and writes its planes to `out`. */
export function enter(source: JpegSource, network: Network, out: Float32Array): Entered {
  const error = sourceFailure(source);
  if (error) return { error };
  try {
    const bytes = typeof source === "string" ? readRegularFile(source, MOST_BYTES.jpeg) : source;
    return damageOf(fillPlanes(bytes, network.preprocess, network.planes, out, network.reading));
  } catch (error) {
    return { error: describeFailure(error) };
  }
}

/** The damage alone, where there is some. */
export const damageOf = ({ damage }: { damage?: JpegDamage[] }): { damage?: JpegDamage[] } =>
  damage ? { damage } : {};

/** Enters a file into memory of its own. */
export function planesOf(source: JpegSource, network: Network): PlanesResult {
  const planes = new Float32Array(planeLength(network));
  const entered = enter(source, network, planes);
  return entered.error ? entered : { planes, ...damageOf(entered) };
}

export const planeLength = ({ planes: { channels, height, width } }: Network): number =>
  channels * height * width;

/** Nothing to say of a sound image may be `undefined`. */
export type Fill<T> = (image: T, planes: Float32Array) => Entered | undefined;

/** Fills in the planes of files, on this thread. */
export const fromFiles =
  (network: Network): Fill<JpegSource> =>
  (source, planes) =>
    enter(source, network, planes);

/** Fills in planes that were made elsewhere. */
export const fromPlanes: Fill<PlanesResult> = (image, out) => {
  if (image.error) return image;
  out.set(image.planes);
  return damageOf(image);
};

export interface Pipeline {
  /** Images, at most a batch of them, to outputs. `fill` writes the planes of one, or says why it cannot. */
  run<T>(images: readonly T[], fill: Fill<T>): Promise<JpegResult[]>;
  close(): Promise<void>;
}

/** Bytes of planes that go through a network at once, at most. */
const MOST_BATCH_BYTES = 2 ** 31;

function checkBatch(network: Network, batch: number): void {
  const most = Math.max(1, Math.floor(MOST_BATCH_BYTES / (4 * planeLength(network))));
  if (batch > most)
    throw new JpegDomainError(
      `batch is ${batch}, expected at most ${most}: its planes would take more than ${MOST_BATCH_BYTES / 2 ** 30} GiB`,
    );
}

/** Opens a network on this thread. `batch` is the most images that will be run at once. */
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
  /** Batches' planes that no run uses at the moment; new memory would cost more time than a small network does. */
  const spare: Float32Array[] = [];

  async function run<T>(images: readonly T[], fill: Fill<T>) {
    const planes = spare.pop() ?? new Float32Array(capacity * length);
    try {
      const entries: Entered[] = [];
      let count = 0;
      for (const image of images) {
        const entered = fill(image, planes.subarray(count * length, (count + 1) * length)) ?? {};
        if (!entered.error) count++;
        entries.push(entered);
      }
      const rows = count === 0 ? [] : await runRows(planes, count);
      return entries.map((entered) => {
        if (entered.error) return entered;
        const row = rows.shift() as JpegResult;
        return row.error ? row : { ...row, ...damageOf(entered) };
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

/** The outputs of the first `count` planes. A failure of the network is every file's that it was run on. */
type RunRows = (planes: Float32Array, count: number) => Promise<JpegResult[]>;

function rowRunner(session: InferenceSession, network: Network): RunRows {
  const { outputs, fixedBatch } = network;
  const length = planeLength(network);
  const fetches = outputs.map(({ value }) => value);
  const others = otherFeeds(network);
  let isTogether = network.isTogether;

  /** The outputs of the `rows` images from `from` on, or why there are none. */
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
      const rows = fixedBatch ?? (isTogether ? count : 1);
      const made = await run(planes, from, rows);
      const isOff = made instanceof Error || !fits(made, outputs, rows);
      if (isOff && rows > 1 && fixedBatch === undefined) {
        // The model says that it takes any number of images, and does not: one by one, it may.
        isTogether = false;
        continue;
      }
      for (let row = 0; row < Math.min(rows, count - from); row++)
        results.push(made instanceof Error ? { error: made } : partOf(made, outputs, row, rows));
    }
    return results;
  };
}

/** The tensors of the inputs beside the image, for so many images. */
function otherFeeds({ others }: Network): (rows: number) => Record<string, Tensor> {
  const made = new Map<number, Record<string, Tensor>>();
  return (rows) => {
    let feeds = made.get(rows);
    if (feeds === undefined) {
      feeds = Object.fromEntries(
        others.map((input) => {
          const { type, data, dims } = input.isBatched ? repeated(input, rows) : input;
          return [input.name, new Tensor(type as Tensor.Type, data as never, dims)];
        }),
      );
      made.set(rows, feeds);
    }
    return feeds;
  };
}

function partOf(
  made: Record<string, Tensor>,
  outputs: readonly ReadOutput[],
  row: number,
  rows: number,
): JpegResult {
  try {
    return { outputs: outputsOf(made, outputs, row, rows) };
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
