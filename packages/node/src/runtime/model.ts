/// <reference lib="esnext.disposable" preserve="true" />
/** A model that takes JPEG files: `bytes → coefficients → planes → network → outputs`, on several threads. */
import { availableParallelism } from "node:os";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import type { ConvertOptions, InputValues, Metadata, PlaneSize, Preprocess } from "@jpeg-domain/conversion";
import { loadingBytes } from "@jpeg-domain/conversion/internal";
import type { InferenceSession } from "onnxruntime-node";
import { type Batcher, batcher } from "./batcher.js";
import { checkMemory, freeBytes } from "./classifier.js";
import { describeFailure } from "./failure.js";
import { fetching } from "./fetch.js";
import { openHelpers } from "./helpers.js";
import { type OpenedNetwork, openNetwork } from "./network.js";
import type { OutputInfo } from "./outputs.js";
import {
  type Fill,
  fromFiles,
  fromPlanes,
  type JpegFile,
  type JpegResult,
  type JpegSource,
  openPipeline,
  type PlanesResult,
  planeLength,
  preprocessorFor,
} from "./pipeline.js";
import { closedError, openPool, type Pool, type PoolResult } from "./pool.js";
import type { SessionOptions } from "./session.js";
import { checkFiles, isFile } from "./source.js";
import { inOrder } from "./stream.js";
import { trackTasks } from "./task-tracker.js";

/** How {@link loadModel} opens a model. */
export interface ModelOptions extends Pick<ConvertOptions, "plan" | "relu"> {
  /**
   * How photographs are prepared, all of it or parts. The other parts come from the model's metadata. Without metadata
   * they are torchvision's, and {@link JpegModel.assumed} says so.
   */
  preprocess?: Partial<Preprocess>;
  /**
   * Images that go through the network at once; the default depends on their size, and was measured. It is always 1 if
   * the first axis of an output is not the batch, as in `[detections, 6]`.
   */
  batch?: number;
  /**
   * Threads that process files in parallel, or parts of one large file with restart markers; by default one per core. With
   * 1, the calling thread does everything.
   */
  threads?: number;
  /** Files that may be in progress, or waiting for the consumer, at a time; by default enough for all threads. */
  window?: number;
  /**
   * Values for the model's inputs other than the image, such as `{ scale_factor: [1, 1] }`. If the first axis of an input
   * is the batch, give the values for one image; every image gets them. A model with such inputs needs their values.
   */
  inputs?: InputValues;
  /** The names of the outputs to compute and return; by default all. */
  outputs?: readonly string[];
  /**
   * Makes damaged files errors. By default they are read as libjpeg reads them, and `damage` of the result says what was
   * missing.
   */
  strict?: boolean;
  /** The largest file, in pixels at full size; a larger one is an error. The default is 268 million, as in sharp. */
  maxPixels?: number;
  /** ONNX Runtime's execution providers: `["cuda"]`, `["webgpu"]`, `["coreml"]`, `["dml"]`; by default the CPU. */
  executionProviders?: InferenceSession.SessionOptions["executionProviders"];
  /** Other options for ONNX Runtime's sessions. */
  session?: SessionOptions;
}

