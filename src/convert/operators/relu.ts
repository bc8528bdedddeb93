/**
 * ReLU, the one operator that is not linear. With x the block's pixels and x_n their reconstruction from the
 * spatial frequencies alpha + beta <= n:
 *
 *   exact   y = x [x >= 0]
 *   ASM     y = x [x_n >= 0]        approximated spatial masking: only the mask is approximate
 *   APX     y = x_n [x_n >= 0]      the paper's baseline
 *
 * In pixels, x_n = P_n x for each block, with the projection P_n = Σ over kept (alpha, beta) of v vᵀ, where
 * v[i j] = D[i j alpha beta]. D is orthogonal, so x_n = x - (the same sum over the dropped frequencies): the shorter
 * of the two sums is taken.
 */
import { isKept, ZIGZAG } from "../../transform/frequency.js";
import { cosine } from "../../transform/tensors.js";
import type { Rule } from "../rule.js";

export const relu: Rule = (call) => call.result(call.plan.relu(call.map(0)));

/** A projection as vectors `v` (64 pixels each, row-major): x_n = Σ v vᵀx, or x - Σ v vᵀx where `complement`. */
export interface Projection {
  vectors: number[][];
  complement: boolean;
}

export function projection(n: number): Projection {
  const all = Array.from({ length: 64 }, (_, k) => k);
  const kept = all.filter((k) => isKept(k, n));
  const dropped = all.filter((k) => !isKept(k, n));
  const complement = dropped.length < kept.length;
  return { vectors: (complement ? dropped : kept).map(frequency), complement };
}

/** The pixels of frequency k: `D[i j alpha beta]` over (i, j). */
function frequency(k: number): number[] {
  const place = ZIGZAG[k] as number;
  return Array.from({ length: 64 }, (_, p) => cosine(p >> 3, place >> 3) * cosine(p & 7, place & 7));
}
