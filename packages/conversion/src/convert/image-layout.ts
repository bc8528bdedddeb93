/** The axes of a model's image, from what the graph does with it, or else from their lengths. */
import { constantOf } from "../onnx/facts.js";
import {
  type Constant,
  type Dimension,
  each,
  entryOf,
  type Graph,
  intsAttribute,
  type Node,
  numbers,
  type ValueInfo,
} from "../onnx/graph.js";
import type { GraphIndex } from "../onnx/graph-index.js";

/** The axes of an input. An input without batch is one image, one without channels is gray. */
export interface Layout {
  batch: number | undefined;
  channel: number | undefined;
  height: number;
  width: number;
  /** The number of channels, if it is known. */
  channels: number | undefined;
}

/**
 * The layout of an image input of 3 or 4 axes, `undefined` where it cannot be one.
 *
 * The first convolution decides, by the axis that it has as channels. Without one the lengths do: 1 to 4 are colours, and
 * of 3 axes only 3 is.
 */
export function layoutOf(model: Graph, index: GraphIndex, input: ValueInfo): Layout | undefined {
  const { name, shape } = input;
  if (shape === undefined || shape.length < 3 || shape.length > 4) return undefined;
  const traced = trace(model, index, input, shape);
  if (traced !== undefined) return withChannels(traced, shape);
  if (shape.length === 4) {
    const [, first, , last] = shape as [Dimension, Dimension, Dimension, Dimension];
    const isLast = comesToFront(index, name) || (isColours(last) && !isColours(first));
    return withChannels(isLast ? NHWC : NCHW, shape);
  }
  if (shape[0] === 3) return withChannels(CHW, shape);
  return shape[2] === 3 ? withChannels(HWC, shape) : undefined;
}

const NCHW: Layout = { batch: 0, channel: 1, height: 2, width: 3, channels: undefined };
const NHWC: Layout = { batch: 0, channel: 3, height: 1, width: 2, channels: undefined };
const CHW: Layout = { batch: undefined, channel: 0, height: 1, width: 2, channels: undefined };
const HWC: Layout = { batch: undefined, channel: 2, height: 0, width: 1, channels: undefined };

/** Whether all that reads the image brings its channels to the front. */
function comesToFront(index: GraphIndex, name: string): boolean {
  const readers = [...index.consumers(name)];
  const toFront = (node: Node) =>
    node.op === "Transpose" && node.domain === "" && intsAttribute(node, "perm")?.join() === "0,3,1,2";
  return readers.length > 0 && readers.every(toFront);
}

/** Whether a length can be a number of colours. */
const isColours = (length: Dimension) => typeof length === "number" && length >= 1 && length <= 4;

function withChannels(layout: Layout, shape: Dimension[]): Layout {
  const declared = layout.channel === undefined ? 1 : shape[layout.channel];
  return typeof declared === "number" ? { ...layout, channels: declared } : layout;
}

/** Operators that have channels as their second axis, and which input is the weight. */
const WEIGHTS: Record<string, number> = { Conv: 1, ConvInteger: 1, FusedConv: 1, QLinearConv: 3 };

/** The most values to follow between an image and its first convolution. */
const MOST_VALUES = 64;

