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
import { type Constant, float32, floats, int64, volume } from "../../onnx/graph.js";
import { countOperator } from "../cost.js";
import { blockKernel, type Reach, reaches } from "../domain/block-kernel.js";
import { type CoefficientMap, Coefficients } from "../domain/coefficients.js";
import { inside } from "../domain/padding.js";
import { Transforms } from "../domain/transforms.js";
import { ConvertError } from "../errors.js";
import { blockCount, type Convolution, grid } from "../layers.js";
import { averageAsConvolution } from "../operators/pooling.js";
import { ON_COEFFICIENTS } from "../operators/table.js";
import type { Plan, PlanContext } from "../plan.js";
import { onCoefficients } from "./blockwise.js";

/** Without the kinds that the paper does not have: they need pixels and have no pieces. */
const { smooth, product, unevenAverage, pad, offset, ...OF_THE_PAPER } = ON_COEFFICIENTS;

export const EXPLODED = {
  isStrict: true,
  takesWholeBlocks: true,
  layers: {
    ...OF_THE_PAPER,
    convolution: explode,
    average: (x, layer) => explode(x, averageAsConvolution(x.domain, layer)),
  },
} satisfies Partial<Plan<CoefficientMap>>;

export function exploded({ g, settings: { relu, table }, cost }: PlanContext): Plan<CoefficientMap> {
  const transforms = new Transforms(g, table, cost, "float64");
  return { ...onCoefficients(new Coefficients(transforms, relu, () => {})), ...EXPLODED };
}

function explode(x: CoefficientMap, layer: Convolution): CoefficientMap {
  const { domain } = x;
  const { transforms, g } = domain;
  const { node, window, input, output, bias } = layer;
  const [down, across] = window.strides as [number, number];
  if (output.height * down !== input.height || output.width * across !== input.width)
    throw new ConvertError(
      `stride ${down}x${across} makes ${output.height}x${output.width} of ${input.height}x${input.width}; ` +
        `expected ${input.height / down}x${input.width / across}, so that output blocks stand on whole input blocks`,
      node,
    );
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
  countOperator(transforms.cost, operatorBytes(layer) / 4);
  transforms.cost.multiplyAdds += operatorBytes(layer) / 4;

  const byBlock = g.node("Transpose", [x.coefficients], { perm: [0, 2, 3, 1, 4] });
  const vector = g.node("Reshape", [byBlock, g.ints([-1, from * 64 * n])]);
  const product = g.node("MatMul", [vector, operator], {}, layer.name);
  const blocks = g.node("Reshape", [product, g.ints([...grid(output), -1, m, 64])]);
  const y = g.node("Transpose", [blocks], { perm: [2, 3, 0, 1, 4] });
  const kept = inside(transforms, y, output);
  return domain.map(bias ? domain.addMeans(kept, floats(bias), output) : kept, output);
}

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
export const operatorBytes = ({ input, output }: Pick<Convolution, "input" | "output">): number =>
  4 * 64 * input.channels * blockCount(input) * 64 * output.channels * blockCount(output);

/** The weight of a grouped convolution as one of a single group, zero across groups: `[M, N, kh, kw]`. */
function ungrouped(g: GraphBuilder, { name, weight, group }: Convolution): Constant {
  if (group === 1) return weight;
  const [m, perGroup, ...kernel] = weight.dims as [number, number, ...number[]];
  const taps = volume(kernel);
  const source = floats(weight);
  g.budget.take(group * weight.data.byteLength, `"${name}": the weight of its ${group} groups as one`);
  const full = new Float32Array(m * perGroup * group * taps);
  for (let out = 0; out < m; out++) {
    const first = Math.floor(out / (m / group)) * perGroup;
    full.set(
      source.subarray(out * perGroup * taps, (out + 1) * perGroup * taps),
      (out * perGroup * group + first) * taps,
    );
  }
  return float32(full, [m, perGroup * group, ...kernel]);
}
