/**
 * The kernel of a convolution over the grid of blocks: compress · w · decompress over the window that one output block
 * reads,
 *
 *   K[k t, m n, k'] = Σ_{i' j'} C[i' j' k'] Σ_{u v} w[m n u v] G[k t, σ i' + δ u, σ j' + δ v],
 *
 * where t = (x, y) counts the input blocks within reach and G[k t, · ·] is the part of frequency k of block t that falls
 * into the window. K is the same for every output block: a convolution is block-Toeplitz.
 *
 * The graph holds w, G and C, and computes K from these constants, which ONNX Runtime does once, when it loads the model.
 */
import { type Constant, float32, floats } from "../../onnx/graph.js";
import { Ci } from "../../transform/tensors.js";
import { type Convolution, type Reach, reach } from "../operators/convolution.js";
import type { Transforms } from "./transforms.js";

export const reaches = (layer: Convolution): [down: Reach, across: Reach] => [
  reach(layer, 0),
  reach(layer, 1),
];

/**
 * Adds K to the graph, `[64 k, T, M, N, 64 k']` for a weight `[M, N, kh, kw]`.
 * T is the number of blocks within reach, and one more, all zero, where `empty` asks for a block out of reach.
 */
export function blockKernel(
  transforms: Transforms,
  layer: Convolution,
  weight: Constant,
  empty = false,
): string {
  const { g } = transforms;
  const [down, across] = reaches(layer);
  const [m, n, ...kernel] = weight.dims as [number, number, ...number[]];
  const taps = down.blocks * across.blocks + (empty ? 1 : 0);
  const basis = transforms.constant(
    `basis_${windowName(down, across)}_${taps}`,
    [64 * taps, 1, down.length, across.length],
    () => windowBasis(transforms.table, down, across, taps),
  );
  const kernels = g.constant(`${layer.name}.weight`, float32(floats(weight), [m * n, 1, ...kernel]));
  const { strides, dilations } = layer.window;
  const images = g.node("Conv", [basis, kernels], { strides, dilations });
  const flat = g.node("Reshape", [images, g.ints([64 * taps, m * n, 64])]);
  const compressed = g.node("MatMul", [flat, transforms.compression()]);
  return g.node("Reshape", [compressed, g.ints([64, taps, m, n, 64])], {}, `${layer.name}.kernel`);
}

/** G as the kernel of a convolution over the grid of blocks: `[window pixels, 64, down, across]`. */
export function windowKernel(transforms: Transforms, layer: Convolution): string {
  const [down, across] = reaches(layer);
  const [taps, pixels] = [down.blocks * across.blocks, down.length * across.length];
  const dims = [pixels, 64, down.blocks, across.blocks];
  return transforms.constant(`windows_${windowName(down, across)}`, dims, () => {
    const basis = windowBasis(transforms.table, down, across, taps);
    const at = (pixel: number, input: number) => basis[input * pixels + pixel] as number;
    return Float32Array.from(basis, (_, i) => at(Math.floor(i / (64 * taps)), i % (64 * taps)));
  });
}

/** Strides and pads of the convolution over the grid of blocks. */
export function gridWindow(layer: Convolution): { strides: number[]; pads: number[] } {
  const { input, output } = layer;
  const lengths = [
    [input.height / 8, output.height / 8],
    [input.width / 8, output.width / 8],
  ] as const;
  const sides = reaches(layer).map(({ first, blocks, stride }, axis) => {
    const [from, to] = lengths[axis] as readonly [number, number];
    return { stride, before: -first, after: stride * (to - 1) + first + blocks - from };
  });
  return {
    strides: sides.map(({ stride }) => stride),
    pads: [...sides.map(({ before }) => before), ...sides.map(({ after }) => after)],
  };
}

const windowName = (...sides: Reach[]) =>
  sides.map(({ blocks, offset, length }) => `${length}of${blocks}from${offset}`).join("x");

/** G, `[64 k, taps, rows, columns]` of the window. */
function windowBasis(table: ArrayLike<number>, down: Reach, across: Reach, taps: number): Float32Array {
  const { data } = Ci(table);
  const pixels = down.length * across.length;
  const values = new Float32Array(64 * taps * pixels);
  for (let k = 0; k < 64; k++)
    for (let tap = 0; tap < down.blocks * across.blocks; tap++)
      for (let pixel = 0; pixel < pixels; pixel++) {
        const [x, y] = [Math.floor(tap / across.blocks), tap % across.blocks];
        const i = Math.floor(pixel / across.length) + down.offset - 8 * x;
        const j = (pixel % across.length) + across.offset - 8 * y;
        if (i >= 0 && i < 8 && j >= 0 && j < 8)
          values[(k * taps + tap) * pixels + pixel] = data[(8 * i + j) * 64 + k] as number;
      }
  return values;
}
