/**
 * The projection of each block's pixels onto the spatial frequencies alpha + beta <= n, in pixels:
 *
 *   x_n = P_n x,   P_n = Σ over kept (alpha, beta) of v vᵀ,   v[i j] = D[i j alpha beta],
 *
 * and D is orthogonal, so x_n = x - Σ over dropped (alpha, beta) of v vᵀ x as well.
 */

import { ZIGZAG } from "@jpeg-domain/coefficients";
import { cosine, isKept } from "@jpeg-domain/coefficients/internal";
import { float, type GraphBuilder } from "../../onnx/builder.js";
import { pad } from "../domain/padding.js";
import type { Transforms } from "../domain/transforms.js";
import { blockwide, isWholeBlocks, type Size } from "../layers.js";

/**
 * A block's pixels lie 8 to a row of the image, between those of its neighbours. Either they are brought together,
 * which takes two transpositions, or a whole strip of 8 rows is projected as one vector, with a matrix that is zero
 * between blocks. Each zero costs a multiplication; a pair of transpositions takes as long as about this many
 * multiplications for each pixel (measured: equal at 80 to 110).
 */
const TRANSPOSE_COST = 100;

/** x_n of planes `[N, C, H, W]`. Beyond a map that is not whole blocks are zeros. */
export function lowFrequencies(transforms: Transforms, n: number, x: string, size: Size): string {
  const { g } = transforms;
  const whole = blockwide(size);
  const { channels, height, width } = whole;
  const beyond = [0, 0, 0, 0, 0, 0, height - size.height, width - size.width];
  const planes = isWholeBlocks(size) ? x : pad(g, x, beyond);
  const blocksWide = width / 8;
  const isInStrips = projectionCost(n) * blocksWide <= TRANSPOSE_COST;
  const strips = [-1, (channels * height) / 8];
  const lines = isInStrips ? planes : transforms.swapRuns(planes, strips, [8, blocksWide]);
  const blocks = isInStrips ? blocksWide : 1;
  const flat = g.node("Reshape", [lines, g.ints([-1, 64 * blocks])]);
  transforms.count(projectionCost(n) * blocks, whole);
  const low = project(transforms, flat, n, blocks);
  const back = isInStrips ? low : transforms.swapRuns(low, strips, [blocksWide, 8]);
  return transforms.crop(g.node("Reshape", [back, g.ints([-1, channels, height, width])], {}, "low"), size);
}

/**
 * x_n is what remains of x without the dropped frequencies, or, where those are almost all, P_n x. Measured on the
 * first layer's outputs, the error of the first form falls from 2e-7 at n = 0 to 3e-8 at n = 10, that of the second
 * rises from 0.8e-7 to 1.5e-7; they cross at n = 4. Both matter where a value stands at the mask's threshold.
 */
const takesAway = (n: number) => n >= 4;

/** Multiplications a pixel to project one block. */
const projectionCost = (n: number) => (takesAway(n) ? 2 * frequencyVectors(n).dropped.length : 64);

/** x_n of rows of `blocks` blocks each, their pixels row by row: `[-1, 64 blocks]` → the same. */
function project(transforms: Transforms, x: string, n: number, blocks: number): string {
  const { g } = transforms;
  const { kept, dropped } = frequencyVectors(n);
  if (!takesAway(n)) {
    const entry = (p: number, q: number) =>
      kept.reduce((sum, v) => sum + (v[p] as number) * (v[q] as number), 0);
    const matrix = transforms.matrix(`P_${n}`, [64, 64], entry);
    const wide = alongStrip(g, matrix, blocks, [8, 1, 8, 8, 1, 8], [64 * blocks, 64 * blocks]);
    return g.node("MatMul", [x, wide], {}, "low");
  }
  const rank = dropped.length;
  const vectors = transforms.matrix(
    `V_${n}`,
    [64, rank],
    (pixel, f) => (dropped[f] as number[])[pixel] as number,
  );
  const wide = alongStrip(g, vectors, blocks, [8, 1, 8, 1, rank], [64 * blocks, rank * blocks]);
  const high = g.node("MatMul", [x, wide], {}, "high");
  return g.node("Gemm", [high, wide, x], { alpha: float(-1), transB: 1 }, "low");
}

/**
 * A block's matrix repeated for each block of a strip, zero between blocks. `axes` is the matrix's shape taken apart; the
 * second and the last but one count blocks, and there the graph multiplies by the identity, once, when ONNX Runtime
 * loads the model.
 */
function alongStrip(
  g: GraphBuilder,
  matrix: string,
  blocks: number,
  axes: number[],
  shape: number[],
): string {
  if (blocks === 1) return matrix;
  const identity = Array.from({ length: blocks * blocks }, (_, at) => Number(at % (blocks + 1) === 0));
  const counted = axes.map((_, axis) => (axis === 1 || axis === axes.length - 2 ? blocks : 1));
  const spread = g.node("Reshape", [matrix, g.ints(axes)]);
  return g.node("Reshape", [g.node("Mul", [spread, g.floats(identity, counted)]), g.ints(shape)]);
}

const FREQUENCIES = Array.from({ length: 64 }, (_, k) => frequency(k));

/** The vectors v of the frequencies kept and of those dropped, 64 pixels each, row by row. */
const frequencyVectors = (n: number): { kept: number[][]; dropped: number[][] } => ({
  kept: FREQUENCIES.filter((_, k) => isKept(k, n)),
  dropped: FREQUENCIES.filter((_, k) => !isKept(k, n)),
});

/** The pixels of frequency k: `D[i j alpha beta]` over (i, j). */
function frequency(k: number): number[] {
  const place = ZIGZAG[k] as number;
  return Array.from({ length: 64 }, (_, p) => cosine(p >> 3, place >> 3) * cosine(p & 7, place & 7));
}
