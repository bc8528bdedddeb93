/**
 * The projection of each block's pixels onto the spatial frequencies alpha + beta <= n, in pixels:
 *
 *   x_n = P_n x,   P_n = Σ over kept (alpha, beta) of v vᵀ,   v[i j] = D[i j alpha beta],
 *
 * and D is orthogonal, so x_n = x - Σ over dropped (alpha, beta) of v vᵀ x as well.
 */

import { ZIGZAG } from "@jpeg-domain/coefficients";
import { cosine, isKept } from "@jpeg-domain/coefficients/internal";
import type { GraphBuilder } from "../../onnx/builder.js";
import { pad } from "../domain/padding.js";
import type { Transforms } from "../domain/transforms.js";
import { blockwide, isWholeBlocks, type Size } from "../layers.js";

/**
 * A block's pixels lie 8 to a row of the image, between those of its neighbours. Either a whole strip of 8 rows is made
 * as one vector, with a matrix that is zero between blocks, or each block alone, and a transposition puts their rows side
 * by side. Each zero costs a multiplication; a transposition takes as long as about this many multiplications for each
 * pixel (measured: 40 to 55).
 */
const TRANSPOSE_COST = 50;

/** x_n of planes `[N, C, H, W]`. Beyond a map that is not whole blocks are zeros. */
export function lowFrequencies(transforms: Transforms, n: number, x: string, size: Size): string {
  const { g } = transforms;
  const { kept, dropped } = frequencyVectors(n);
  const vectors = takesAway(n) ? dropped : kept;
  const part = partOf(transforms, takesAway(n) ? `V_above_${n}` : `V_${n}`, vectors, x, size);
  return takesAway(n) ? g.node("Sub", [x, part], {}, "low") : part;
}

/**
 * x_n is what remains of x without the dropped frequencies, or, where those are almost all, P_n x. Measured on the
 * first layer's outputs, the error of the first form falls from 2e-7 at n = 0 to 3e-8 at n = 10, that of the second
 * rises from 0.8e-7 to 1.5e-7; they cross at n = 4. Both matter where a value stands at the mask's threshold.
 */
const takesAway = (n: number) => n >= 4;

/** The part of planes `[N, C, H, W]` that some frequencies make: Σ v vᵀ x. */
function partOf(
  transforms: Transforms,
  name: string,
  vectors: readonly number[][],
  x: string,
  size: Size,
): string {
  const { g } = transforms;
  const rank = vectors.length;
  const whole = blockwide(size);
  const { channels, height, width } = whole;
  const planes = isWholeBlocks(size)
    ? x
    : pad(g, x, [0, 0, 0, 0, 0, 0, height - size.height, width - size.width]);
  const matrix = transforms.matrix(name, [rank, 64], (f, pixel) => (vectors[f] as number[])[pixel] as number);
  const blocksWide = width / 8;
  const isInStrips = rank * (blocksWide - 1) <= TRANSPOSE_COST;
  const blocks = isInStrips ? blocksWide : 1;
  transforms.count(rank * (1 + blocks), whole);
  const parts = analyse(g, matrix, rank, planes, whole);
  const rows = g.node("Reshape", [parts, g.ints([0, -1, rank * blocks])]);
  const made = g.node("MatMul", [rows, alongStrip(g, matrix, blocks)]);
  const lines = isInStrips ? made : transforms.swapRuns(made, [0, (channels * height) / 8], [blocksWide, 8]);
  return transforms.crop(g.node("Reshape", [lines, g.ints([0, channels, height, width])]), size);
}

/** vᵀ x of each block, its vectors last: `[N, …, rank]`. */
function analyse(g: GraphBuilder, matrix: string, rank: number, planes: string, size: Size): string {
  const { channels, height, width } = size;
  // Blocks that fill a map's width are vectors already.
  if (width === 8) {
    const blocks = g.node("Reshape", [planes, g.ints([0, -1, 64])]);
    return g.node("MatMul", [blocks, g.node("Transpose", [matrix], { perm: [1, 0] })], {}, "parts");
  }
  // [N, C, H, W] and its view [N, 1, C H, W] have the same blocks, and the second has one kernel for all of them.
  const view = g.node("Reshape", [planes, g.ints([0, 1, channels * height, width])]);
  const kernel = g.node("Reshape", [matrix, g.ints([rank, 1, 8, 8])]);
  const parts = g.node("Conv", [view, kernel], { kernel_shape: [8, 8], strides: [8, 8] }, "parts");
  return g.node("Transpose", [parts], { perm: [0, 2, 3, 1] });
}

/**
 * A matrix `[rank, 64]` repeated for each block of a strip, zero between blocks: `[blocks rank, 8 blocks 8]`. The graph
 * multiplies by the identity, once, when ONNX Runtime loads the model.
 */
function alongStrip(g: GraphBuilder, matrix: string, blocks: number): string {
  if (blocks === 1) return matrix;
  const identity = Array.from({ length: blocks * blocks }, (_, at) => Number(at % (blocks + 1) === 0));
  const spread = g.node("Reshape", [matrix, g.ints([1, -1, 8, 1, 8])]);
  const repeated = g.node("Mul", [spread, g.floats(identity, [blocks, 1, 1, blocks, 1])]);
  return g.node("Reshape", [repeated, g.ints([-1, 64 * blocks])]);
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
