import { convert } from "@jpeg-domain/conversion";
import { type Classifier, openClassifier } from "@jpeg-domain/node";
import { median } from "jpeg-domain/internal";

export interface NetworkRow {
  batch: number;
  /** Milliseconds per image. */
  spatial: number;
  fused: number;
  /** The spatial network's time divided by the fused one's: the median of the turns. */
  ratio: number;
}

/** Calls per turn: a single call is too easily disturbed by other processes. */
const CALLS = 16;
/** Where a session's memory happens to be changes its speed by several per cent, so sessions are reopened. */
const OPENINGS = 5;

/** Compares the fused network alone with the spatial one, each on its own kind of input. */
export async function compareNetworks(
  model: Uint8Array,
  batches: number[],
  rounds: number,
): Promise<NetworkRow[]> {
  const models = [model, convert(model)];
  const times = batches.map((): [spatial: number[], fused: number[]] => [[], []]);
  for (let opening = 0; opening < OPENINGS; opening++) {
    const turned = [0, 1].map((i) => (i + opening) % 2);
    const opened: Classifier[] = [];
    for (const i of turned) opened[i] = await openClassifier(models[i] as Uint8Array);
    for (const [at, batch] of batches.entries())
      for (const turn of await turns(opened, turned, batch, rounds))
        for (const i of turned) times[at]?.[i]?.push(turn[i] as number);
    for (const classifier of opened) await classifier.close();
  }
  return batches.map((batch, at) => {
    const [spatial, fused] = times[at] as [number[], number[]];
    const ratio = median(spatial.map((time, i) => time / (fused[i] as number)));
    return { batch, spatial: median(spatial), fused: median(fused), ratio };
  });
}

/** Milliseconds per image of each classifier, turn by turn, after a turn that does not count. */
async function turns(
  classifiers: Classifier[],
  order: number[],
  batch: number,
  rounds: number,
): Promise<number[][]> {
  const { channels, height, width } = classifiers[0] as Classifier;
  const planes = Float32Array.from({ length: batch * channels * height * width }, (_, i) => Math.sin(i / 50));
  const inputs = classifiers.map((classifier) => classifier.prepare(planes));
  const calls = Math.max(1, Math.floor(CALLS / batch));
  const all: number[][] = [];
  for (let round = 0; round <= rounds; round++) {
    const turn: number[] = [];
    for (const i of order) {
      const start = performance.now();
      for (let call = 0; call < calls; call++) await classifiers[i]?.run(inputs[i] as (typeof inputs)[0]);
      turn[i] = (performance.now() - start) / calls / batch;
    }
    if (round > 0) all.push(turn);
  }
  return all;
}
