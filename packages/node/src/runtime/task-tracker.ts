/** Keeps track of running tasks, so that closing can wait for them. */
export interface TaskTracker {
  readonly isClosed: boolean;
  /** Runs `task`; after {@link close} it returns `whenClosed()` instead. */
  run<T>(task: () => Promise<T>, whenClosed: () => T): Promise<T>;
  /** Starts no more tasks, and waits for the running ones. */
  close(): Promise<void>;
}

export function trackTasks(): TaskTracker {
  const running = new Set<Promise<unknown>>();
  let isClosed = false;
  return {
    get isClosed() {
      return isClosed;
    },
    async run(task, whenClosed) {
      if (isClosed) return whenClosed();
      const result = task();
      running.add(result);
      try {
        return await result;
      } finally {
        running.delete(result);
      }
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(running);
    },
  };
}
