/**
 * Keeps a process that ends from cutting off native calls. Node ends the threads of a process that exits wherever they
 * are. A call into ONNX Runtime goes on until it is done, finds that it may no longer make JavaScript values, and its
 * binding answers with an exception that nothing catches: the process aborts (status 134). So a thread says when it is
 * inside, and an ending process waits for it to come out, and lets it in no more.
 *
 * This module has to be the first that a thread imports: loading the binding is such a call as well.
 */
import { isMainThread, Worker, workerData } from "node:worker_threads";

/** What a thread and the one that started it share: one of these states. */
type CallState = Int32Array<SharedArrayBuffer>;
const [OUTSIDE, INSIDE, ENDING] = [0, 1, 2];

/** A call that takes longer is cut off all the same: an exit that never comes is worse than its status. */
const PATIENCE_MS = 30_000;

/** Of this thread, if {@link startThread} started it. */
const own = isMainThread ? undefined : (workerData as { callState?: CallState } | null)?.callState;
let depth = 0;

function enter(state: CallState): void {
  if (depth++ > 0) return;
  // Whoever ends the process ends this wait with it.
  while (Atomics.compareExchange(state, 0, OUTSIDE, INSIDE) === ENDING) Atomics.wait(state, 0, ENDING);
}

function leave(state: CallState): void {
  if (--depth > 0) return;
  Atomics.store(state, 0, OUTSIDE);
  Atomics.notify(state, 0);
}

/** Work that must not be cut off. On other threads than a pool's it is not: nobody ends them. */
export async function uncut<T>(work: () => Promise<T>): Promise<T> {
  if (own === undefined) return work();
  enter(own);
  try {
    return await work();
  } finally {
    leave(own);
  }
}

/** The thread's modules are loading, up to {@link loaded}. */
if (own !== undefined) {
  enter(own);
  // A thread that fails on its own leaves nobody waiting.
  process.once("exit", () => {
    Atomics.store(own, 0, OUTSIDE);
    Atomics.notify(own, 0);
  });
}

export function loaded(): void {
  if (own !== undefined) leave(own);
}

const states = new Set<CallState>();

/**
 * Starts a thread, and has the end of the process wait for its native calls. `data` is its workerData.
 * @throws {Error} where the system gives no more threads
 */
export function startThread(module: URL, data: object): Worker {
  const callState: CallState = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  // Flags that the process has for a script of its own, as --input-type, would end a thread.
  const worker = new Worker(module, { workerData: { ...data, callState }, execArgv: [] });
  if (states.size === 0) process.on("exit", endCalls);
  states.add(callState);
  worker.once("exit", () => {
    states.delete(callState);
    if (states.size === 0) process.removeListener("exit", endCalls);
  });
  return worker;
}

function endCalls(): void {
  const until = Date.now() + PATIENCE_MS;
  for (const state of states)
    while (Atomics.compareExchange(state, 0, OUTSIDE, ENDING) === INSIDE) {
      const left = until - Date.now();
      if (left <= 0 || Atomics.wait(state, 0, INSIDE, left) === "timed-out") break;
    }
}
