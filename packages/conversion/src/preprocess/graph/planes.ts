/**
 * Preprocessing as ONNX nodes: a file's quantised coefficients → the network's planes, as ../reference/planes.ts defines
 * them. One graph is for files of all sizes: it computes what depends on the file from its size, sampling and orientation.
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { canBeSmaller } from "../geometry.js";
import { type Area, channelCount, NO_PAD, type Preprocess } from "../preprocess.js";
import { Arithmetic } from "./arithmetic.js";
import { colors } from "./color.js";
import { type Outputs, outputsOf, windowOf } from "./geometry.js";
import { componentPixels, layoutOf } from "./inverse.js";
import { clamped, inBlack, normalized, surrounded } from "./normalize.js";
import { resampled } from "./resample.js";

/**
 * The inputs of a graph that takes JPEG files, for one file in each call. They are the same for every network:
 *
 *   y, cb, cr      int16 [blocksHigh, blocksWide, K]  quantised coefficients, zigzag order, K ≤ 64 of each block
 *   quantization   int32 [3, 64]                      the components' tables, zigzag order
 *   sampling       int64 [3, 2]                       the components' vertical and horizontal sampling factors
 *   size           int64 [2]                          height and width in pixels, as in the frame header
 *   orientation    int64 [1]                          of EXIF, 1 to 8; 1 if the file has none
 *   rgb            int64 [1]                          1 if the components are red, green and blue, else 0
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
 * Adds the nodes to `g`, and returns the planes `[C, height, width]`.
 * @param out What the network takes.
 */
export function planesGraph(g: GraphBuilder, preprocess: Preprocess, out: Area): string {
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

  // The axis that is resampled comes first, because rows are moved fast.
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

/** Cuts off the outputs beyond the end of each axis. */
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
