import type { Graph } from "@jpeg-domain/conversion";
import { concatenate, openSession, type Score, score } from "@jpeg-domain/node/internal";
import { Tensor } from "onnxruntime-node";
import { signature } from "./classifier.js";
import { eachBatch, type Samples } from "./samples.js";

/** Evaluates a classifier on all samples in inference mode: batch normalisation uses its running statistics. */
export async function evaluate(classifier: Graph, samples: Samples, batch = 250): Promise<Score> {
  const { input, dims, logits } = signature(classifier);
  const session = await openSession(classifier);
  try {
    const all = Uint32Array.from({ length: samples.count }, (_, i) => i);
    const [parts, answers]: [Float32Array[], number[]] = [[], []];
    for (const { inputs, labels } of eachBatch(samples, all, batch)) {
      const results = await session.run({ [input]: new Tensor("float32", inputs, [labels.length, ...dims]) });
      parts.push(results[logits]?.data as Float32Array);
      for (const label of labels) answers.push(Number(label));
    }
    return score(concatenate(parts), answers);
  } finally {
    await session.release();
  }
}
