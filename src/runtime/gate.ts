/** Lets work in until it is closed, and knows when the last of it has come out. */
export interface Gate {
  readonly isClosed: boolean;
  /** Does the work, or what is done instead once the gate is closed. */
  pass<T>(work: () => Promise<T>, instead: () => T): Promise<T>;
  /** Lets nothing more in, and waits for what is inside. */
  close(): Promise<void>;
}

export function openGate(): Gate {
  const inside = new Set<Promise<unknown>>();
  let isClosed = false;
  return {
    get isClosed() {
      return isClosed;
    },
    async pass(work, instead) {
      if (isClosed) return instead();
      const running = work();
      inside.add(running);
      try {
        return await running;
      } finally {
        inside.delete(running);
      }
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(inside);
    },
  };
}
