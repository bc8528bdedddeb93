/**
 * Batch normalisation while training, over the m = N·H·W elements of each channel, and its derivative:
 *
 *   μ = (1/m)·Σ x        σ² = (1/m)·Σ x² - μ²      r = (σ² + ε)^(-1/2)
 *   a = γ·r              b = β - a·μ               y = a·x + b
 *
 *   dβ = Σ dy            dγ = Σ dy·(x - μ)·r = r·(Σ dy·x - μ·dβ)
 *   dx = a·(dy - dβ/m - (x - μ)·r·dγ/m) = a·dy + p·x + q,    p = -a·r·dγ/m,    q = -p·μ - a·dβ/m
 *
 * (Ioffe & Szegedy 2015, section 3, arranged so that both directions take one multiply-add per element and tensor.)
 * The operator's own `training_mode=1` is not used: on the CPU it overwrites the running statistics that it is given.
 */
import { floatAttribute } from "@jpeg-domain/conversion/internal";
import {
  type Derivative,
  known,
  type NodeContext,
  reduceSum,
  refuse,
  reshape,
  type TrainingForm,
} from "./rule.js";

/** Σ over all axes but the channels: `[N, C, …]` → `[C]`. */
function perChannel({ g, yShape }: NodeContext, x: string): string {
  const axes = yShape.map((_, axis) => axis).filter((axis) => axis !== 1);
  return reduceSum(g, x, axes);
}

/** From this many elements per plane, one pass of a convolution is faster than two passes of `Mul` and `Add`. */
const CONVOLUTION_FROM = 512;

/**
 * a_c·x_nc + b_c. On large planes this is a depthwise convolution: one pass over memory, and ONNX Runtime fuses a sum and
 * a ReLU that follow into it.
 */
function affine(context: NodeContext, x: string, a: string, b: string | undefined, hint: string): string {
  const { g, yShape } = context;
  const group = known(context, yShape[1], "its channel count");
  const ones = yShape.slice(2).map(() => 1);
  const plane = yShape.slice(2).reduce<number>((size, n) => size * (typeof n === "number" ? n : 1), 1);
  if (ones.length > 0 && plane >= CONVOLUTION_FROM) {
    const weight = reshape(g, a, [group, 1, ...ones]);
    return g.node("Conv", b ? [x, weight, b] : [x, weight], { group, kernel_shape: ones }, hint);
  }
  const spread = (value: string) => (ones.length > 0 ? reshape(g, value, [group, ...ones]) : value);
  const scaled = g.node("Mul", [x, spread(a)], {}, hint);
  return b ? g.node("Add", [scaled, spread(b)], {}, hint) : scaled;
}

/** Saves μ, r, a and m. The running statistics use the unbiased variance σ²·m/(m - 1), as in PyTorch. */
export const trainBatchNormalization: TrainingForm = (context) => {
  const { g, node, yShape } = context;
  const [x, gamma, beta, ...running] = context.x as [string, string, string, ...string[]];
  const op = (name: string, inputs: string[], hint = name) => g.node(name, inputs, {}, hint);
  const channels = g.floats([known(context, yShape[1], "its channel count")]);
  const m = op("Div", [g.node("Cast", [op("Size", [x])], { to: 1 }), channels], "m");

  const mean = op("Div", [perChannel(context, x), m], "mean");
  const square = op("Div", [perChannel(context, op("Mul", [x, x])), m]);
  const variance = op("Max", [op("Sub", [square, op("Mul", [mean, mean])]), g.floats([0])], "variance");
  const epsilon = g.floats([floatAttribute(node, "epsilon", 1e-5)]);
  const r = op("Reciprocal", [op("Sqrt", [op("Add", [variance, epsilon])])], "r");
  const a = op("Mul", [gamma, r], "a");
  const b = op("Sub", [beta, op("Mul", [a, mean])], "b");

  const momentum = floatAttribute(node, "momentum", 0.9);
  const others = op("Max", [op("Sub", [m, g.floats([1])]), g.floats([1])]);
  const unbiased = op("Mul", [variance, op("Div", [m, others])], "unbiased");
  const next = [mean, unbiased].map((batch, i) => {
    const kept = op("Mul", [
      running[i] ?? refuse(context, "it has no running statistics"),
      g.floats([momentum]),
    ]);
    return op("Add", [kept, op("Mul", [batch, g.floats([1 - momentum])])]);
  });
  return {
    y: affine(context, x, a, b, context.y),
    saved: [mean, r, a, m],
    updates: new Map(running.map((name, i) => [name, next[i] as string])),
  };
};

export const batchNormalization: Derivative = (context, dy) => {
  const { g, saved } = context;
  const x = context.x[0] as string;
  const [mean, r, a, m] = saved as [string, string, string, string];
  const op = (name: string, inputs: string[], hint = name) => g.node(name, inputs, {}, hint);

  const dBeta = perChannel(context, dy);
  const product = perChannel(context, op("Mul", [dy, x]));
  const dGamma = op("Mul", [r, op("Sub", [product, op("Mul", [mean, dBeta])])], "dgamma");
  const dx = () => {
    const p = op("Neg", [op("Div", [op("Mul", [op("Mul", [a, r]), dGamma]), m])], "p");
    const q = op("Neg", [op("Add", [op("Mul", [p, mean]), op("Div", [op("Mul", [a, dBeta]), m])])], "q");
    return op("Add", [affine(context, dy, a, q, "a·dy+q"), affine(context, x, p, undefined, "p·x")]);
  };
  return [context.needsGradient(0) ? dx() : undefined, dGamma, dBeta];
};
