/**
 * Works on items side by side and yields the results in their order. At most `window` items are taken from the source
 * beyond what was yielded, so that memory stays bounded whatever the source and the consumer do.
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
      // Results do not wait for a slow source, and the source does not wait for results until the window is full.
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
    // A source that is at work on its next item would only return after it.
    if (!isOver && next === undefined) await items.return?.();
    await Promise.allSettled(running);
  }
}
