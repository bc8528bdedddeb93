/// <reference lib="esnext.disposable" preserve="true" />
/** A model that takes JPEG files: `bytes → coefficients → planes → network → outputs`, on as many threads as pay. */
import { availableParallelism } from "node:os";
import type { InferenceSession } from "onnxruntime-node";
import type { Metadata } from "../convert/metadata.js";
import type { ConvertOptions } from "../convert/options.js";
import type { InputValues } from "../convert/other-inputs.js";
import { loadingBytes } from "../convert/plan.js";
import { JpegDomainError } from "../errors.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import type { PlaneSize } from "../preprocess/preprocessor.js";
import { type Batcher, batcher } from "./batcher.js";
import { checkMemory, freeBytes } from "./classifier.js";
import { describeFailure } from "./failure.js";
import { openGate } from "./gate.js";
import { type OpenedNetwork, openNetwork } from "./network.js";
import type { OutputInfo } from "./outputs.js";
import {
  fromFiles,
  fromPlanes,
  type JpegResult,
  type JpegSource,
  openPipeline,
  type PlanesResult,
  planeLength,
} from "./pipeline.js";
import { closed, openPool, type Pool, type PoolResult } from "./pool.js";
import type { SessionOptions } from "./session.js";
import { checkFiles } from "./source.js";
import { inOrder } from "./stream.js";

/** How {@link loadModel} opens a model. */
export interface ModelOptions extends Pick<ConvertOptions, "plan" | "relu"> {
  /**
   * How photographs are prepared, all of it or parts. The other parts are as the model's metadata say, else as
   * torchvision does it, which {@link JpegModel.assumed} tells.
   */
  preprocess?: Partial<Preprocess>;
  /**
   * Images that go through the network at once; by default as many as measured best for their size. It is 1 whatever is
   * asked for where an output's first axis is not the batch, as in `[detections, 6]`.
   */
  batch?: number;
  /**
   * Threads that work on files side by side: by default one for each core. With 1, all is done on the calling thread.
   */
  threads?: number;
  /** Files that may be in work or waiting for the consumer at a time; by default enough for all threads. */
  window?: number;
  /**
   * Values of the model's inputs beside the image, such as `{ scale_factor: [1, 1] }`. Of an input whose first axis is
   * the batch, those of one image; every image gets them. A model that has such inputs is refused without them.
   */
  inputs?: InputValues;
  /** The names of the outputs that are computed and given; by default all. */
  outputs?: readonly string[];
  /**
   * Damaged files are errors. By default they are read as libjpeg reads them, and `damage` of their result says what was
   * missing.
   */
  strict?: boolean;
  /** The largest file, in pixels of its full size; a larger one is an error. 268 million by default, as sharp's. */
  maxPixels?: number;
  /** ONNX Runtime's: `["cuda"]`, `["webgpu"]`, `["coreml"]`, `["dml"]`; by default the CPU. */
  executionProviders?: InferenceSession.SessionOptions["executionProviders"];
  /** Other settings of ONNX Runtime's sessions. */
  session?: SessionOptions;
}

