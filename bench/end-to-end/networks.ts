import { convert } from "../../src/convert/convert.js";
import { median } from "../../src/report/measure.js";
import { openClassifier } from "../../src/runtime/classifier.js";

export interface NetworkRow {
  batch: number;
  /** Milliseconds an image. */
  spatial: number;
  fused: number;
  /** The spatial network's time by the fused one's, the median of the rounds. */
  ratio: number;
}

/** Calls in a round: one alone is at the mercy of whatever else runs. */
const CALLS = 8;

/** The fused network alone against the spatial one, each on its own kind of input. */
export async function compareNetworks(
  model: Uint8Array,
  batches: number[],
  rounds: number,
): Promise<NetworkRow[]> {
  const pair = [await openClassifier(model), await openClassifier(convert(model))] as const;
  const { channels, height, width } = pair[0];
  const rows: NetworkRow[] = [];
  for (const batch of batches) {
    const planes = Float32Array.from({ length: batch * channels * height * width }, (_, i) =>
      Math.sin(i / 50),
    );
    const inputs = pair.map((classifier) => classifier.prepare(planes));
    const times: number[][] = [[], []];
    for (let round = 0; round <= 2 * rounds; round++)
      for (const [i, classifier] of pair.entries()) {
        const calls = Math.max(1, Math.floor(CALLS / batch));
        const start = performance.now();
        for (let call = 0; call < calls; call++)
          await classifier.run(inputs[i] as NonNullable<(typeof inputs)[0]>);
        if (round > 0) times[i]?.push((performance.now() - start) / calls / batch);
      }
    const [spatial, fused] = times as [number[], number[]];
    rows.push({
      batch,
      spatial: median(spatial),
      fused: median(fused),
      ratio: median(spatial.map((time, i) => time / (fused[i] as number))),
    });
  }
  for (const classifier of pair) await classifier.close();
  return rows;
}
