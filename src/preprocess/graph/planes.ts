/**
 * The entrance as nodes: a file's quantised coefficients → the network's planes, as ./planes.ts defines it, for any size
 * and sampling. Everything that depends on the file is computed in the graph, from its size, sampling and orientation.
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { float32, int64 } from "../../onnx/graph.js";
import { FILTERS } from "../filters.js";
import { canBeSmaller } from "../geometry.js";
import { type Area, channelCount, NO_PAD, type Preprocess } from "../preprocess.js";
import { LUMA } from "../reference/planes.js";
import { Arithmetic } from "./arithmetic.js";
import { type Axes, type Axis, type Outputs, outputsOf, windowOf } from "./geometry.js";
import { componentPixels, layoutOf } from "./inverse.js";
import { resampled } from "./resample.js";

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
 * Adds the entrance to `g`, and returns the planes `[C, height, width]`.
 * @param out What the network takes.
 */
export function entranceGraph(g: GraphBuilder, preprocess: Preprocess, out: Area): string {
  const m = new Arithmetic(g);
  const names = ["y", "cb", "cr"];
  const coefficients = names.map((name) =>
    g.input(name, "int16", [`${name}_blocks_high`, `${name}_blocks_wide`, "coefficients"]),
  );
  const quantization = g.input("quantization", "int32", [3, 64]);
  const sampling = g.input("sampling", "int64", [3, 2]);
  const size = g.input("size", "int64", [2]);
  const orientation = g.input("orientation", "int64", [1]);
  const isRgb = m.int.equal(g.input("rgb", "int64", [1]), 1);

  const { pad = NO_PAD } = preprocess;
  const frame: Area = {
    height: out.height - pad.top - pad.bottom,
    width: out.width - pad.left - pad.right,
  };
  const outputs: [Outputs, Outputs] = [outputsOf(frame.height), outputsOf(frame.width)];
  const window = windowOf(m, { size, orientation, sampling }, preprocess, outputs);
  const [blocks = ""] = coefficients;
  const layout = layoutOf(m, { blocks, sampling, quantization }, window);
  const [down, across] = layout.axes;
  const planes = coefficients.map((blocks, c) => componentPixels(m, blocks, c, layout));

  // Upright from the first sample on, and turned so that the axis in work comes first: rows are moved fast.
  const channels = channelCount(preprocess);
  const mixed = colors(m, planes, isRgb, preprocess);
  const pixels = m.shape(mixed, channels, m.int.mul(across.unit, across.units), -1);
  const wide = resampled(m, pixels, channels, across, outputs[1], preprocess);
  const turned = g.node("Transpose", [wide], { perm: [0, 2, 1] });
  const image = resampled(m, turned, channels, down, outputs[0], preprocess);
  const middle = clamped(g, cut(g, image, frame, outputs), preprocess);
  const framed = canBeSmaller(preprocess) ? inBlack(m, middle, frame, layout.axes) : middle;
  return normalized(g, surrounded(g, framed, channels, frame, preprocess), preprocess);
}

/** Black where the crop goes beyond the resized image. */
function inBlack(m: Arithmetic, image: string, frame: Area, [down, across]: Axes): string {
  const { int, real } = m;
  const lies = (axis: Axis, length: number) => {
    const place = int.add(m.g.ints(Array.from({ length }, (_, i) => i)), axis.from);
    return m.all(int.less(-1, place), int.less(place, axis.resized));
  };
  const rows = m.shape(lies(down, frame.height), -1, 1);
  return real.where(m.all(rows, lies(across, frame.width)), image, -MIDDLE);
}

/** With what is padded around it, an axis at a time. */
function surrounded(
  g: GraphBuilder,
  image: string,
  channels: number,
  { height, width }: Area,
  { pad = NO_PAD }: Preprocess,
): string {
  const { top, bottom, left, right, value = 0 } = pad;
  const level = float32([value - MIDDLE]);
  const beside = (shape: number[]) =>
    g.node("ConstantOfShape", [g.constant("padding", int64(shape))], { value: level });
  const around = (image: string, axis: number, lengths: [number, number], shape: (n: number) => number[]) => {
    const [before, after] = lengths.map((n) => (n === 0 ? [] : [beside(shape(n))])) as [string[], string[]];
    return before.length + after.length === 0
      ? image
      : g.node("Concat", [...before, image, ...after], { axis });
  };
  const tall = around(image, 1, [top, bottom], (n) => [channels, n, width]);
  return around(tall, 2, [left, right], (n) => [channels, height + top + bottom, n]);
}

/** What pixels are less by in the graph. */
const MIDDLE = 128;

/** Without the outputs beyond the end of each axis. */
function cut(
  g: GraphBuilder,
  image: string,
  { height, width }: { height: number; width: number },
  outputs: [Outputs, Outputs],
): string {
  return [height, width].reduce((value, length, axis) => {
    const { each, runs } = outputs[axis] as Outputs;
    return each * runs === length ? value : g.slice(value, { axis: axis + 1, from: 0, to: length });
  }, image);
}

/** JFIF's colours in the network's order of channels, `[C, pixels]`; without 128 of each there is nothing to add. */
function colors(m: Arithmetic, planes: string[], isRgb: string, { channels }: Preprocess): string {
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
  const dims = [fromYcbcr.length, 3];
  const matrix = m.real.where(isRgb, g.floats(fromRgb.flat(), dims), g.floats(fromYcbcr.flat(), dims));
  return m.toBytes(g.node("MatMul", [matrix, m.toReal(m.list(...planes))]));
}

/** To the levels that there are, less 128. */
function clamped(g: GraphBuilder, planes: string, { resample }: Preprocess): string {
  if (resample === "nearest" || !FILTERS[resample].overshoots) return planes;
  return g.node("Min", [g.node("Max", [planes, g.floats([-MIDDLE])]), g.floats([255 - MIDDLE])]);
}

/** From pixels less 128. */
function normalized(g: GraphBuilder, planes: string, { rescale, mean, std }: Preprocess): string {
  const factors = std.map((deviation) => rescale / deviation);
  const summands = factors.map((factor, c) => MIDDLE * factor - (mean[c] as number) / (std[c] as number));
  const column = (values: number[]) => g.constant("normalize", float32(values, [values.length, 1, 1]));
  return g.node("Add", [g.node("Mul", [planes, column(factors)]), column(summands)]);
}
