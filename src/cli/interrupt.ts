/** Exit status of work that was stopped, as shells have it: 128 and the signal's number. */
export const [INTERRUPTED, BROKEN_PIPE] = [128 + 2, 128 + 13];

let stop: ((status: number) => void) | undefined;
let isEnding = false;

/**
 * Hands `work` a signal that the first Ctrl-C raises, or {@link endWith}; its reason is the exit status. The second
 * Ctrl-C ends the process as usual.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  stop = (status) => controller.abort(status);
  const interrupt = () => controller.abort(INTERRUPTED);
  process.once("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.removeListener("SIGINT", interrupt);
    stop = undefined;
  }
}

/**
 * Ends the process. Interruptible work is told to stop, and what follows it still happens: ONNX Runtime aborts where
 * its threads are ended while they run a network.
 */
export function endWith(status: number): void {
  if (isEnding) return;
  isEnding = true;
  if (stop === undefined) process.exit(status);
  stop(status);
}
