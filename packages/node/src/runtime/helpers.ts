/**
 * Several threads for one large file with restart markers. The calling thread takes the file's parts from the first on, its
 * helpers from the last on. The calling thread blocks until all are made, as it would without helpers; a helper that is
 * still starting, or gets no processor, costs it no time.
 */
import { Worker } from "node:worker_threads";
import type { Preprocessor } from "@jpeg-domain/conversion";
import type { HelperSettings, HelpRequest } from "./helper.js";
import { isComplete, isOver, type Job, newState, takeParts } from "./parts.js";
import type { Filler } from "./pipeline.js";

export interface Helpers extends Filler {
  /** Ends the threads. `fill` then works alone. */
  close(): Promise<void>;
}

export interface HelperOptions extends HelperSettings {
  /** All threads for one file, the calling one included. */
  threads: number;
  /** Whether other files keep the cores busy. */
  isBusy(): boolean;
}

/** Smaller files gain too little (measured). */
const LEAST_BYTES = 2 ** 18;
/** More threads gain little. */
const MOST_THREADS = 8;
/** The most shared memory that is kept from one file to the next. */
const MOST_KEPT = 2 ** 24;

/** A preprocessor whose large files are made with the help of other threads. They start with the first such file. */
export function openHelpers(
  preprocessor: Preprocessor,
  { preprocess, planes, threads, isBusy }: HelperOptions,
): Helpers {
  const most = Math.min(MOST_THREADS, threads);
  let helpers: Worker[] | undefined;
  let isClosed = most < 2;
  let last: Job | undefined;
  let memory = new SharedArrayBuffer(0);

  function start(): Worker[] {
    const workers: Worker[] = [];
    const workerData: HelperSettings = { preprocess, planes };
    try {
      while (workers.length < most - 1) {
        // Flags for the process's own script would end a thread.
        const worker = new Worker(new URL("./helper.js", import.meta.url), { workerData, execArgv: [] });
        worker.on("error", () => void close());
        worker.unref();
        workers.push(worker);
      }
    } catch {
      // The system gives no more threads.
    }
    return workers;
  }

  /** Memory that the threads share, for a file's bytes and then floats. */
  function share(bytes: number, floats: number): [bytes: Uint8Array, floats: Float32Array] {
    const at = 4 * Math.ceil(bytes / 4);
    const needed = at + 4 * floats;
    const taken = memory.byteLength < needed ? new SharedArrayBuffer(needed) : memory;
    if (needed <= MOST_KEPT) memory = taken;
    return [new Uint8Array(taken, 0, bytes), new Float32Array(taken, at, floats)];
  }

  const fill: Filler["fill"] = (file, out, options) => {
    const alone = () => preprocessor.fill(file, out, options);
    const isSmall = typeof file !== "function" && file.length < LEAST_BYTES;
    // A helper that was not waited for still uses the memory of its job.
    if (isClosed || isSmall || (last && !isOver(last)) || isBusy()) return alone();
    const split = preprocessor.split(file, most, options);
    if (split === undefined || split.bytes.length < LEAST_BYTES) return alone();
    const begin = performance.now();
    helpers ??= start();
    const { bytes, parts, headerBytes } = split;
    const [copy, made] = share(bytes.length, split.length);
    last = { bytes, parts, made, state: newState(parts.length) };
    // The first part stays with the calling thread, so only the others' bytes are copied.
    const from = parts[1]?.rows.from.offset ?? bytes.length;
    copy.set(bytes.subarray(0, headerBytes));
    copy.set(bytes.subarray(from), from);
    const numbers = parts.map((_, number) => number);
    const request: HelpRequest = { job: { ...last, bytes: copy }, numbers: numbers.slice(1).reverse() };
    for (const helper of helpers) helper.postMessage(request);
    takeParts(last, numbers, preprocessor);
    // To wait longer than it took so far is worse than to begin again.
    return isComplete(last, performance.now() - begin) ? split.finish(made, out) : alone();
  };

  async function close(): Promise<void> {
    isClosed = true;
    await Promise.all((helpers ?? []).map((helper) => helper.terminate()));
  }

  return { fill, close };
}
