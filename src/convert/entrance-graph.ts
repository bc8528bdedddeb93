/**
 * The entrance as nodes: a file's quantised coefficients → the network's planes, as ./planes.ts defines it, for any size
 * and sampling. Everything that depends on the file is computed in the graph, from its size, sampling and orientation.
 */
import type { GraphBuilder } from "../onnx/builder.js";
import { float32 } from "../onnx/graph.js";
import { Arithmetic } from "./arithmetic.js";
import { tapsMatrix } from "./entrance-resample.js";
import { bytes, componentPixels, type Layout, scaledLayouts } from "./entrance-samples.js";
import { LUMA } from "./planes.js";
import { channelCount, type Preprocess } from "./preprocess.js";

/**
 * The inputs of a graph that takes JPEG files, for one file in each call. They are the same for every network:
 *
 *   y, cb, cr      int16 [blocksHigh, blocksWide, K]  quantised coefficients, zigzag order, K ≤ 64 of each block
 *   quantization   int32 [3, 64]                      the components' tables, zigzag order
 *   sampling       int64 [3, 2]                       the components' vertical and horizontal sampling factors
 *   size           int64 [2]                          height and width in pixels, as in the frame header
 *   orientation    int64 [1]                          of EXIF, 1 to 8; 1 where the file has none
 *   rgb            int64 [1]                          1 where the components are red, green and blue, else 0
 *
 * A grayscale file has one block of zeros `[1, 1, K]` for cb and cr, tables of ones, and the sampling of y.
 */
export const JPEG_INPUTS = [
  "y",
  "cb",
  "cr",
  "quantization",
  "sampling",
  "size",
  "orientation",
  "rgb",
] as const;

/**
 * Adds the entrance to `g`, and returns the planes `[C, height · width]`.
 * @param out What the network takes, where resize and crop do not say.
 */
export function entranceGraph(
  g: GraphBuilder,
  preprocess: Preprocess,
  out: { height: number; width: number },
): string {
  const m = new Arithmetic(g);
  const coefficients = ["y", "cb", "cr"].map((name) =>
    g.input(name, "int16", [`${name}_blocks_high`, `${name}_blocks_wide`, "coefficients"]),
  );
  const tables = m.toReal(g.input("quantization", "int32", [3, 64]));
  const sampling = g.input("sampling", "int64", [3, 2]);
  const size = g.input("size", "int64", [2]);
  const orientation = g.input("orientation", "int64", [1]);
  const isRgb = m.int.equal(g.input("rgb", "int64", [1]), 1);

  // Geometry (./geometry.ts), upright and then in the file's directions.
  const [fileHeight, fileWidth] = [m.at(size, 0), m.at(size, 1)];
  const isSwapped = m.int.less(4, orientation);
  const upright = {
    height: m.int.where(isSwapped, fileWidth, fileHeight),
    width: m.int.where(isSwapped, fileHeight, fileWidth),
  };
  const resized = resizedSize(m, preprocess, upright);
  const crop = {
    top: m.int.div(m.int.sub(resized.height, out.height), 2),
    left: m.int.div(m.int.sub(resized.width, out.width), 2),
  };
  const swap = (a: string | number, b: string | number) => m.int.where(isSwapped, a, b);
  const down = {
    resized: swap(resized.width, resized.height),
    from: swap(crop.left, crop.top),
    length: swap(out.width, out.height),
  };
  const across = {
    resized: swap(resized.height, resized.width),
    from: swap(crop.top, crop.left),
    length: swap(out.height, out.width),
  };
  const needed = (to: string, file: string) => m.int.ceilDiv(m.int.mul(to, 8), file);
  const scale = m.int.min(m.int.max(needed(down.resized, fileHeight), needed(across.resized, fileWidth)), 8);

  const layout = scaledLayouts(m, sampling, size, scale);
  const planes = coefficients.map((blocks, c) =>
    componentPixels(m, blocks, m.shape(m.at(tables, c), 64, 1), layout, c),
  );
  const pixels = colors(m, planes, isRgb, preprocess, layout);

  const flipY = oneOf(m, orientation, [3, 4, 6, 7]);
  const flipX = oneOf(m, orientation, [2, 3, 7, 8]);
  const rows = tapsMatrix(m, preprocess, m.at(layout.pixels, 0), down, flipY);
  const columns = tapsMatrix(m, preprocess, m.at(layout.pixels, 1), across, flipX);
  const resampled = g.node("MatMul", [
    g.node("MatMul", [rows, pixels]),
    g.node("Transpose", [columns], { perm: [1, 0] }),
  ]);
  return normalized(g, turnUpright(m, resampled, channelCount(preprocess), out, isSwapped), preprocess);
}

