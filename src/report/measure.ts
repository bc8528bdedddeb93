/** One of several things timed side by side. */
export interface Contestant {
  name: string;
  /** What one call of `run` does, in the unit that is reported (images, steps). */
  amount: number;
  /** Calls of `run` in a round; more for what is quick, so that every turn is long enough to time. Default 1. */
  calls?: number;
  run(): Promise<unknown>;
}

/**
 * Times contestants in turn, A B C A B C …, so that a drift of the machine's speed meets them all. A turn
 * of several calls begins with one that is not timed: what the one before left in the caches is not its fault. Returns the amount a second of each round, by name.
 */
export async function interleave(
  contestants: Contestant[],
  rounds: number,
  onTurn: (done: number) => void = () => {},
): Promise<Map<string, number[]>> {
  const speeds = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  let turns = 0;
  for (let round = 0; round < rounds; round++)
    for (const { name, amount, calls = 1, run } of contestants) {
      if (calls > 1) await run();
      const start = performance.now();
      for (let call = 0; call < calls; call++) await run();
      speeds.get(name)?.push((amount * calls * 1000) / (performance.now() - start));
      onTurn(++turns);
    }
  return speeds;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
