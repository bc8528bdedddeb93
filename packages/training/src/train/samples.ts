import { volume } from "@jpeg-domain/conversion/internal";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { mersenne } from "pure-rand/generator/mersenne";

/** Labelled inputs of a classifier, from any source. */
export interface Samples {
  /** Checkpoints contain it, so that training is not resumed on other data. */
  name: string;
  count: number;
  /** The shape of one input, without the batch. */
  dims: number[];
  /** All labels are below this. */
  classes: number;
  /** Writes the samples of these indices, in this order, to the start of `inputs` and `labels`. */
  fill(indices: Uint32Array, inputs: Float32Array, labels: BigInt64Array): void;
}

export interface Batch {
  /** `[N, ...dims]`, overwritten by the next batch. */
  inputs: Float32Array;
  /** `[N]`, overwritten by the next batch. */
  labels: BigInt64Array;
}

/** The samples in the given order, `size` at a time; the last batch may be smaller. */
export function* eachBatch(
  samples: Samples,
  order: Uint32Array,
  size: number,
  firstBatch = 0,
): Generator<Batch> {
  const length = volume(samples.dims);
  const most = Math.min(size, order.length);
  const inputs = new Float32Array(most * length);
  const labels = new BigInt64Array(most);
  for (let from = firstBatch * size; from < order.length; from += size) {
    const indices = order.subarray(from, from + size);
    samples.fill(indices, inputs, labels);
    yield { inputs: inputs.subarray(0, indices.length * length), labels: labels.subarray(0, indices.length) };
  }
}

/** 0 … count - 1 in an order that depends only on the seed and the epoch (Fisher & Yates). */
export function shuffledOrder(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const random = mersenne(Math.imul(seed, 0x9e3779b1) ^ epoch);
  for (let i = count - 1; i > 0; i--) {
    const j = uniformInt(random, 0, i);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
