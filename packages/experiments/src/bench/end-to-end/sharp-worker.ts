/** The baseline as a thread of a pool: sharp, normalise, network, all on one core. Replies like runtime/worker.ts. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import {
  describeFailure,
  openPipeline,
  type Reply,
  type Request,
  sendError,
  type WorkerSettings,
} from "@jpeg-domain/node/internal";
import { openBaseline } from "jpeg-domain/internal";
import sharp from "sharp";

const { network, batch, session } = workerData as WorkerSettings;
sharp.concurrency(1);
const baseline = await openBaseline();
const pipeline = await openPipeline(network, batch, session);

async function answer(request: Request): Promise<void> {
  if (request === "close") {
    await pipeline.close();
    parentPort?.close();
    return;
  }
  const decoded = await Promise.all(
    request.files.map(async (file) => {
      try {
        const bytes = typeof file === "string" ? await readFile(file) : file;
        return await baseline.decode(bytes, network.preprocess);
      } catch (error) {
        return describeFailure(error);
      }
    }),
  );
  const results = await pipeline.run(decoded, (pixels, planes) => {
    if (pixels instanceof Error) return { error: pixels };
    baseline.normalize(pixels, network.preprocess, network.planes, planes);
    return undefined;
  });
  const reply: Reply = results.map(({ outputs, error }) =>
    outputs ? { outputs } : { failed: sendError(error) },
  );
  parentPort?.postMessage(reply);
}

// Replies are in the order of the requests.
let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (request: Request) => {
  last = last.then(() => answer(request));
});
