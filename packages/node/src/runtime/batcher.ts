/** Collects single items into batches while the previous batch runs. */
export interface Batcher<T, R> {
  submit(item: T): Promise<R>;
}

interface Waiting<T, R> {
  item: T;
  resolve(result: R): void;
  reject(reason: unknown): void;
}

/** Runs at most `limit` items at a time, one batch after another, in the order they came. */
export function batcher<T, R>(limit: number, run: (items: T[]) => Promise<R[]>): Batcher<T, R> {
  const queue: Waiting<T, R>[] = [];
  let isRunning = false;
  async function drain() {
    while (queue.length > 0) {
      const batch = queue.splice(0, limit);
      try {
        const results = await run(batch.map(({ item }) => item));
        for (const [i, { resolve }] of batch.entries()) resolve(results[i] as R);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      // Callers that get these results may submit more items before the next batch is taken.
      await new Promise((next) => setImmediate(next));
    }
    isRunning = false;
  }
  return {
    submit: (item) =>
      new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (isRunning) return;
        isRunning = true;
        setImmediate(() => void drain());
      }),
  };
}
