/**
 * A feature map whose sides are no multiples of 8 is stored in ceil(H / 8) x ceil(W / 8) blocks, zero outside the map.
 * What could be other than zero there is set to zero: in pixels by a choice, in coefficients, for the blocks of the last
 * row and column alone, by the projection
 *
 *   P[k k'] = Σ_{i j inside} Ci[i j k] C[i j k'].
 *
 * A constant image of value 1 is U[x y k], the coefficients of the inside. Maps of whole blocks need none of this.
 */

import { C, Ci } from "@jpeg-domain/coefficients/tensors";
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Constant, float32, floats, volume } from "../../onnx/graph.js";
import { blockwide, grid, isWholeBlocks, type Size } from "../layers.js";
import type { Transforms } from "./transforms.js";

/** Pixels of the blocks that reach beyond the map. */
export function raggedPixels(size: Size): number {
  const [rows, columns] = grid(size);
  const [down, across] = [Number(size.height % 8 !== 0), Number(size.width % 8 !== 0)];
  return 64 * (down * columns + across * rows);
}

/** P x: the coefficient tensor of the map with zeros outside. */
export function inside(transforms: Transforms, x: string, size: Size): string {
  const { g } = transforms;
  const lengths = grid(size);
  let y = x;
  for (const [side, rest] of [size.height % 8, size.width % 8].entries()) {
    if (rest === 0) continue;
    const projection = transforms.shared(`inside_${"XY"[side]}_${rest}`, () =>
      insideProjection(transforms.table, (p) => (side === 0 ? p >> 3 : p & 7) < rest),
    );
    const [axis, last] = [side + 2, (lengths[side] as number) - 1];
    const cut = g.node(
      "MatMul",
      [last === 0 ? y : g.slice(y, { axis, from: last, to: last + 1 }), projection],
      {},
      "inside",
    );
    y =
      last === 0 ? cut : g.node("Concat", [g.slice(y, { axis, from: 0, to: last }), cut], { axis }, "inside");
  }
  transforms.cost.multiplyAdds += 64 * raggedPixels(size) * size.channels;
  return y;
}

function insideProjection(table: ArrayLike<number>, isInside: (pixel: number) => boolean): Constant {
  const [decompression, compression] = [Ci(table).data, C(table).data];
  const P = Float32Array.from({ length: 4096 }, (_, at) => {
    let sum = 0;
    for (let p = 0; p < 64; p++)
      if (isInside(p))
        sum += (decompression[64 * p + (at >> 6)] as number) * (compression[64 * p + (at & 63)] as number);
    return sum;
  });
  return float32(P, [64, 64]);
}

/** Blocks of pixels `[N, C, X, Y, 64]` with zeros outside, whatever stood there. */
export function insideBlocks(transforms: Transforms, pixels: string, size: Size): string {
  if (isWholeBlocks(size)) return pixels;
  const { g } = transforms;
  const mask = transforms.shared(`inside_${size.height}x${size.width}`, () => {
    const { dims, data } = toBlocks(g, filled(g, [size.height, size.width]), 0);
    return { type: "bool", dims: dims.slice(1), data: Uint8Array.from(data as Float32Array) };
  });
  return g.node("Where", [mask, pixels, g.floats([0], [])], {}, "inside");
}

/** U: `[X, Y, 64]`, or `[1, 1, 64]` where every block is whole. */
export function indicator(transforms: Transforms, size: Size): string {
  const { height, width } = !isWholeBlocks(size) ? size : { height: 8, width: 8 };
  const { g } = transforms;
  return transforms.shared(`U_${height}x${width}`, () => {
    const { dims, data } = compressed(g, toBlocks(g, filled(g, [height, width]), 0), transforms.table);
    return float32(data as Float32Array, dims.slice(1));
  });
}

/** A constant of one value. */
export function filled(g: GraphBuilder, dims: number[], value = 1): Constant {
  const length = volume(dims);
  g.budget.take(4 * length, `a constant [${dims.join(", ")}]`);
  return float32(new Float32Array(length).fill(value), dims);
}

/**
 * A constant `[…, H, W]` by blocks, `[channels, X, Y, 64]` of pixels, `outside` beyond the map. Where it is 1 high or wide and
 * `size` is not, it is repeated.
 */
export function toBlocks(g: GraphBuilder, constant: Constant, outside: number, size?: Size): Constant {
  const [h, w] = constant.dims.slice(-2) as [number, number];
  const channels = volume(constant.dims.slice(0, -2));
  const { height, width } = size ?? { height: h, width: w };
  const [rows, columns] = grid({ channels, height, width });
  const values = floats(constant);
  const dims = [channels, rows, columns, 64];
  g.budget.take(12 * volume(dims), `a constant [${constant.dims.join(", ")}] in blocks`);
  const blocks = new Float32Array(volume(dims)).fill(outside);
  for (let at = 0; at < channels * height * width; at++) {
    const [c, s, r] = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
    const block = (c * rows + (s >> 3)) * columns + (r >> 3);
    const from = (c * h + (h === 1 ? 0 : s)) * w + (w === 1 ? 0 : r);
    blocks[64 * block + 8 * (s & 7) + (r & 7)] = values[from] as number;
  }
  return float32(blocks, dims);
}

/** Bytes that a number counts as whose making takes 64 multiplications: so what is made takes no long time either. */
export const BYTES_OF_PRODUCT = 16;

/** C on the last axis of a constant. */
export function compressed(g: GraphBuilder, blocks: Constant, table: ArrayLike<number>): Constant {
  g.budget.take(
    BYTES_OF_PRODUCT * blocks.data.length,
    `a constant [${blocks.dims.join(", ")}] of coefficients`,
  );
  const compression = C(table).data;
  const pixels = floats(blocks);
  const coefficients = pixels.map((_, at) => {
    let sum = 0;
    for (let p = 0; p < 64; p++)
      sum += (compression[64 * p + (at & 63)] as number) * (pixels[(at & ~63) + p] as number);
    return sum;
  });
  return float32(coefficients, blocks.dims);
}

/** Planes `[N, C, H, W]` as blocks of pixels `[N, C, X, Y, 64]`, zero outside. */
export function apart(g: GraphBuilder, planes: string, size: Size): string {
  const [rows, columns] = grid(size);
  const { channels, height, width } = blockwide(size);
  const whole = !isWholeBlocks(size)
    ? pad(g, planes, [0, 0, 0, 0, 0, 0, height - size.height, width - size.width])
    : planes;
  const strips = g.node("Reshape", [whole, g.ints([0, channels * rows, 8, columns, 8])]);
  const blocks = g.node("Transpose", [strips], { perm: [0, 1, 3, 2, 4] });
  return g.node("Reshape", [blocks, g.ints([0, channels, rows, columns, 64])], {}, "blocks");
}

/** Zeros before and after each axis: operator sets before 11 have their numbers as an attribute. */
export function pad(g: GraphBuilder, x: string, pads: number[]): string {
  const asAttribute = (g.graph.opsets.get("") ?? 0) < 11;
  return asAttribute ? g.node("Pad", [x], { pads }) : g.node("Pad", [x, g.ints(pads)]);
}
