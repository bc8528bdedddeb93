import { Tensor } from "onnxruntime-node";
import { GraphBuilder } from "../onnx/builder.js";
import type { Graph } from "../onnx/graph.js";
import { openSession } from "../runtime/session.js";
import { signature } from "./classifier.js";
import { crossEntropy } from "./loss.js";
import { eachBatch, type Samples } from "./samples.js";

export interface Evaluation {
  correct: number;
  total: number;
  /** Mean cross-entropy. */
  loss: number;
}

/** Runs a classifier in inference mode, batch normalisation with its running statistics, over all samples. */
export async function evaluate(classifier: Graph, samples: Samples, batch = 250): Promise<Evaluation> {
  const { input, dims } = signature(classifier);
  const session = await openSession(evaluationGraph(classifier));
  try {
    const all = Uint32Array.from({ length: samples.count }, (_, i) => i);
    let [correct, loss] = [0, 0];
    for (const { inputs, labels } of eachBatch(samples, all, batch)) {
      const results = await session.run({
        [input]: new Tensor("float32", inputs, [labels.length, ...dims]),
        labels: new Tensor("int64", labels, [labels.length]),
      });
      correct += Number(results.correct?.data[0]);
      loss += Number(results["loss.sum"]?.data[0]);
    }
    return { correct, total: samples.count, loss: loss / samples.count };
  } finally {
    await session.release();
  }
}

/** The classifier with `labels` (int64 `[N]`) as another input, `loss.sum` and `correct` as its outputs. */
function evaluationGraph(classifier: Graph): Graph {
  const { logits, batch, classes } = signature(classifier);
  const g = new GraphBuilder(classifier.name, classifier.opsets.get("") ?? 17);
  for (const name of classifier.initializers.keys()) g.unique(name);
  for (const node of classifier.nodes) g.copy(node, node.inputs, node.outputs);
  const labels = g.input("labels", "int64", [batch]);
  const loss = crossEntropy(g, logits, labels, classes);
  g.output(loss.sum, "loss.sum", "float32", []);
  g.output(loss.correct, "correct", "int64", []);
  const graph = g.build();
  return {
    ...graph,
    inputs: [...classifier.inputs, ...graph.inputs],
    initializers: new Map([...classifier.initializers, ...graph.initializers]),
  };
}
