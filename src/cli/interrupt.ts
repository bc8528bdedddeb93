/** Exit status of work that was stopped, as shells have it: 128 and the signal's number. */
export const [INTERRUPTED, BROKEN_PIPE] = [128 + 2, 128 + 13];

let work: AbortController | undefined;
let isEnding = false;
const cleanups = new Set<() => void>();

/**
 * Hands `work` a signal that the first Ctrl-C raises, or {@link endWith}; its reason is the exit status. The second
 * Ctrl-C ends the process as usual.
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

/** Has `cleanup` run before Ctrl-C ends the process, until the function that this returns is called. */
export function beforeInterrupt(cleanup: () => void): () => void {
  cleanups.add(cleanup);
  listen();
  return () => {
    cleanups.delete(cleanup);
    listen();
  };
}

/** Listens for Ctrl-C only where something is to be done then: Node ends a process that does not at once. */
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
 * Ends the process. Interruptible work is told to stop, and what follows it still happens: ONNX Runtime aborts where
 * its threads are ended while they run a network.
 */
export function endWith(status: number): void {
  if (isEnding) return;
  isEnding = true;
  if (work === undefined) process.exit(status);
  work.abort(status);
}