/** An open model. */
export interface JpegModel {
  /** The size of the planes that enter the network. */
  planes: PlaneSize;
  preprocess: Preprocess;
  outputNames: readonly string[];
  /** The outputs for one image, as the model declares them. */
  outputs: readonly OutputInfo[];
  /** What the file says about its conversion; `undefined` for a spatial model. */
  metadata: Metadata | undefined;
  /** What the model did not say and was assumed, as a sentence. */
  assumed: string | undefined;
  /** The class names, if the model is a folder that has them. */
  labels: readonly string[] | undefined;
  /** Images that go through the network at once, at most. */
  batch: number;
  threads: number;
  /**
   * Runs the model on files of any sizes and samplings. Returns one result per file, in order; a file that fails has
   * its error in its place. The calling thread does a few files itself; many files go to all threads.
   */
  run(jpegs: readonly JpegSource[]): Promise<JpegResult[]>;
  /**
   * The same for any number of files: takes them from `jpegs` as it goes, and yields the results in order. At most
   * `window` files are in memory.
   */
  stream(
    jpegs: Iterable<JpegSource> | AsyncIterable<JpegSource>,
  ): AsyncGenerator<JpegResult, void, undefined>;
  /**
   * Ends the threads and frees the model. Files in progress are finished; files not yet started get an error in their
   * place. After that, `run` and `stream` throw. Closing twice is allowed; the second call waits for the first.
   */
  close(): Promise<void>;
  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Floats that the planes of a batch should have at least: handing over small images costs more than computing them. */
const BATCH_FLOATS = 2 ** 17;
const MAX_BATCH = 64;
const MAX_THREADS = 64;
/** The default batch on an accelerator. */
const DEVICE_BATCH = 16;
/** The number of batches per thread from which it pays to start threads. */
const WORTH_THREADS = 8;

/**
 * Opens a model for JPEG files.
 *
 * @param model - an ONNX file, converted or spatial: its bytes or its path; or the path of a folder laid out as model
 *   hubs do: `onnx/model.onnx` or `model.onnx`, with the class names in `config.json` and the preprocessing in
 *   `preprocessor_config.json`
 * @throws {JpegDomainError} if it is not an image model, or ONNX Runtime refuses it
 */
export async function loadModel(model: Uint8Array | string, options: ModelOptions = {}): Promise<JpegModel> {
  const network = await openNetwork(model, options);
  const refusal = network.metadata && checkMemory(`the ${network.metadata.plan} model`, network.metadata);
  if (refusal) throw new JpegDomainError(refusal);
  const onCpu = isCpu(options.executionProviders);
  const settings = settingsOf(network, options, onCpu);
  const { batch, threads, window, session } = settings;
  const pipeline = await openPipeline(network, batch, session);
  const tasks = trackTasks();
  const run = <T>(items: readonly T[], fill: Fill<T>) =>
    tasks.run<JpegResult[]>(
      () => pipeline.run(items, fill),
      () => items.map(() => ({ error: closedError() })),
    );
  const pool = threads > 1 ? lazyPool(shareModel(network), settings, onCpu) : undefined;
  const preprocessor = preprocessorFor(network);
  const { preprocess, planes } = network;
  const isBusy = () => pool?.isBusy() ?? false;
  const helpers = openHelpers(preprocessor, { preprocess, planes, threads, isBusy });
  const runFiles = (files: readonly JpegFile[]) => run(files, fromFiles(helpers, network));
  const fetched = (work: (file: JpegFile) => Promise<JpegResult>) => fetching(preprocessor, network, work);
  const onThisThread = fetched(errorPerItem(batcher(batch, runFiles)));
  const runPlanes = errorPerItem(batcher(batch, (images: PlanesResult[]) => run(images, fromPlanes)));
  const submit = pool ? fetched(submitter(pool, runPlanes)) : onThisThread;
  const checkOpen = (name: string, files: unknown) => {
    if (tasks.isClosed) throw new JpegDomainError(`the model is closed, expected ${name} before close`);
    checkFiles(name, files);
  };
  let closing: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([tasks.close(), pool?.close(), helpers.close()]);
    // The threads' last planes may still be on their way to the network.
    await tasks.close();
    await pipeline.close();
    preprocessor.dispose();
  };
  return {
    planes: network.planes,
    preprocess: network.preprocess,
    outputNames: network.outputs.map(({ name }) => name),
    outputs: network.outputs.map(({ name, type, shape }) => ({ name, type, shape })),
    metadata: network.metadata,
    assumed: network.assumed,
    labels: network.labels,
    batch,
    threads,
    async run(jpegs) {
      checkOpen("run", jpegs);
      if (jpegs.length === 1 && jpegs.every(isFile)) return runFiles(jpegs);
      const isMany = pool !== undefined && jpegs.length >= WORTH_THREADS * threads * batch;
      const work = isMany || pool?.isOpen() ? submit : onThisThread;
      const results: JpegResult[] = [];
      for await (const result of inOrder(jpegs, window, work)) results.push(result);
      return results;
    },
    async *stream(jpegs) {
      checkOpen("stream", jpegs);
      yield* inOrder(jpegs, window, submit);
    },
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

/**
 * Copies the model's bytes into memory that all threads share. The pool opens later, with its first files; by then the
 * caller may have reused the original memory.
 */
function shareModel(network: OpenedNetwork): OpenedNetwork {
  const { model } = network;
  if (typeof model === "string") return network;
  const kept = new Uint8Array(new SharedArrayBuffer(model.length));
  kept.set(model);
  return { ...network, model: kept };
}

function isCpu(providers: ModelOptions["executionProviders"]): boolean {
  const [first] = providers ?? [];
  return first === undefined || (typeof first === "string" ? first : first.name) === "cpu";
}

interface Settings {
  batch: number;
  threads: number;
  window: number;
  session: SessionOptions;
}

function settingsOf(network: OpenedNetwork, options: ModelOptions, onCpu: boolean): Settings {
  const { executionProviders } = options;
  const defaultBatch = onCpu ? cpuBatch(network) : DEVICE_BATCH;
  const requested = positiveInteger("batch", options.batch ?? network.fixedBatch ?? defaultBatch);
  const batch = network.isBatchable ? requested : 1;
  const threads = positiveInteger("threads", options.threads ?? availableParallelism());
  return {
    batch,
    threads: Math.min(MAX_THREADS, threads),
    // Two batches at every thread, and as many again that are being collected or wait for the consumer.
    window: positiveInteger("window", options.window ?? 4 * batch * Math.min(MAX_THREADS, threads)),
    session: { ...options.session, ...(executionProviders && { executionProviders }) },
  };
}

/** The fastest batch on a CPU: large images go one at a time, because they then stay in its caches. */
export const cpuBatch = (network: OpenedNetwork): number =>
  Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_FLOATS / planeLength(network))));

