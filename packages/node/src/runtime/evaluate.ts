import type { Classifier } from "./classifier.js";

/** Labelled planes, read a batch at a time. */
export interface LabelledPlanes {
  count: number;
  /** `[count]`. */
  labels: Uint8Array;
  /** The planes `[to - from, C, H, W]` of samples `from` up to and not including `to`. */
  planes(from: number, to: number): Float32Array;
}

/** How well logits fit labels. */
export interface Score {
  correct: number;
  total: number;
  /** Mean cross-entropy, in nats. */
  meanLoss: number;
}

export interface Evaluation extends Score {
  /** For the network alone: its input tensors are made before the clock starts. */
  imagesPerSecond: number;
}

export interface EvaluationOptions {
  /** Default 128. */
  batch?: number;
  onProgress?(done: number): void;
}

/** Runs a classifier over all samples. Also returns the logits, `[count, classes]`. */
export async function evaluate(
  classifier: Classifier,
  samples: LabelledPlanes,
  { batch = 128, onProgress }: EvaluationOptions = {},
): Promise<Evaluation & { logits: Float32Array }> {
  const parts: Float32Array[] = [];
  let seconds = 0;
  for (let from = 0; from < samples.count; from += batch) {
    const to = Math.min(samples.count, from + batch);
    const input = classifier.prepare(samples.planes(from, to));
    const start = performance.now();
    parts.push(await classifier.run(input));
    seconds += (performance.now() - start) / 1000;
    onProgress?.(to);
  }
  const logits = concatenate(parts);
  const result = score(logits, samples.labels.subarray(0, samples.count));
  return { ...result, imagesPerSecond: samples.count / seconds, logits };
}

/** Correct predictions and mean cross-entropy of logits `[N, classes]`: loss = log Σ exp(logit) - logit[label]. */
export function score(logits: Float32Array, labels: ArrayLike<number>): Score {
  const classes = logits.length / labels.length;
  let [correct, loss] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const largest = Math.max(...row);
    if (argmax(row) === label) correct++;
    loss +=
      largest +
      Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0)) -
      (row[label] ?? Number.NaN);
  }
  return { correct, total: labels.length, meanLoss: loss / labels.length };
}

/** Compares two sets of logits `[N, classes]` for the same images. */
export function compareLogits(
  a: Float32Array,
  b: Float32Array,
  classes: number,
): { maxLogitDifference: number; samePredictions: number } {
  let maxLogitDifference = 0;
  for (let i = 0; i < a.length; i++)
    maxLogitDifference = Math.max(maxLogitDifference, Math.abs((a[i] as number) - (b[i] as number)));
  let samePredictions = 0;
  for (let from = 0; from < a.length; from += classes)
    if (argmax(a.subarray(from, from + classes)) === argmax(b.subarray(from, from + classes)))
      samePredictions++;
  return { maxLogitDifference, samePredictions };
}

const argmax = (row: Float32Array): number => row.indexOf(Math.max(...row));

export function concatenate(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
