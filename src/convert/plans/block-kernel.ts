/**
 * The kernel of a convolution over the grid of blocks. A convolution is a sum of shifts, one for each tap (u, v) of w,
 * and each shift, decompressed before and compressed after, is a fixed operator E between the coefficients of an output
 * block and those of the input blocks t = (x, y) within reach:
 *
 *   K[m n, k t k'] = Σ_{u v} w[m n, u v] E[u v, k t k'],
 *   E[u v, k t k'] = Σ_{i' j'} C[i' j' k'] Ci[i j k]   where pixel (σ i' + δ u, σ j' + δ v) of the window is pixel (i, j) of block t.
 *
 * K is the same for every output block: a convolution is block-Toeplitz. The graph holds w and E, and computes K from
 * these constants, which ONNX Runtime does once, when it loads the model.
 */
import { type Constant, float32, floats } from "../../onnx/graph.js";
import type { Window } from "../../onnx/window.js";
import { C, Ci } from "../../transform/tensors.js";
import type { Convolution } from "../layers.js";
import { type Reach, reach } from "../operators/convolution.js";
import type { Transforms } from "./transforms.js";

export const reaches = (layer: Convolution): [down: Reach, across: Reach] => [
  reach(layer, 0),
  reach(layer, 1),
];

/**
 * Adds K to the graph, `[M, N, 64 k, T, 64 k']` for a weight `[M, N, kh, kw]`.
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
  const [m, n, kh, kw] = weight.dims as [number, number, number, number];
  const taps = down.blocks * across.blocks + (empty ? 1 : 0);
  const name = `shifts_${kh}x${kw}_${layer.window.dilations.join("x")}_${windowName(down, across)}_${taps}`;
  const shifts = transforms.shared(name, () =>
    float32(shiftOperators(transforms.table, layer.window, down, across, taps), [kh * kw, 64 * taps * 64]),
  );
  const w = g.constant(`${layer.name}.weight`, float32(floats(weight), [m * n, kh * kw]));
  const kernel = g.node("MatMul", [w, shifts]);
  return g.node("Reshape", [kernel, g.ints([m, n, 64, taps, 64])], {}, `${layer.name}.kernel`);
}

/**
 * The window of each output block, gathered by a convolution over the grid of blocks from its 64 pixels to the window's:
 * each is a copy of one pixel, or of the padding. `[window pixels, 64, down, across]`.
 */
export function windowKernel(transforms: Transforms, layer: Convolution): string {
  const [down, across] = reaches(layer);
  const dims = [down.length * across.length, 64, down.blocks, across.blocks];
  return transforms.shared(`windows_${windowName(down, across)}`, () => {
    const values = new Float32Array(dims.reduce((a, b) => a * b));
    let at = 0;
    for (let pixel = 0; pixel < down.length * across.length; pixel++)
      for (let source = 0; source < 64; source++)
        for (let tap = 0; tap < down.blocks * across.blocks; tap++, at++)
          values[at] = Number(pixelWithin(down, across, tap, pixel) === source);
    return float32(values, dims);
  });
}

/** The pixel of block `tap` (row by row) that is the window's pixel `pixel`, if it is one. */
function pixelWithin(down: Reach, across: Reach, tap: number, pixel: number): number | undefined {
  const i = Math.floor(pixel / across.length) + down.offset - 8 * Math.floor(tap / across.blocks);
  const j = (pixel % across.length) + across.offset - 8 * (tap % across.blocks);
  return i >= 0 && i < 8 && j >= 0 && j < 8 ? 8 * i + j : undefined;
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

/** E, `[kh kw, 64 k, taps, 64 k']`. */
function shiftOperators(
  table: ArrayLike<number>,
  window: Window,
  down: Reach,
  across: Reach,
  taps: number,
): Float32Array {
  const [decompression, compression] = [Ci(table).data, C(table).data];
  const [kh, kw] = window.kernel as [number, number];
  const [dilationDown, dilationAcross] = window.dilations as [number, number];
  const E = new Float64Array(kh * kw * 64 * taps * 64);
  for (let shift = 0; shift < kh * kw; shift++)
    for (let target = 0; target < 64; target++) {
      const row = down.stride * (target >> 3) + dilationDown * Math.floor(shift / kw);
      const column = across.stride * (target & 7) + dilationAcross * (shift % kw);
      for (let tap = 0; tap < down.blocks * across.blocks; tap++) {
        const source = pixelWithin(down, across, tap, row * across.length + column);
        if (source === undefined) continue;
        for (let k = 0; k < 64; k++) {
          const value = decompression[64 * source + k] as number;
          const at = ((shift * 64 + k) * taps + tap) * 64;
          for (let k1 = 0; k1 < 64; k1++)
            E[at + k1] = (E[at + k1] as number) + value * (compression[64 * target + k1] as number);
        }
      }
    }
  return Float32Array.from(E);
}