/** Follows an input to the first operator that has channels, and where its axes go on the way. */
function trace(model: Graph, index: GraphIndex, { name }: ValueInfo, shape: Dimension[]): Layout | undefined {
  const constant = (value: string | undefined): Constant | undefined => {
    let producer = index.producer(value);
    let read = value ?? "";
    while (producer && ["DequantizeLinear", "Identity", "Cast"].includes(producer.op)) {
      read = producer.inputs[0] ?? "";
      producer = index.producer(read);
    }
    return producer?.op === "Constant" ? constantOf(producer) : model.initializers.get(read);
  };
  // The axes of each value that depends on the image. Nodes come after what they read: one pass follows every path.
  const paths = new Map([[name, shape.map((_, axis) => axis)]]);
  for (const node of model.nodes) {
    const at = node.inputs.findIndex((input) => paths.has(input));
    if (at < 0) continue;
    const axes = paths.get(node.inputs[at] as string) as number[];
    const weight = WEIGHTS[node.op];
    if (weight !== undefined && at === 0 && axes.length === 4)
      return layoutFrom(axes, shape.length, node, constant(node.inputs[weight])?.dims[1]);
    if (paths.size > MOST_VALUES) return undefined;
    const isKnown = node.domain === "" || node.domain === "com.microsoft";
    const change = isKnown ? entryOf(CHANGES, node.op) : undefined;
    const list = (attribute: string) => {
      const value = constant(node.inputs[1]);
      return value ? numbers(value) : intsAttribute(node, attribute);
    };
    const changed = at === 0 || change === inPlace ? change?.(axes, list, shape) : undefined;
    if (changed) paths.set(node.outputs[0] as string, changed);
  }
  return undefined;
}

/** An axis that the input does not have. */
const NONE = -1;

/**
 * Where the input's axes are after an operator, `undefined` where it mixes them.
 * @param list The numbers that the operator has as its second input, or as an attribute.
 * @param shape Of the input.
 */
type Change = (
  axes: number[],
  list: (attribute: string) => number[] | undefined,
  shape: readonly Dimension[],
) => number[] | undefined;

const inPlace: Change = (axes) => axes;

const CHANGES: Record<string, Change> = {
  ...each(
    inPlace,
    "Cast",
    "CastLike",
    "Identity",
    "Dropout",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Sqrt",
    "Neg",
  ),
  ...each(
    inPlace,
    "Abs",
    "Floor",
    "Ceil",
    "Round",
    "Clip",
    "Max",
    "Min",
    "Relu",
    "Pad",
    "Resize",
    "Upsample",
  ),
  ...each(inPlace, "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MaxPool", "AveragePool"),
  Transpose: (axes, list) =>
    (list("perm") ?? axes.map((_, i) => axes.length - 1 - i)).map((from) => axes[from] ?? NONE),
  Unsqueeze(axes, list) {
    const added = list("axes") ?? [];
    const rank = axes.length + added.length;
    const places = new Set(added.map((axis) => (axis < 0 ? axis + rank : axis)));
    const old = axes.values();
    return Array.from({ length: rank }, (_, i) => (places.has(i) ? NONE : (old.next().value ?? NONE)));
  },
  Squeeze(axes, list) {
    const gone = new Set(list("axes")?.map((axis) => (axis < 0 ? axis + axes.length : axis)));
    return axes.filter((_, i) => !gone.has(i));
  },
  /** One that only adds or drops axes of 1. */
  Reshape(axes, list, shape) {
    const kept = axes.filter((axis) => axis !== NONE && shape[axis] !== 1);
    const fits = (axis: number | undefined, length: number) =>
      axis !== undefined && (!(length > 0) || typeof shape[axis] !== "number" || shape[axis] === length);
    const target = list("shape") ?? [Number.NaN];
    const result = target.map((length) =>
      length === 1 ? NONE : fits(kept[0], length) ? kept.shift() : undefined,
    );
    return kept.length === 0 && !result.includes(undefined) ? (result as number[]) : undefined;
  },
};

/** The layout whose axes become `[N, C, H, W]` before a convolution. */
function layoutFrom(axes: number[], rank: number, node: Node, perGroup?: number): Layout | undefined {
  const [batch, channel, height, width] = axes as [number, number, number, number];
  const isWhole = new Set(axes.filter((axis) => axis !== NONE)).size === rank;
  if (height === NONE || width === NONE || !isWhole) return undefined;
  const group = node.attributes.get("group");
  const channels = perGroup && perGroup * (group?.kind === "int" ? group.value : 1);
  const known = (axis: number) => (axis === NONE ? undefined : axis);
  return { batch: known(batch), channel: known(channel), height, width, channels };
}
