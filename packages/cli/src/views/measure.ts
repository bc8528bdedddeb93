/** One of several things that are timed side by side. */
export interface Contestant {
  name: string;
  /** How much one call of `run` does, in the reported unit (images, steps). */
  amount: number;
  /** Calls of `run` per round; more for fast contestants, so that every turn is long enough to time. Default 1. */
  calls?: number;
  run(): Promise<unknown>;
}

/**
 * Times contestants in turn, A B C A B C …, so that a drift of the machine's speed affects all of them. A turn of several
 * calls starts with one that is not timed, which refills the caches. Returns the amount per second of each round, by name.
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
