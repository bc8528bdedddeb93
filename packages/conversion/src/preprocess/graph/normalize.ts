/** Padding and normalisation as nodes: ../reference/normalize.ts for pixels less {@link MIDDLE}. */
import type { GraphBuilder } from "../../onnx/builder.js";
import { float32, int64 } from "../../onnx/graph.js";
import { filterOf } from "../filters.js";
import { type Area, NO_PAD, type Preprocess } from "../preprocess.js";
import type { Arithmetic } from "./arithmetic.js";
import type { Axes, Axis } from "./geometry.js";

/** Subtracted from pixels in the graph, so that they fit into int8. */
const MIDDLE = 128;

/** Clamped to 0 … 255. */
export function clamped(g: GraphBuilder, planes: string, preprocess: Preprocess): string {
  if (!filterOf(preprocess).overshoots) return planes;
  return g.node("Min", [g.node("Max", [planes, g.floats([-MIDDLE])]), g.floats([255 - MIDDLE])]);
}

/** Black where the crop goes beyond the resized image. */
export function inBlack(m: Arithmetic, image: string, frame: Area, [down, across]: Axes): string {
  const { int, real } = m;
  const lies = (axis: Axis, length: number) => {
    const place = int.add(m.g.ints(Array.from({ length }, (_, i) => i)), axis.from);
    return m.all(int.less(-1, place), int.less(place, axis.resized));
  };
  const rows = m.shape(lies(down, frame.height), -1, 1);
  return real.where(m.all(rows, lies(across, frame.width)), image, -MIDDLE);
}

/** With the padding around it, one axis after the other. */
export function surrounded(
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

export function normalized(g: GraphBuilder, planes: string, { rescale, mean, std }: Preprocess): string {
  const factors = std.map((deviation) => rescale / deviation);
  const offsets = factors.map((factor, c) => MIDDLE * factor - (mean[c] as number) / (std[c] as number));
  const column = (values: number[]) => g.constant("normalize", float32(values, [values.length, 1, 1]));
  return g.node("Add", [g.node("Mul", [planes, column(factors)]), column(offsets)]);
}
