/** A pool of worker threads: callers submit single files, threads get them in batches. */
import type { Worker } from "node:worker_threads";
import { type JpegDamage, JpegDomainError } from "@jpeg-domain/coefficients";
import { describeFailure, receiveError } from "./failure.js";
import { startThread } from "./native-calls.js";
import type { Outputs } from "./outputs.js";
import type { JpegFile } from "./pipeline.js";
import { ownBytes, sourceFailure } from "./source.js";
import type { Reply, Request, WorkerSettings } from "./worker.js";

/** A thread's result for one file. */
export type PoolResult =
  | { outputs: Outputs; damage?: JpegDamage[]; planes?: never; error?: never }
  | { planes: Float32Array; damage?: JpegDamage[]; outputs?: never; error?: never }
  | { error: Error; damage?: never; outputs?: never; planes?: never };

export interface Pool {
  /** Never rejects: a failure is the file's result. */
  submit(source: JpegFile): Promise<PoolResult>;
  /** Ends the threads; files not yet started get an error. */
  close(): Promise<void>;
}

export interface PoolOptions extends WorkerSettings {
  threads: number;
  /** Another worker module, for tests. */
  url?: URL;
}

interface Job {
  source: JpegFile;
  /** A thread ended while it had this file among others. It runs alone next time, to show which file caused it. */
  isSuspect: boolean;
  resolve(result: PoolResult): void;
}

interface Thread {
  worker: Worker;
  /** Batches that were sent but not yet answered, in order. */
  sent: Job[][];
}

/** Batches at a thread: the one in progress and the next, so that it never waits for this thread. */
const AHEAD = 2;

export function openPool({ threads, url, ...settings }: PoolOptions): Pool {
  const queue: Job[] = [];
  const pool = new Set<Thread>();
  let [isScheduled, isClosed] = [false, false];

  function start(): Thread {
    const worker = startThread(
      url ?? new URL("./worker.js", import.meta.url),
      settings satisfies WorkerSettings,
    );
    const thread: Thread = { worker, sent: [] };
    let reason = "";
    worker.on("message", (reply: Reply) => {
      const jobs = thread.sent.shift() as Job[];
      for (const [i, { resolve }] of jobs.entries()) resolve(received(reply[i]));
      // While the pool closes, the process must stay alive until the thread ends.
      if (thread.sent.length === 0 && !isClosed) worker.unref();
      schedule();
    });
    worker.on("error", (error) => {
      reason = `: ${error.message}`;
    });
    worker.on("exit", (code) => {
      pool.delete(thread);
      const [current = [], ...next] = thread.sent;
      const [only] = current;
      if (current.length === 1 && only)
        only.resolve({
          error: new JpegDomainError(`the thread that read this file ended with status ${code}${reason}`),
        });
      else queue.unshift(...current.map((job) => ({ ...job, isSuspect: true })));
      queue.unshift(...next.flat());
      schedule();
    });
    // Only a thread with work keeps the process alive.
    worker.unref();
    pool.add(thread);
    return thread;
  }

  function take(): Job[] {
    if (queue[0]?.isSuspect) return queue.splice(0, 1);
    const suspect = queue.findIndex((job) => job.isSuspect);
    const most = suspect < 0 ? queue.length : suspect;
    return queue.splice(0, Math.min(settings.batch, Math.max(1, Math.ceil(most / threads))));
  }

  function dispatch(): void {
    isScheduled = false;
    if (isClosed) return;
    try {
      while (queue.length > 0 && pool.size < Math.min(threads, queue.length)) start();
    } catch (error) {
      // The system gives no more threads: the running ones take the work.
      if (pool.size === 0) for (const { resolve } of queue.splice(0)) resolve(failed(error));
    }
    for (let ahead = 0; ahead < AHEAD; ahead++)
      for (const thread of pool) {
        // Only full batches are sent ahead: a smaller one may still grow.
        const isReady = ahead === 0 || queue.length >= settings.batch;
        if (thread.sent.length !== ahead || queue.length === 0 || !isReady) continue;
        send(thread, take());
      }
  }

  function send({ worker, sent }: Thread, taken: Job[]): void {
    const [jobs, files]: [Job[], JpegFile[]] = [[], []];
    for (const job of taken)
      try {
        // Sending transfers the memory, so the caller's bytes are copied first.
        files.push(typeof job.source === "string" ? job.source : ownBytes(job.source));
        jobs.push(job);
      } catch (error) {
        job.resolve(failed(error));
      }
    if (jobs.length === 0) {
      schedule();
      return;
    }
    sent.push(jobs);
    worker.ref();
    const moved = files.flatMap((file) => (typeof file === "string" ? [] : [file.buffer as ArrayBuffer]));
    worker.postMessage({ files } satisfies Request, moved);
  }

  function schedule(): void {
    if (isClosed) for (const { resolve } of queue.splice(0)) resolve({ error: closedError() });
    if (isScheduled || queue.length === 0) return;
    isScheduled = true;
    // Later, so that all files submitted now go out together.
    setImmediate(dispatch);
  }

  return {
    async submit(source) {
      const error = sourceFailure(source);
      if (error) return { error };
      // Not at once, so that a caller in a loop lets other work run.
      if (isClosed) return new Promise((resolve) => setImmediate(resolve, { error: closedError() }));
      return new Promise((resolve) => {
        queue.push({ source, isSuspect: false, resolve });
        schedule();
      });
    },
    async close() {
      isClosed = true;
      schedule();
      const ends = Array.from(pool, ({ worker }) => {
        worker.ref();
        const ended = new Promise((end) => worker.once("exit", end));
        worker.postMessage("close" satisfies Request);
        return ended;
      });
      await Promise.all(ends);
    },
  };
}

export const closedError = () => new JpegDomainError("the model was closed before this file was read");

const failed = (error: unknown): PoolResult => ({ error: describeFailure(error) });

function received(entry: Reply[number] | undefined): PoolResult {
  if (entry === undefined)
    return { error: new JpegDomainError("the thread that read this file gave no answer") };
  return "failed" in entry ? { error: receiveError(entry.failed) } : entry;
}
