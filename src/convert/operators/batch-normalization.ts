/**
 * Batch normalisation with running statistics, an affine map of each channel:
 *
 *   y = scale x + shift,   scale = gamma / sqrt(variance + eps),   shift = beta - scale mean
 *
 * The transform is linear and a constant has only a mean: scale acts on every frequency, shift on k = 0 alone.
 */
import { type Constant, floatAttribute, intAttribute, type Node } from "../../onnx/graph.js";
import type { BatchNormalization } from "../layers.js";
import type { Rule } from "../rule.js";

export const batchNormalization: Rule = (call) => {
  if (intAttribute(call.node, "training_mode", 0) === 1)
    call.refuse("training_mode = 1: expected a model exported for inference");
  const layer =
    readBatchNormalization(call.node, call.constants) ??
    call.refuse("its parameters are computed, expected constants");
  return call.result(call.plan.batchNormalization(call.map(0), layer));
};

/** The layer that a node is, if its parameters are constants and it is not in training mode. */
export function readBatchNormalization(
  node: Node,
  constants: Map<string, Constant>,
): BatchNormalization | undefined {
  const [gamma, beta, mean, variance] = node.inputs.slice(1).map((name) => constants.get(name));
  if (!gamma || !beta || !mean || !variance || intAttribute(node, "training_mode", 0) === 1) return undefined;
  return { gamma, beta, mean, variance, epsilon: floatAttribute(node, "epsilon", 1e-5) };
}
