/** A thread of a pool: takes files, and returns outputs, or planes if the network runs elsewhere. */
// This import must come first; native-calls.ts says why.
import "./native-calls.js";
import { parentPort, workerData } from "node:worker_threads";
import type { JpegDamage } from "@jpeg-domain/coefficients";
import { type SentError, sendError } from "./failure.js";
import { modulesLoaded, uninterrupted } from "./native-calls.js";
import type { Network } from "./network.js";
import type { Outputs } from "./outputs.js";
import { fromFiles, type JpegFile, openPipeline, planesOf, preprocessorFor } from "./pipeline.js";
import type { SessionOptions } from "./session.js";

export interface WorkerSettings {
  network: Network;
  batch: number;
  /** For the network in this thread; without it, the thread only makes planes. */
  session: SessionOptions | undefined;
}

/** Files to work on, or the end. */
export type Request = { files: JpegFile[] } | "close";
/** One entry per file, in order. */
export type Reply = (
  | { outputs: Outputs; damage?: JpegDamage[] }
  | { planes: Float32Array; damage?: JpegDamage[] }
  | { failed: SentError }
)[];

const port = parentPort;
if (port === null) throw new Error("this module runs in a worker thread only");
const { network, batch, session } = workerData as WorkerSettings;
const preprocessor = preprocessorFor(network);
const opened = session && uninterrupted(() => openPipeline(network, batch, session));
// If opening fails, each file gets the error.
opened?.catch(() => undefined);

async function work(files: JpegFile[]): Promise<Reply> {
  if (opened === undefined)
    return files.map((file) => {
      const result = planesOf(file, preprocessor, network);
      return result.error ? { failed: sendError(result.error) } : result;
    });
  try {
    const results = await (await opened).run(files, fromFiles(preprocessor, network));
    return results.map((result) => (result.error ? { failed: sendError(result.error) } : result));
  } catch (error) {
    const failed = sendError(error as Error);
    return files.map(() => ({ failed }));
  }
}

/** The buffers to transfer with a reply, each once. An array that is only part of a buffer is copied instead. */
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

/** Sends a reply. If it cannot be sent, each of its files gets the error. */
function answer(reply: Reply): void {
  try {
    parentPort?.postMessage(reply, buffers(reply));
  } catch (error) {
    const failed = sendError(error as Error);
    parentPort?.postMessage(reply.map(() => ({ failed })) satisfies Reply);
  }
}

// One request at a time: the next may arrive while this one runs.
let last: Promise<void> = Promise.resolve();
port.on("message", (request: Request) => {
  last = last.then(async () => {
    if (request === "close") {
      const pipeline = await opened?.catch(() => undefined);
      if (pipeline) await uninterrupted(() => pipeline.close());
      // The thread ends when nothing keeps it alive.
      port.unref();
      return;
    }
    answer(await uninterrupted(() => work(request.files)));
  });
});
modulesLoaded();
