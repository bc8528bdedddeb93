import type { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { reduceSum } from "./rule.js";

export interface Loss {
  /** Scalar: (1/N)·Σ_n L_n, float32. */
  mean: string;
  /** Scalar: the number of samples whose largest logit is the label's, int64. */
  correct: string;
  /** `[N, K]`: the gradient of `mean` with respect to the logits. */
  gradient: string;
}

/**
 * Cross-entropy of logits z `[N, K]` with labels l `[N]` (int64):
 *
 *   L_n = -log softmax(z_n)_l_n        dL/dz_nk = (softmax(z_n)_k - [k = l_n]) / N,   L = (1/N)·Σ_n L_n
 *
 * `LogSoftmax` subtracts the largest logit first, so no exponential overflows.
 */
export function crossEntropy(g: GraphBuilder, logits: string, labels: string, classes: number): Loss {
  const logProbability = g.node("LogSoftmax", [logits], { axis: -1 });
  const values = g.floats([0, 1]);
  const target = g.node("OneHot", [labels, g.ints([classes], []), values], { axis: -1 }, "target");
  const n = g.node("Cast", [g.node("Size", [labels])], { to: 1 }, "N");
  const sum = g.node("Neg", [reduceSum(g, g.node("Mul", [logProbability, target]), [0, 1])]);
  const probability = g.node("Exp", [logProbability], {}, "softmax");
  const best = g.node("ArgMax", [logits], { axis: -1, keepdims: 0 });
  const hits = g.node("Cast", [g.node("Equal", [best, labels])], { to: 7 });
  return {
    mean: g.node("Div", [sum, n], {}, "loss"),
    correct: reduceSum(g, hits, [0]),
    gradient: g.node("Div", [g.node("Sub", [probability, target]), n], {}, "dlogits"),
  };
}
