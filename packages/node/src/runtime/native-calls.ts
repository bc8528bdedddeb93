/**
 * Makes an exiting process wait for native calls. When a process exits, Node stops its threads wherever they are. A call
 * into ONNX Runtime still runs to its end, then may no longer create JavaScript values, and its binding throws an
 * exception that nothing catches: the process aborts (status 134). So each thread marks when it is inside a native call.
 * An exiting process waits until the call returns, and lets the thread start no other.
 *
 * A thread must import this module first, because loading the binding is such a call too.
 */
import { isMainThread, Worker, workerData } from "node:worker_threads";

/** Shared by a thread and the thread that started it; holds one of these states. */
type CallState = Int32Array<SharedArrayBuffer>;
const [OUTSIDE, INSIDE, ENDING] = [0, 1, 2];

/** A longer call is cut off: a wrong exit status is better than no exit. */
const PATIENCE_MS = 30_000;

/** The state of this thread, if {@link startThread} started it. */
const own = isMainThread ? undefined : (workerData as { callState?: CallState } | null)?.callState;
let depth = 0;

function enter(state: CallState): void {
  if (depth++ > 0) return;
  // While the process is ending, this waits until it has ended.
  while (Atomics.compareExchange(state, 0, OUTSIDE, INSIDE) === ENDING) Atomics.wait(state, 0, ENDING);
}

function leave(state: CallState): void {
  if (--depth > 0) return;
  Atomics.store(state, 0, OUTSIDE);
  Atomics.notify(state, 0);
}

/** Runs work that must not be cut off. Only a pool's threads need it: nothing stops other threads. */
export async function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  if (own === undefined) return work();
  enter(own);
  try {
    return await work();
  } finally {
    leave(own);
  }
}

/** The thread is inside while its modules load, until {@link modulesLoaded}. */
if (own !== undefined) {
  enter(own);
  // If the thread itself fails, nobody must wait for it.
  process.once("exit", () => {
    Atomics.store(own, 0, OUTSIDE);
    Atomics.notify(own, 0);
  });
}

export function modulesLoaded(): void {
  if (own !== undefined) leave(own);
}

const states = new Set<CallState>();

/**
 * Starts a thread whose native calls the process waits for when it exits. `data` is its workerData.
 * @throws {Error} if the system gives no more threads
 */
export function startThread(module: URL, data: object): Worker {
  const callState: CallState = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  // Flags for the process's own script, such as --input-type, would end a thread.
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
