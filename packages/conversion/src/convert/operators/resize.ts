/**
 * Enlargement by repetition of pixels, s times down and t times across. It is linear, and a block alone gives the s x t
 * blocks that it becomes, of which block (a, b) has the coefficients
 *
 *   y[a b k'] = Σ_k x[k] U[k, a b k'],   U[k, a b k'] = Σ_{i' j'} C[i' j' k'] Ci[i j k],   i = floor((8a + i') / s),  j = floor((8b + j') / t).
 *
 * Beyond the map are zeros, before as after.
 */

import { ZIGZAG } from "@jpeg-domain/coefficients";
import { cosine } from "@jpeg-domain/coefficients/internal";
import { numbers } from "../../onnx/graph.js";
import { type Base, blockwide, grid } from "../layers.js";
import type { Family, NodeContext } from "./context.js";

/** Each pixel repeated `down` times `across` times. */
export interface Enlarge extends Base {
  kind: "enlarge";
  down: number;
  across: number;
}

/** With more repetitions U, of 64 x 64 s t numbers, would be larger than 1 MB. */
const MOST_REPETITIONS = 64;

function enlarge(context: NodeContext): Enlarge {
  const [from, base] = [context.map(), context.base];
  const to = base.output;
  const [s, t] = [to.height / from.height, to.width / from.width];
  const scales = context.constant(hasRegion(context) ? 2 : 1);
  const given = scales?.data.length ? numbers(scales) : [1, 1, s, t];
  const isWhole = [s, t].every(Number.isInteger) && given.join() === [1, 1, s, t].join();
  if (!isWhole || to.channels !== from.channels || !repeatsPixels(context) || s * t > MOST_REPETITIONS)
    context.refuse("it does more than to repeat each pixel a whole number of times");
  return { kind: "enlarge", ...base, down: s, across: t };
}

/** `Upsample`, and `Resize` of operator set 10, have no region as input 1, and round down from the corner. */
const hasRegion = ({ operands }: NodeContext) => operands.length > 2;

/** Whether each output pixel is the one that it lies in. */
function repeatsPixels(context: NodeContext): boolean {
  if (context.string("mode", "nearest") !== "nearest") return false;
  if (!hasRegion(context)) return true;
  const from = context.string("coordinate_transformation_mode", "half_pixel");
  const rounding = context.string("nearest_mode", "round_prefer_floor");
  return from === "asymmetric" ? rounding === "floor" : from === "half_pixel" && rounding.startsWith("round");
}

/** U, by row k and column (a, b, k'): the product of one factor for each axis. */
function repeat(table: ArrayLike<number>, s: number, t: number): (k: number, column: number) => number {
  const [down, across] = [repeatAlong(s), repeatAlong(t)];
  return (k, column) => {
    const [a, b, k1] = [Math.floor(column / (64 * t)), Math.floor(column / 64) % t, column % 64];
    const [from, to] = [ZIGZAG[k] as number, ZIGZAG[k1] as number];
    const rows = down[64 * a + 8 * (to >> 3) + (from >> 3)] as number;
    const columns = across[64 * b + 8 * (to & 7) + (from & 7)] as number;
    return ((table[k] as number) / (table[k1] as number)) * rows * columns;
  };
}

/** Along one axis of s repetitions, `[a α' α]`: Σ_{i'} D[i' α'] D[i α],  i = floor((8a + i') / s). */
function repeatAlong(s: number): Float64Array {
  return Float64Array.from({ length: 64 * s }, (_, at) => {
    const [a, to, from] = [at >> 6, (at >> 3) & 7, at & 7];
    let sum = 0;
    for (let i = 0; i < 8; i++) sum += cosine(i, to) * cosine(Math.floor((8 * a + i) / s), from);
    return sum;
  });
}

export const RESIZE: Family<Enlarge> = {
  read: { Resize: enlarge, Upsample: enlarge },
  lower: {
    enlarge({ domain, size: from, coefficients }, { down: s, across: t, output }) {
      const { g, transforms } = domain;
      const operator = transforms.matrix(
        `repeat_${s}x${t}`,
        [64, 64 * s * t],
        repeat(transforms.table, s, t),
      );
      transforms.count(64 * s * t, blockwide(from));
      const [rows, columns] = grid(from);
      const product = g.node("MatMul", [coefficients, operator]);
      const split = g.node("Reshape", [product, g.ints([0, output.channels * rows, columns, s, 64 * t])]);
      const ordered = g.node("Transpose", [split], { perm: [0, 1, 3, 2, 4] });
      const sides = [s * rows, t * columns];
      const joined = g.node("Reshape", [ordered, g.ints([0, output.channels, ...sides, 64])]);
      // A map may end so early in its last blocks that some of those which they become are all beyond it.
      const name = grid(output).reduce(
        (y, to, i) => (to === sides[i] ? y : g.slice(y, { axis: 2 + i, from: 0, to })),
        joined,
      );
      return domain.map(name, output);
    },
  },
};
