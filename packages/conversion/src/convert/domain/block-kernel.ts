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

import { C, Ci } from "@jpeg-domain/coefficients/tensors";
import { type Constant, float32, floats } from "../../onnx/graph.js";
import type { Window } from "../../onnx/window.js";
import { type Convolution, grid } from "../layers.js";
import type { Transforms } from "./transforms.js";

/** Along one axis: the input blocks that an output block reads, relative to block σ x', and the pixels of them. */
export interface Reach {
  /** The first input block, relative to block σ x'; negative where the window begins in the padding. */
  first: number;
  /** How many input blocks. */
  blocks: number;
  /** Where the window begins within the first block, in pixels. */
  offset: number;
  /** The window's length in pixels: 7σ + δ(k-1) + 1. */
  length: number;
  stride: number;
}

/** The reach of a convolution down and across. */
export const reaches = (layer: Convolution): [down: Reach, across: Reach] => [
  reach(layer, 0),
  reach(layer, 1),
];

/**
 * Output block x' holds the rows s' = 8x' … 8x'+7, which read the input rows σ 8x' - p … σ(8x'+7) - p + δ(k-1): always
 * the same window around input block σ x'. Blocks that every output block would find outside the map are left out, and
 * blocks after the last one read are put in, so that the grid is never to be cut.
 */
function reach({ window, input, output }: Convolution, axis: 0 | 1): Reach {
  const [stride, dilation, kernel] = [window.strides, window.dilations, window.kernel].map(
    (v) => v[axis],
  ) as [number, number, number];
  const begin = -(window.pads[axis] as number);
  const length = 7 * stride + dilation * (kernel - 1) + 1;
  const [mapBlocks, outputBlocks] = [grid(input)[axis], grid(output)[axis]] as [number, number];
  const lastStep = stride * (outputBlocks - 1);
  const first = Math.max(Math.floor(begin / 8), -lastStep);
  const last = Math.min(Math.floor((begin + length - 1) / 8), mapBlocks - 1);
  const blocks = Math.max(last, mapBlocks - 1 - lastStep, first) - first + 1;
  return { first, blocks, offset: begin - 8 * first, length, stride };
}

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
  const shifts = transforms.shared(name, () => {
    // In float64 first.
    g.budget.take(
      3 * shiftBytes(kh * kw, taps),
      `"${layer.name}": ${kh}x${kw} shifts between ${taps} blocks`,
    );
    return float32(shiftOperators(transforms.table, layer.window, down, across, taps), [
      kh * kw,
      64 * taps * 64,
    ]);
  });
  const w = g.constant(`${layer.name}.weight`, float32(floats(weight), [m * n, kh * kw]));
  const kernel = g.node("MatMul", [w, shifts]);
  return g.node("Reshape", [kernel, g.ints([m, n, 64, taps, 64])], {}, `${layer.name}.kernel`);
}

/** Bytes of E. */
export const shiftBytes = (shifts: number, taps: number): number => 4 * shifts * 64 * taps * 64;

/** The pixel of block `tap` (row by row) that is the window's pixel `pixel`, if it is one. */
function pixelWithin(down: Reach, across: Reach, tap: number, pixel: number): number | undefined {
  const i = Math.floor(pixel / across.length) + down.offset - 8 * Math.floor(tap / across.blocks);
  const j = (pixel % across.length) + across.offset - 8 * (tap % across.blocks);
  return i >= 0 && i < 8 && j >= 0 && j < 8 ? 8 * i + j : undefined;
}

/** Strides and pads of the convolution over the grid of blocks. */
export function gridWindow(layer: Convolution): { strides: number[]; pads: number[] } {
  const [from, to] = [grid(layer.input), grid(layer.output)];
  const sides = reaches(layer).map(({ first, blocks, stride }, axis) => {
    const reached = stride * ((to[axis] as number) - 1) + first + blocks;
    return { stride, before: -first, after: reached - (from[axis] as number) };
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