/** An open model. */
export interface JpegModel {
  /** The size of the planes that enter the network. */
  planes: PlaneSize;
  preprocess: Preprocess;
  outputNames: readonly string[];
  /** What the model gives for an image, as it declares it. */
  outputs: readonly OutputInfo[];
  /** What the file says of its conversion; `undefined` for a spatial model. */
  metadata: Metadata | undefined;
  /** What the model did not say and was assumed, as a sentence. */
  assumed: string | undefined;
  /** The classes' names, where the model is a folder that has them. */
  labels: readonly string[] | undefined;
  /** Images that go through the network at once, at most. */
  batch: number;
  threads: number;
  /**
   * Files of any sizes and samplings to outputs, one result a file, in their order. A file that fails has its error in
   * its place. A few files are done on the calling thread, many by all threads.
   */
  run(jpegs: readonly JpegSource[]): Promise<JpegResult[]>;
  /**
   * The same for any number of files: takes them from `jpegs` as it goes, and yields the results in their order. At
   * most a window of files is in memory.
   */
  stream(
    jpegs: Iterable<JpegSource> | AsyncIterable<JpegSource>,
  ): AsyncGenerator<JpegResult, void, undefined>;
  /**
   * Ends the threads and frees the model. Files in work are finished, those not begun get an error in their place;
   * `run` and `stream` are refused from then on. Closing again is no mistake, and waits for the same end.
   */
  close(): Promise<void>;
  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Floats of planes that a batch should hold at least: small images cost more to hand over than to compute. */
const BATCH_FLOATS = 2 ** 17;
const MAX_BATCH = 64;
const MAX_THREADS = 64;
/** On an accelerator. */
const DEVICE_BATCH = 16;
/** So many batches a thread are worth starting threads for. */
const WORTH_THREADS = 8;

/**
 * Opens a model for JPEG files.
 *
 * @param model - an ONNX file, converted or spatial: its bytes or its path; or the path of a folder as model hubs have
 *   them: `onnx/model.onnx` or `model.onnx`, with the classes' names in `config.json` and the preprocessing in
 *   `preprocessor_config.json`
 * @throws {JpegDomainError} where it is no model of images, or ONNX Runtime refuses it
 */
export async function loadModel(model: Uint8Array | string, options: ModelOptions = {}): Promise<JpegModel> {
  const network = await openNetwork(model, options);
  const refusal = network.metadata && checkMemory(`the ${network.metadata.plan} model`, network.metadata);
  if (refusal) throw new JpegDomainError(refusal);
  const onCpu = isCpu(options.executionProviders);
  const settings = settingsOf(network, options, onCpu);
  const { batch, threads, window, session } = settings;
  const pipeline = await openPipeline(network, batch, session);
  const gate = openGate();
  const instead = (items: readonly unknown[]) => items.map(() => ({ error: closed() }));
  const runFiles = (files: readonly JpegSource[]) =>
    gate.pass<JpegResult[]>(
      () => pipeline.run(files, fromFiles(network)),
      () => instead(files),
    );
  const runPlanes = (images: readonly PlanesResult[]) =>
    gate.pass<JpegResult[]>(
      () => pipeline.run(images, fromPlanes),
      () => instead(images),
    );
  const here = oneByOne(batcher(batch, runFiles));
  const pool = threads > 1 ? lazyPool(keep(network), settings, onCpu) : undefined;
  const submit = pool ? submitter(pool, oneByOne(batcher(batch, runPlanes))) : here;
  const open = (name: string, files: unknown) => {
    if (gate.isClosed) throw new JpegDomainError(`the model is closed, expected ${name} before close`);
    checkFiles(name, files);
  };
  let ending: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([gate.close(), pool?.close()]);
    // What the threads made last may still be on its way to the network.
    await gate.close();
    await pipeline.close();
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
      open("run", jpegs);
      if (jpegs.length === 1) return runFiles(jpegs);
      const isMany = pool !== undefined && jpegs.length >= WORTH_THREADS * threads * batch;
      const work = isMany || pool?.isOpen() ? submit : here;
      const results: JpegResult[] = [];
      for await (const result of inOrder(jpegs, window, work)) results.push(result);
      return results;
    },
    async *stream(jpegs) {
      open("stream", jpegs);
      yield* inOrder(jpegs, window, submit);
    },
    close: () => (ending ??= close()),
    [Symbol.asyncDispose]: () => (ending ??= close()),
  };
}

/**
 * The model's bytes in memory that is ours, which all threads share: the pool opens with its first files, when the
 * caller may long have used his for something else.
 */
function keep(network: OpenedNetwork): OpenedNetwork {
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
  const usual = onCpu ? cpuBatch(network) : DEVICE_BATCH;
  const asked = whole("batch", options.batch ?? network.fixedBatch ?? usual);
  const batch = network.isTogether ? asked : 1;
  const threads = Math.min(MAX_THREADS, whole("threads", options.threads ?? availableParallelism()));
  return {
    batch,
    threads,
    // Two batches at every thread, and as many being collected or waiting to be consumed.
    window: whole("window", options.window ?? 4 * batch * threads),
    session: { ...options.session, ...(executionProviders && { executionProviders }) },
  };
}

/** Images at a time that are fastest on a CPU: large ones one by one, which stay in its caches. */
export const cpuBatch = (network: OpenedNetwork): number =>
  Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_FLOATS / planeLength(network))));

function whole(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new JpegDomainError(`${name} is ${value}, expected a whole number from 1`);
}

/**
 * The network on the CPU runs in every thread of the pool, on one core each: that keeps all cores busy with no waiting
 * for one another. Copies of a large network may not fit; then fewer threads have one, with more cores each.
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
  submit(source: JpegSource): Promise<PoolResult>;
}

/** A pool that starts with its first file. */
function lazyPool(network: OpenedNetwork, { batch, threads, session }: Settings, onCpu: boolean): LazyPool {
  let pool: Pool | undefined;
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
    submit(source) {
      pool ??= open();
      return pool.submit(source);
    },
    close: async () => pool?.close(),
  };
}

/** The way of a file through the pool and, where that gives planes only, through the network on this thread. */
function submitter(pool: LazyPool, network: (planes: PlanesResult) => Promise<JpegResult>) {
  return async (source: JpegSource): Promise<JpegResult> => {
    const result = await pool.submit(source);
    return result.planes ? network(result) : (result as JpegResult);
  };
}

/** A batcher whose failures are those of the images, so that the others keep their answers. */
const oneByOne =
  <T>({ submit }: Batcher<T, JpegResult>) =>
  (item: T): Promise<JpegResult> =>
    submit(item).catch((error: unknown) => ({ error: describeFailure(error) }));
