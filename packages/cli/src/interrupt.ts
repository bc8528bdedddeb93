/** Exit status of work that was stopped, as shells set it: 128 plus the signal's number. */
export const [INTERRUPTED, BROKEN_PIPE] = [128 + 2, 128 + 13];

let work: AbortController | undefined;
let isEnding = false;
const cleanups = new Set<() => void>();

/**
 * Runs work with a signal that the first Ctrl-C or {@link endWith} aborts; its reason is the exit status. A second Ctrl-C
 * ends the process as usual.
 */
export function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  work = controller;
  listen();
  return run(controller.signal).finally(() => {
    work = undefined;
    listen();
  });
}

/** Runs `cleanup` before Ctrl-C ends the process. Call the returned function to cancel this. */
export function beforeInterrupt(cleanup: () => void): () => void {
  cleanups.add(cleanup);
  listen();
  return () => {
    cleanups.delete(cleanup);
    listen();
  };
}

/** Listens for Ctrl-C only if there is something to do: without a listener, Node ends the process at once. */
function listen(): void {
  process.removeListener("SIGINT", interrupt);
  if (work !== undefined || cleanups.size > 0) process.on("SIGINT", interrupt);
}

function interrupt(): void {
  if (work !== undefined && !work.signal.aborted) {
    work.abort(INTERRUPTED);
    return;
  }
  for (const cleanup of cleanups) cleanup();
  process.removeListener("SIGINT", interrupt);
  process.kill(process.pid, "SIGINT");
}

/**
 * Ends the process. Interruptible work is only told to stop, and cleans up: ONNX Runtime aborts the process if its
 * threads are ended while they run a network.
 */
export function endWith(status: number): void {
  if (isEnding) return;
  isEnding = true;
  if (work === undefined) process.exit(status);
  work.abort(status);
}
