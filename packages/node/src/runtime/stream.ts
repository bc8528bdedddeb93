/**
 * Processes items in parallel and yields the results in order. At most `window` items are taken from the source ahead of
 * the consumer, so memory stays bounded.
 */
export async function* inOrder<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  window: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const running: Promise<R>[] = [];
  let next: Promise<IteratorResult<T>> | undefined;
  let isOver = false;
  try {
    while (!isOver || running.length > 0) {
      if (!isOver && running.length < window) next ??= Promise.resolve(items.next());
      const [first] = running;
      const item = next?.then((value) => ({ value }));
      // Results do not wait for a slow source. The source waits for results only while the window is full.
      const arrived = await Promise.race(
        [item, first?.then(() => undefined)].filter((each) => each !== undefined),
      );
      if (arrived === undefined) {
        yield await (running.shift() as Promise<R>);
        continue;
      }
      next = undefined;
      if (arrived.value.done) isOver = true;
      else running.push(work(arrived.value.value));
    }
  } finally {
    // If the source is still producing an item, `return` would wait for that item.
    if (!isOver && next === undefined) await items.return?.();
    await Promise.allSettled(running);
  }
}
