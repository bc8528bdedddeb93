/**
 * The first convolution of a network with the inverse transform folded into its weights. With pixel (i, j) of block
 * (x, y) = Σ_k Ci[i j k] X[c x y k], a convolution of stride σ reads, for every unit of blocks that it moves by,
 *
 *   y[m, s, r] = Σ_c Σ_t Σ_k  W[s r m, c t k] X[c t k],     W[s r m, c t k] = Σ_{i j} Ci[i j k] w[m, c, u, v],
 *
 * where pixel (i, j) of block t within reach is under tap (u, v) of output (s, r). Along an axis a unit is σ/8 blocks
 * with one output where 8 divides σ, and one block with 8/σ outputs where σ divides 8.
 *
 * Where the kernel is the stride, as in patch embeddings, every block is read once: one matrix product. Elsewhere
 * blocks within reach overlap, and it is a convolution over the grid of blocks.
 */

import { Ci } from "@jpeg-domain/coefficients/tensors";
import type { Budget } from "../../onnx/budget.js";
import { float32, floats } from "../../onnx/graph.js";
import { BYTES_OF_PRODUCT } from "../domain/padding.js";
import type { Transforms } from "../domain/transforms.js";
import { type Convolution, isWholeBlocks, multiplyAdds } from "../layers.js";

/** Along one axis. */
interface Unit {
  /** Blocks from one unit to the next. */
  blocks: number;
  /** Outputs in a unit. */
  outputs: number;
  units: number;
  /** Blocks that a unit's outputs read: the first, relative to the unit's own first, and how many. */
  first: number;
  reach: number;
  stride: number;
  pad: number;
  kernel: number;
  dilation: number;
}

/** How the first convolution takes fewest operations. */
export interface FirstConvolution {
  reason: string;
  /** Carries it out with the inverse transform folded into its weights, where that is fewer operations. */
  fold?: (transforms: Transforms, coefficients: string) => string;
}

/**
 * An inverse transform of its own takes 64 multiplications a pixel, and moves pixels for about as long as this many
 * more (measured for 224x224: 0.15 ms, of which the product takes 0.09).
 */
const MOVES = 38;

const million = (count: number) => `${(count / 1e6).toFixed(1)} million`;

/** Chooses for a convolution that reads the image, if no other node has needed the image's pixels. */
export function firstConvolution(layer: Convolution, budget: Budget): FirstConvolution {
  const { input, window } = layer;
  const units = unitsOf(layer);
  const pixels = input.channels * input.height * input.width;
  const separate = multiplyAdds(layer) + (64 + MOVES) * pixels;
  const before = "the inverse transform of the image comes before it";
  if (units === undefined) return { reason: before };
  const bytes = foldedBytes(layer, units);
  const instead = `${before}: folded into its weights it would take`;
  if (!budget.allows(bytes)) return { reason: `${instead} ${bytes} bytes` };
  const folded = foldedMultiplyAdds(layer, units);
  const numbers = `${million(folded)} multiply-adds, ${million(separate)} with an inverse transform before it`;
  if (!isPatch(units) && folded > separate) return { reason: `${instead} ${numbers}` };
  const reason = isPatch(units)
    ? `its stride is its kernel (${window.kernel.join("x")}): its weights take coefficients, ${numbers}`
    : `the inverse transform folds into its weights: ${numbers}`;
  const fold = (transforms: Transforms, x: string) => {
    budget.take(bytes, `"${layer.name}": its weights on coefficients`);
    return (isPatch(units) ? patches : overlapping)(transforms, x, layer, units);
  };
  return { reason, fold };
}

type Units = [down: Unit, across: Unit];

/** `undefined` where the convolution does not move by whole units. */
function unitsOf(layer: Convolution): Units | undefined {
  const { input, output, group } = layer;
  if (group !== 1 || !isWholeBlocks(input)) return undefined;
  const down = unitOf(layer, 0, input.height, output.height);
  const across = unitOf(layer, 1, input.width, output.width);
  return down && across && [down, across];
}

function unitOf({ window }: Convolution, axis: 0 | 1, from: number, to: number): Unit | undefined {
  const [stride, pad, kernel, dilation] = [window.strides, window.pads, window.kernel, window.dilations].map(
    (v) => v[axis],
  ) as [number, number, number, number];
  if (stride % 8 !== 0 && 8 % stride !== 0) return undefined;
  const [blocks, outputs] = stride >= 8 ? [stride / 8, 1] : [1, 8 / stride];
  const units = to / outputs;
  if (!Number.isInteger(units)) return undefined;
  const first = Math.floor(-pad / 8);
  const last = Math.floor((stride * (outputs - 1) + dilation * (kernel - 1) - pad) / 8);
  const unit = { blocks, outputs, units, first, reach: last - first + 1, stride, pad, kernel, dilation };
  // Without overlap, all blocks must be read, and only they.
  return kernel === stride && pad === 0 && units * blocks * 8 !== from ? undefined : unit;
}

const isPatch = (units: Units) =>
  units.every(({ kernel, stride, pad, reach, blocks }) => kernel === stride && pad === 0 && reach === blocks);

function foldedMultiplyAdds({ weight, input }: Convolution, [down, across]: Units): number {
  const outputs = down.units * down.outputs * across.units * across.outputs * (weight.dims[0] as number);
  return outputs * 64 * input.channels * down.reach * across.reach;
}

const foldedBytes = ({ weight, input }: Convolution, units: Units): number =>
  units.reduce((all, { outputs, reach }) => all * outputs * reach, BYTES_OF_PRODUCT * 64 * input.channels) *
  (weight.dims[0] as number);

