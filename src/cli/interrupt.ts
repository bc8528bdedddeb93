/** Exit status of work that Ctrl-C stopped, as shells have it: 128 + SIGINT. */
export const INTERRUPTED = 130;

/** Hands `work` a signal that the first Ctrl-C raises; the second one ends the process as usual. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once("SIGINT", abort);
  try {
    return await work(controller.signal);
  } finally {
    process.removeListener("SIGINT", abort);
  }
}
