/** Lehmer's minimal standard generator, uniform in (0, 1): the same numbers as in `train.py`. */
export function lehmer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
}