function positiveInteger(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new JpegDomainError(`${name} is ${value}, expected a whole number from 1`);
}

/**
 * How many threads get a copy of the network. On the CPU every thread of the pool runs its own copy on one core, so that
 * no core waits for another. If that many copies do not fit into memory, fewer threads have one, with more cores each.
 */
function replicas(network: OpenedNetwork, threads: number): number {
  const bytes = network.metadata
    ? loadingBytes(network.metadata)
    : typeof network.model === "string"
      ? 0
      : 3 * network.model.length;
  return Math.max(1, Math.min(threads, Math.floor(freeBytes() / 2 / Math.max(1, bytes))));
}

interface LazyPool extends Pick<Pool, "close"> {
  isOpen(): boolean;
  /** Whether its threads have files. */
  isBusy(): boolean;
  submit(source: JpegFile): Promise<PoolResult>;
}

/** A pool that starts with its first file. */
function lazyPool(network: OpenedNetwork, { batch, threads, session }: Settings, onCpu: boolean): LazyPool {
  let pool: Pool | undefined;
  let files = 0;
  const open = () => {
    const { metadata, assumed, labels, ...plain } = network;
    if (!onCpu) return openPool({ network: plain, batch: 1, session: undefined, threads });
    const count = replicas(network, threads);
    const cores = Math.max(1, Math.floor(threads / count));
    return openPool({
      network: plain,
      batch,
      session: { intraOpNumThreads: cores, interOpNumThreads: 1, ...session },
      threads: count,
    });
  };
  return {
    isOpen: () => pool !== undefined,
    isBusy: () => files > 0,
    async submit(source) {
      pool ??= open();
      files++;
      try {
        return await pool.submit(source);
      } finally {
        files--;
      }
    },
    close: async () => pool?.close(),
  };
}

/** Sends a file to the pool; if the pool only makes its planes, runs the network on them on this thread. */
function submitter(pool: LazyPool, network: (planes: PlanesResult) => Promise<JpegResult>) {
  return async (source: JpegFile): Promise<JpegResult> => {
    const result = await pool.submit(source);
    return result.planes ? network(result) : (result as JpegResult);
  };
}

/** Turns a batch's failure into the error of each of its items, so that other batches keep their results. */
const errorPerItem =
  <T>({ submit }: Batcher<T, JpegResult>) =>
  (item: T): Promise<JpegResult> =>
    submit(item).catch((error: unknown) => ({ error: describeFailure(error) }));
