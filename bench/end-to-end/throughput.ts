/** Folders of files through whole pipelines, every core busy. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import sharp from "sharp";
import type { Preprocess } from "../../src/preprocess/preprocess.js";
import { median } from "../../src/report/measure.js";
import { usualWay } from "../../src/report/usual.js";
import { batcher } from "../../src/runtime/batcher.js";
import { cpuBatch, loadModel } from "../../src/runtime/model.js";
import { openNetwork } from "../../src/runtime/network.js";
import { type JpegResult, openPipeline } from "../../src/runtime/pipeline.js";
import { openPool } from "../../src/runtime/pool.js";
import { inOrder } from "../../src/runtime/stream.js";

/** A pipeline over files: their results as they come. */
interface Runner {
  name: string;
  run(paths: string[]): AsyncIterable<Pick<JpegResult, "outputs" | "error">>;
  close(): Promise<void>;
}

export interface Throughput {
  name: string;
  /** The median of the rounds. */
  filesPerSecond: number;
  /** Of processor time for a file, all threads together, the median: what other processes do to it is little. */
  cpuMilliseconds: number;
  /** Of the files whose first class is their label. */
  accuracy: number | undefined;
}

export interface ThroughputOptions {
  model: string;
  preprocess: Partial<Preprocess>;
  paths: string[];
  labels?: Uint8Array;
  rounds: number;
}

const OURS = "jpeg-domain";
/** The pipeline as it is written first: the others take more code. */
export const PLAIN = "sharp, one file after another";

/** Ours, and the usual pipeline: plain, and arranged in the two ways that keep all cores busy. */
export async function throughput(options: ThroughputOptions): Promise<Throughput[]> {
  const { paths, labels, rounds } = options;
  const runners = [
    await ours(options),
    await usualPlain(options),
    await usualOnLibuv(options),
    await usualOnThreads(options),
  ];
  const speeds = new Map<string, number[]>(runners.map(({ name }) => [name, []]));
  const cpu = new Map<string, number[]>(runners.map(({ name }) => [name, []]));
  const correct = new Map<string, number>();
  try {
    // Threads start, and code is compiled, before it counts.
    for (const { run } of runners) await drain(run(paths.slice(0, 64)));
    for (let round = 0; round < rounds; round++)
      for (const { name, run } of runners) {
        const [start, before] = [performance.now(), process.cpuUsage()];
        const right = await drain(run(paths), labels);
        speeds.get(name)?.push((1000 * paths.length) / (performance.now() - start));
        const { user, system } = process.cpuUsage(before);
        cpu.get(name)?.push((user + system) / 1000 / paths.length);
        correct.set(name, right);
      }
  } finally {
    for (const { close } of runners) await close();
  }
  return runners.map(({ name }) => ({
    name,
    filesPerSecond: median(speeds.get(name) as number[]),
    cpuMilliseconds: median(cpu.get(name) as number[]),
    accuracy: labels && (correct.get(name) as number) / paths.length,
  }));
}

/** How many first classes are the labels. */
async function drain(
  results: AsyncIterable<Pick<JpegResult, "outputs" | "error">>,
  labels?: Uint8Array,
): Promise<number> {
  let [done, right] = [0, 0];
  for await (const { outputs, error } of results) {
    if (error) throw error;
    const logits = Object.values(outputs ?? {})[0]?.data as Float32Array;
    if (labels && logits.indexOf(Math.max(...logits)) === labels[done]) right++;
    done++;
  }
  return right;
}

async function ours({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const opened = await loadModel(model, { preprocess });
  return { name: OURS, run: (paths) => opened.stream(paths), close: opened.close };
}

/** Read, decode, network; then the next file. Both sharp and the network may use all cores. */
async function usualPlain({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const network = await openNetwork(model, { preprocess });
  const way = await usualWay();
  const pipeline = await openPipeline(network, 1);
  async function* run(paths: string[]) {
    sharp.concurrency(0);
    for (const path of paths) {
      const pixels = await way.decode(await readFile(path), network.preprocess);
      yield* await pipeline.run(
        [pixels],
        (image, planes) => void way.normalize(image, network.preprocess, network.planes, planes),
      );
    }
  }
  return { name: PLAIN, run, close: () => pipeline.close() };
}

/** sharp on libuv's threads, a few files at a time; the network here, on all cores. */
async function usualOnLibuv({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const network = await openNetwork(model, { preprocess });
  const batch = cpuBatch(network);
  const way = await usualWay();
  const pipeline = await openPipeline(network, batch);
  const run = batcher(batch, (images: Awaited<ReturnType<typeof way.decode>>[]) =>
    pipeline.run(
      images,
      (pixels, planes) => void way.normalize(pixels, network.preprocess, network.planes, planes),
    ),
  );
  return {
    name: "sharp on libuv's threads",
    run: (paths) => {
      sharp.concurrency(1);
      return inOrder(paths, 4 * batch * availableParallelism(), async (path) =>
        run.submit(await way.decode(await readFile(path), network.preprocess)),
      );
    },
    close: () => pipeline.close(),
  };
}

/** All of it in as many threads as there are cores. */
async function usualOnThreads({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const network = await openNetwork(model, { preprocess });
  const batch = cpuBatch(network);
  const threads = availableParallelism();
  const pool = openPool({
    network,
    batch,
    session: { intraOpNumThreads: 1, interOpNumThreads: 1 },
    threads,
    url: new URL("./sharp-worker.js", import.meta.url),
  });
  return {
    name: "sharp on worker threads",
    run: (paths) =>
      inOrder(paths, 4 * batch * threads, async (path) => (await pool.submit(path)) as JpegResult),
    close: () => pool.close(),
  };
}
