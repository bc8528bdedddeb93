/** A thread of a pool: files in; outputs out, or planes where the network runs elsewhere. */
// First: see there.
import "./native-calls.js";
import { parentPort, workerData } from "node:worker_threads";
import type { JpegDamage } from "../jpeg/image.js";
import { type SentError, sendError } from "./failure.js";
import { loaded, uncut } from "./native-calls.js";
import type { Network } from "./network.js";
import type { Outputs } from "./outputs.js";
import { fromFiles, type JpegSource, openPipeline, planesOf } from "./pipeline.js";
import type { SessionOptions } from "./session.js";

export interface WorkerSettings {
  network: Network;
  batch: number;
  /** Of the network in this thread; without it, the thread makes planes only. */
  session: SessionOptions | undefined;
}

/** Files to work on, or the end. */
export type Request = { files: JpegSource[] } | "close";
/** One entry a file, in their order. */
export type Reply = (
  | { outputs: Outputs; damage?: JpegDamage[] }
  | { planes: Float32Array; damage?: JpegDamage[] }
  | { failed: SentError }
)[];

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread only");
const { network, batch, session } = workerData as WorkerSettings;
const opened = session && uncut(() => openPipeline(network, batch, session));
// A refusal is told with the files it concerns.
opened?.catch(() => undefined);

async function work(files: JpegSource[]): Promise<Reply> {
  if (opened === undefined)
    return files.map((file) => {
      const result = planesOf(file, network);
      return result.error ? { failed: sendError(result.error) } : result;
    });
  try {
    const results = await (await opened).run(files, fromFiles(network));
    return results.map((result) => (result.error ? { failed: sendError(result.error) } : result));
  } catch (error) {
    const failed = sendError(error as Error);
    return files.map(() => ({ failed }));
  }
}

/** The memory that goes with a reply: once each, and whole; of a part of something larger, the part is copied. */
function buffers(reply: Reply): ArrayBuffer[] {
  const all = reply.flatMap((entry): unknown[] => {
    if ("planes" in entry) return [entry.planes];
    return "outputs" in entry ? Object.values(entry.outputs).map(({ data }) => data) : [];
  });
  const whole = all
    .filter(ArrayBuffer.isView)
    .filter(({ byteLength, buffer }) => byteLength === buffer.byteLength);
  return Array.from(new Set(whole.map(({ buffer }) => buffer as ArrayBuffer)));
}

/** A reply that cannot be sent is its files' error. */
function answer(reply: Reply): void {
  try {
    parentPort?.postMessage(reply, buffers(reply));
  } catch (error) {
    const failed = sendError(error as Error);
    parentPort?.postMessage(reply.map(() => ({ failed })) satisfies Reply);
  }
}

// One request at a time: the next one may come while this one runs.
let last: Promise<void> = Promise.resolve();
port.on("message", (request: Request) => {
  last = last.then(async () => {
    if (request === "close") {
      const pipeline = await opened?.catch(() => undefined);
      if (pipeline) await uncut(() => pipeline.close());
      // The thread ends when nothing keeps it.
      port.unref();
      return;
    }
    answer(await uncut(() => work(request.files)));
  });
});
loaded();