/** W as `[s r m, c, t, k]` for the blocks t = (x, y) within reach. */
function foldedWeight(table: ArrayLike<number>, layer: Convolution, [down, across]: Units): Float32Array {
  const { data: inverse } = Ci(table);
  const w = floats(layer.weight);
  const [m, channels] = layer.weight.dims as [number, number];
  const [kh, kw] = [down.kernel, across.kernel];
  const taps = down.reach * across.reach;
  const result = new Float32Array(down.outputs * across.outputs * m * channels * taps * 64);
  const sum = new Float64Array(taps * 64);
  let at = 0;
  for (let s = 0; s < down.outputs; s++)
    for (let r = 0; r < across.outputs; r++)
      for (let plane = 0; plane < m * channels; plane++, at += sum.length) {
        sum.fill(0);
        for (let u = 0; u < kh; u++)
          for (let v = 0; v < kw; v++) {
            const value = w[(plane * kh + u) * kw + v] as number;
            const row = down.stride * s - down.pad + down.dilation * u - 8 * down.first;
            const column = across.stride * r - across.pad + across.dilation * v - 8 * across.first;
            const tap = (row >> 3) * across.reach + (column >> 3);
            const pixel = 8 * (row & 7) + (column & 7);
            for (let k = 0; k < 64; k++)
              sum[64 * tap + k] = (sum[64 * tap + k] as number) + value * (inverse[64 * pixel + k] as number);
          }
        result.set(sum, at);
      }
  return result;
}

/** `[N, C, X, Y, 64]` → `[N, M, H, W]` by one matrix product over units. */
function patches(transforms: Transforms, x: string, layer: Convolution, units: Units): string {
  const { g } = transforms;
  const [down, across] = units;
  const { name, bias, input, output } = layer;
  const inner = input.channels * down.blocks * across.blocks * 64;
  const columns = down.outputs * across.outputs * output.channels;
  const rows = foldedWeight(transforms.table, layer, units);
  const matrix = new Float32Array(rows.length);
  for (let column = 0; column < columns; column++)
    for (let row = 0; row < inner; row++)
      matrix[row * columns + column] = rows[column * inner + row] as number;

  const apart = [0, input.channels, down.units, down.blocks, across.units, across.blocks * 64];
  const split = g.node("Reshape", [x, g.ints(apart)]);
  const together = g.node("Transpose", [split], { perm: [0, 2, 4, 1, 3, 5] });
  const flat = g.node("Reshape", [together, g.ints([0, down.units * across.units, inner])]);
  const weight = transforms.parameter(`${name}.weight`, float32(matrix, [inner, columns]));
  const product = g.node("MatMul", [flat, weight], {}, name);
  const places = [0, down.units, across.units, down.outputs, across.outputs, output.channels];
  const placed = g.node("Reshape", [product, g.ints(places)]);
  const biased = bias ? g.node("Add", [placed, transforms.parameter(`${name}.bias`, bias)]) : placed;
  const ordered = g.node("Transpose", [biased], { perm: [0, 1, 3, 2, 4, 5] });
  const last = g.node("Reshape", [ordered, g.ints([0, output.height, output.width, output.channels])]);
  transforms.cost.multiplyAdds += foldedMultiplyAdds(layer, units);
  return g.node("Transpose", [last], { perm: [0, 3, 1, 2] }, name);
}

/** `[N, C, X, Y, 64]` → `[N, M, H, W]` by a convolution over the grid of blocks. */
function overlapping(transforms: Transforms, x: string, layer: Convolution, units: Units): string {
  const { g } = transforms;
  const [down, across] = units;
  const { name, bias, input, output } = layer;
  const m = down.outputs * across.outputs * output.channels;
  const [X, Y] = [input.height / 8, input.width / 8];
  const reach = [down.reach, across.reach];
  const folded = float32(foldedWeight(transforms.table, layer, units), [m, input.channels, ...reach, 64]);
  const parameter = transforms.parameter(`${name}.weight`, folded);
  const byFrequency = g.node("Transpose", [parameter], { perm: [0, 1, 4, 2, 3] });
  const shape = g.ints([m, 64 * input.channels, ...reach]);
  const weight = g.node("Reshape", [byFrequency, shape], {}, `${name}.operator`);
  const grid = g.node("Transpose", [x], { perm: [0, 1, 4, 2, 3] });
  const channels = g.node("Reshape", [grid, g.ints([0, 64 * input.channels, X, Y])]);
  const after = (unit: Unit, length: number) =>
    unit.blocks * (unit.units - 1) + unit.first + unit.reach - length;
  const pads = [-down.first, -across.first, after(down, X), after(across, Y)];
  const attributes = {
    kernel_shape: reach,
    strides: [down.blocks, across.blocks],
    pads: pads.map((pad) => Math.max(0, pad)),
  };
  transforms.cost.multiplyAdds += foldedMultiplyAdds(layer, units);
  const product = g.node("Conv", [channels, weight], attributes, name);
  const places = [0, down.outputs, across.outputs, output.channels, down.units, across.units];
  const placed = g.node("Reshape", [product, g.ints(places)]);
  const ordered = g.node("Transpose", [placed], { perm: [0, 3, 4, 1, 5, 2] });
  const y = g.node("Reshape", [ordered, g.ints([0, output.channels, output.height, output.width])], {}, name);
  if (!bias) return y;
  const term = float32(floats(bias), [output.channels, 1, 1]);
  return g.node("Add", [y, transforms.parameter(`${name}.bias`, term)]);
}
