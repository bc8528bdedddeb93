/**
 * Batch normalisation with running statistics, an affine map of each channel:
 *
 *   y = scale x + shift,   scale = gamma / sqrt(variance + eps),   shift = beta - scale mean
 */
import { type Constant, floatAttribute, floats, intAttribute, type Node } from "../../onnx/graph.js";

export interface BatchNormalization {
  /** Each `[C]`. */
  gamma: Constant;
  beta: Constant;
  mean: Constant;
  variance: Constant;
  epsilon: number;
}

/** The layer that a node is, if its parameters are constants and it is not in training mode. */
export function readBatchNormalization(
  node: Node,
  constants: ReadonlyMap<string, Constant>,
): BatchNormalization | undefined {
  const [gamma, beta, mean, variance] = node.inputs.slice(1).map((name) => constants.get(name));
  if (!gamma || !beta || !mean || !variance || intAttribute(node, "training_mode", 0) === 1) return undefined;
  return { gamma, beta, mean, variance, epsilon: floatAttribute(node, "epsilon", 1e-5) };
}

/** Its affine map of each channel. */
export function affine({ gamma, beta, mean, variance, epsilon }: BatchNormalization): {
  scale: number[];
  shift: number[];
} {
  const [g, b, m, v] = [gamma, beta, mean, variance].map(floats) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const scale = Array.from(g, (value, c) => value / Math.sqrt((v[c] as number) + epsilon));
  const shift = Array.from(b, (value, c) => value - (scale[c] as number) * (m[c] as number));
  return { scale, shift };
}
