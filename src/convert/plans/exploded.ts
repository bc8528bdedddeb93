/**
 * The plan `exploded`, the notebook's own: each convolution contracted with `Ji` and `J` into one dense tensor over all
 * blocks,
 *
 *   Ξ[n x y k, m x' y' k'] = Σ_{s' r'} J[s' r' x' y' k'] Σ_{u v} w[m n u v] Ji[x y k, σ s' - p + δ u, σ r' - p + δ v],
 *
 * and applied as a matrix product. Its memory grows with the square of the image. The other transforms are in double
 * precision: this is the plan to compare with, and the long sums of its products round enough.
 *
 * For a pair of blocks, Ξ depends only on where one lies from the other: it is K of block-kernel.ts where (x, y) is
 * within the reach of (x', y'), and zero elsewhere. So it is gathered from K, block by block, when ONNX Runtime loads
 * the model; the file stays small.
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Constant, floats, int64 } from "../../onnx/graph.js";
import { blockKernel, type Reach, reaches } from "../domain/block-kernel.js";
import { type CoefficientMap, Coefficients, type Convolve, coefficientPlan } from "../domain/coefficients.js";
import { inside } from "../domain/padding.js";
import { Transforms } from "../domain/transforms.js";
import { blockCount, type Convolution, grid } from "../layers.js";
import { ungrouped } from "../operators/convolution.js";
import type { Settings } from "../options.js";
import { type Cost, countOperator, type Note, type Plan } from "../plan.js";

export function exploded(
  g: GraphBuilder,
  { relu, table }: Settings,
  cost: Cost,
  note: Note,
): Plan<CoefficientMap> {
  const transforms = new Transforms(g, table, cost, "float64");
  return coefficientPlan(new Coefficients(transforms, relu, explode, explode, note));
}

const explode: Convolve = (domain, x, layer) => {
  const { transforms, g } = domain;
  const { cost } = transforms;
  const { input, output, bias } = layer;
  const from = blockCount(input);
  const dense = ungrouped(g, layer);
  const [m, n] = dense.dims as [number, number];

  // Ξ as [x' y', x y n k, m k'], its rows gathered from those of K as [t n k, m k'].
  const kernel = blockKernel(transforms, layer, dense, true);
  const ordered = g.node("Transpose", [kernel], { perm: [3, 1, 2, 0, 4] });
  const rows = g.node("Reshape", [ordered, g.ints([-1, 64 * m])]);
  // As lists of numbers first.
  const places = blockCount(input) * blockCount(output) + 64 * n;
  g.budget.take(24 * places, `"${layer.name}": where ${places} rows of its operator begin`);
  const firstRows = g.constant("firstRows", firstRowOfBlocks(layer, 64 * n));
  const within = g.constant("rowsOfBlock", int64(Array.from({ length: 64 * n }, (_, row) => row)));
  const table = g.node("Reshape", [
    g.node("Add", [firstRows, within]),
    g.ints([blockCount(output), from * 64 * n]),
  ]);
  const operator = g.node("Gather", [rows, table], { axis: 0 }, `${layer.name}.operator`);
  countOperator(cost, operatorBytes(layer) / 4);
  cost.multiplyAdds += operatorBytes(layer) / 4;

  const byBlock = g.node("Transpose", [x.name], { perm: [0, 2, 3, 1, 4] });
  const vector = g.node("Reshape", [byBlock, g.ints([-1, from * 64 * n])]);
  const product = g.node("MatMul", [vector, operator], {}, layer.name);
  const blocks = g.node("Reshape", [product, g.ints([...grid(output), -1, m, 64])]);
  const y = g.node("Transpose", [blocks], { perm: [2, 3, 0, 1, 4] });
  const kept = inside(transforms, y, output);
  return { size: output, name: bias ? domain.addMeans(kept, floats(bias), output) : kept };
};

/**
 * For output block (x', y') and input block (x, y), the row of K at which the tap that joins them begins, the empty tap
 * where none does: `[X' Y', X Y, 1]`. A tap has `height` rows.
 */
function firstRowOfBlocks(layer: Convolution, height: number): Constant {
  const { input, output } = layer;
  const [down, across] = reaches(layer);
  const tap = (from: number, to: number, { first, blocks, stride }: Reach) => {
    const t = from - stride * to - first;
    return t >= 0 && t < blocks ? t : undefined;
  };
  const [Y, outY] = [grid(input)[1], grid(output)[1]];
  const rows = [];
  for (let to = 0; to < blockCount(output); to++)
    for (let from = 0; from < blockCount(input); from++) {
      const x = tap(Math.floor(from / Y), Math.floor(to / outY), down);
      const y = tap(from % Y, to % outY, across);
      const empty = x === undefined || y === undefined;
      rows.push(height * (empty ? down.blocks * across.blocks : x * across.blocks + y));
    }
  return int64(rows, [blockCount(output), blockCount(input), 1]);
}

/** Bytes of Ξ: 4 · N · H · W · M · H' · W', sides in whole blocks. */
export const operatorBytes = ({ input, output }: Convolution): number =>
  4 * 64 * input.channels * blockCount(input) * 64 * output.channels * blockCount(output);
