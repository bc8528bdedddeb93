import { floatAttribute, intAttribute } from "@jpeg-domain/conversion/internal";
import { float, type GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { type Derivative, refuse, sumTo } from "./rule.js";

/**
 *   Y = A·B   ⇒   dA = dY·Bᵀ,   dB = Aᵀ·dY
 *
 * summed over the leading axes along which A or B was repeated.
 */
export const matmul: Derivative = (context, dy) => {
  const { g, x, xShapes, yShape } = context;
  const [a, b] = x as [string, string];
  const [aShape = [], bShape = []] = xShapes;
  if (aShape.length < 2 || bShape.length < 2)
    refuse(context, `vectors are not supported, found shapes [${aShape}] and [${bShape}]`);
  const outer = yShape.slice(0, -2);
  const dA = () =>
    sumTo(
      g,
      g.node("MatMul", [dy, transposed(g, b, bShape.length)]),
      [...outer, ...aShape.slice(-2)],
      aShape,
    );
  const dB = () =>
    sumTo(
      g,
      g.node("MatMul", [transposed(g, a, aShape.length), dy]),
      [...outer, ...bShape.slice(-2)],
      bShape,
    );
  return [context.needsGradient(0) ? dA() : undefined, context.needsGradient(1) ? dB() : undefined];
};

/** Swaps the last two axes; ONNX Runtime fuses this into the `MatMul` that reads it. */
export function transposed(g: GraphBuilder, x: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, i) => i);
  perm.splice(-2, 2, rank - 1, rank - 2);
  return g.node("Transpose", [x], { perm });
}

/**
 *   Y = α·A'·B' + β·C   with A' = A or Aᵀ, B' = B or Bᵀ
 *   dA' = α·dY·B'ᵀ,  dB' = α·A'ᵀ·dY,  dC = β·ΣdY;  dA = dA' or its transpose, (P·Q)ᵀ = Qᵀ·Pᵀ
 */
export const gemm: Derivative = (context, dy) => {
  const { g, node, x, xShapes, yShape } = context;
  const [a, b] = x as [string, string];
  const [transA, transB] = [intAttribute(node, "transA", 0), intAttribute(node, "transB", 0)];
  const alpha = float(floatAttribute(node, "alpha", 1));
  const beta = floatAttribute(node, "beta", 1);
  const product = (p: string, q: string, transP: number, transQ: number) =>
    g.node("Gemm", [p, q], { alpha, transA: transP, transB: transQ });
  const dA = () => (transA ? product(b, dy, transB, 1) : product(dy, b, 0, 1 - transB));
  const dB = () => (transB ? product(dy, a, 1, transA) : product(a, dy, 1 - transA, 0));
  const dC = () => {
    const sum = sumTo(g, dy, yShape, xShapes[2] ?? []);
    return beta === 1 ? sum : g.node("Mul", [sum, g.floats([beta])]);
  };
  return [dA, dB, dC].map((gradient, i) => (context.needsGradient(i) ? gradient() : undefined));
};
