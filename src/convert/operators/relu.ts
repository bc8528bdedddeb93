/**
 * ReLU, the one operator that is not linear. With x the block's pixels and x_n their reconstruction from the
 * spatial frequencies alpha + beta <= n:
 *
 *   exact   y = x [x >= 0]
 *   ASM     y = x [x_n >= 0]        approximated spatial masking: only the mask is approximate
 *   APX     y = x_n [x_n >= 0]      the paper's baseline
 *
 * In pixels, x_n = P_n x for each block, with the projection P_n = Σ over kept (alpha, beta) of v vᵀ, where
 * v[i j] = D[i j alpha beta]. D is orthogonal, so x_n = x - Σ over dropped (alpha, beta) of v vᵀ x as well.
 */
import { isKept, ZIGZAG } from "../../transform/frequency.js";
import { cosine } from "../../transform/tensors.js";
import type { Rule } from "../rule.js";

export const relu: Rule = (call) => call.result(call.plan.relu(call.map(0)));

const FREQUENCIES = Array.from({ length: 64 }, (_, k) => frequency(k));

/** The vectors v of the frequencies kept and of those dropped, 64 pixels each, row-major. */
export const frequencyVectors = (n: number): { kept: number[][]; dropped: number[][] } => ({
  kept: FREQUENCIES.filter((_, k) => isKept(k, n)),
  dropped: FREQUENCIES.filter((_, k) => !isKept(k, n)),
});

/** The pixels of frequency k: `D[i j alpha beta]` over (i, j). */
function frequency(k: number): number[] {
  const place = ZIGZAG[k] as number;
  return Array.from({ length: 64 }, (_, p) => cosine(p >> 3, place >> 3) * cosine(p & 7, place & 7));
}
