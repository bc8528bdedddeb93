/** Runs folders of files through whole pipelines, with every core busy. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Preprocess } from "@jpeg-domain/conversion";
import { type JpegResult, loadModel } from "@jpeg-domain/node";
import { batcher, cpuBatch, inOrder, openNetwork, openPipeline, openPool } from "@jpeg-domain/node/internal";
import { median, openBaseline } from "jpeg-domain/internal";
import sharp from "sharp";

/** A pipeline that yields the results of files. */
interface Runner {
  name: string;
  run(paths: string[]): AsyncIterable<Pick<JpegResult, "outputs" | "error">>;
  close(): Promise<void>;
}

export interface Throughput {
  name: string;
  /** The median of the rounds. */
  filesPerSecond: number;
  /** Processor time per file over all threads: the median. Other processes hardly affect it. */
  cpuMilliseconds: number;
  /** The share of files whose top class is their label. */
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
/** The simplest pipeline; the others take more code. */
export const PLAIN = "sharp, one file after another";

/** Measures ours and three pipelines with sharp: the simplest, and two that keep all cores busy. */
export async function throughput(options: ThroughputOptions): Promise<Throughput[]> {
  const { paths, labels, rounds } = options;
  const runners = [
    await ours(options),
    await sharpPlain(options),
    await sharpOnLibuv(options),
    await sharpOnThreads(options),
  ];
  const speeds = new Map<string, number[]>(runners.map(({ name }) => [name, []]));
  const cpu = new Map<string, number[]>(runners.map(({ name }) => [name, []]));
  const correct = new Map<string, number>();
  try {
    // Starts the threads and compiles the code before the measurement.
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

/** The number of files whose top class is their label. */
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

/** Reads, decodes and runs one file after another. Both sharp and the network may use all cores. */
async function sharpPlain({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const network = await openNetwork(model, { preprocess });
  const baseline = await openBaseline();
  const pipeline = await openPipeline(network, 1);
  async function* run(paths: string[]) {
    sharp.concurrency(0);
    for (const path of paths) {
      const pixels = await baseline.decode(await readFile(path), network.preprocess);
      yield* await pipeline.run(
        [pixels],
        (image, planes) => void baseline.normalize(image, network.preprocess, network.planes, planes),
      );
    }
  }
  return { name: PLAIN, run, close: () => pipeline.close() };
}

/** sharp on libuv's threads, a few files at a time; the network on this thread, with all cores. */
async function sharpOnLibuv({ model, preprocess }: ThroughputOptions): Promise<Runner> {
  const network = await openNetwork(model, { preprocess });
  const batch = cpuBatch(network);
  const baseline = await openBaseline();
  const pipeline = await openPipeline(network, batch);
  const run = batcher(batch, (images: Awaited<ReturnType<typeof baseline.decode>>[]) =>
    pipeline.run(
      images,
      (pixels, planes) => void baseline.normalize(pixels, network.preprocess, network.planes, planes),
    ),
  );
  return {
    name: "sharp on libuv's threads",
    run: (paths) => {
      sharp.concurrency(1);
      return inOrder(paths, 4 * batch * availableParallelism(), async (path) =>
        run.submit(await baseline.decode(await readFile(path), network.preprocess)),
      );
    },
    close: () => pipeline.close(),
  };
}

/** Everything in as many threads as there are cores. */
async function sharpOnThreads({ model, preprocess }: ThroughputOptions): Promise<Runner> {
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