function resizedSize(
  m: Arithmetic,
  { resize }: Preprocess,
  { height, width }: { height: string; width: string },
): { height: string; width: string } {
  if (resize === undefined) return { height, width };
  const { g } = m;
  if (!("shortestEdge" in resize)) return { height: g.ints([resize.height]), width: g.ints([resize.width]) };
  const edge = resize.shortestEdge;
  const shortest = m.int.min(height, width);
  const side = (length: string) => m.int.div(m.int.mul(length, edge), shortest);
  return { height: side(height), width: side(width) };
}

/** JFIF's colours in the network's order of channels, as bytes `[C, rows, columns]`. */
function colors(
  m: Arithmetic,
  planes: string[],
  isRgb: string,
  { channels }: Preprocess,
  { pixels }: Layout,
): string {
  const { g } = m;
  const order = channels === "bgr" ? [2, 1, 0] : [0, 1, 2];
  const pick = (rows: number[][]) =>
    channels === "grayscale" ? rows : order.map((c) => rows[c] as number[]);
  const fromYcbcr = pick(
    channels === "grayscale"
      ? [[1, 0, 0]]
      : [
          [1, 0, 1.402],
          [1, -0.344136286, -0.714136286],
          [1, 1.772, 0],
        ],
  );
  const fromRgb = pick(
    channels === "grayscale"
      ? [[...LUMA]]
      : [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ],
  );
  const shift = fromYcbcr.map(([, cb = 0, cr = 0]) => 0.5 - 128 * (cb + cr));
  const dims = [fromYcbcr.length, 3];
  const matrix = m.real.where(isRgb, g.floats(fromRgb.flat(), dims), g.floats(fromYcbcr.flat(), dims));
  const bias = m.real.where(isRgb, 0.5, g.floats(shift, [shift.length, 1]));
  const stacked = g.node(
    "Concat",
    planes.map((plane) => m.shape(plane, 1, -1)),
    { axis: 0 },
  );
  const mixed = bytes(m, m.real.add(g.node("MatMul", [matrix, stacked]), bias));
  return m.shape(mixed, fromYcbcr.length, m.at(pixels, 0), m.at(pixels, 1));
}

function oneOf(m: Arithmetic, orientation: string, values: number[]): string {
  const [first, ...others] = values.map((value) => m.int.equal(orientation, value)) as [string, ...string[]];
  return m.any(first, ...others);
}

/** `[C, rows, columns]` in the file's directions → `[C, height · width]`. */
function turnUpright(
  m: Arithmetic,
  planes: string,
  channels: number,
  { height, width }: { height: number; width: number },
  isSwapped: string,
): string {
  const { g } = m;
  if (height === width) {
    const turned = g.node("Transpose", [planes], { perm: [0, 2, 1] });
    return m.shape(m.real.where(isSwapped, turned, planes), channels, -1);
  }
  const index = (place: (y: number, x: number) => number) => {
    const places = Array.from({ length: height * width }, (_, at) =>
      place(Math.floor(at / width), at % width),
    );
    const data = BigInt64Array.from(places, BigInt);
    return g.constant("upright", { type: "int64", dims: [data.length], data });
  };
  const straight = index((y, x) => y * width + x);
  const swapped = index((y, x) => x * height + y);
  return m.gather(m.shape(planes, channels, -1), m.int.where(isSwapped, swapped, straight), 1);
}

function normalized(g: GraphBuilder, planes: string, { resample, rescale, mean, std }: Preprocess): string {
  const overshoots = resample === "bicubic" || resample === "lanczos";
  const cut = overshoots ? g.node("Min", [g.node("Max", [planes, g.floats([0])]), g.floats([255])]) : planes;
  const factors = std.map((deviation) => rescale / deviation);
  const summands = std.map((deviation, c) => -(mean[c] as number) / deviation);
  const column = (values: number[]) => g.constant("normalize", float32(values, [values.length, 1]));
  return g.node("Add", [g.node("Mul", [cut, column(factors)]), column(summands)]);
}
