/** Which input of a model is the image, and how it is computed from planes. */
import { GraphBuilder } from "../onnx/builder.js";
import type { Dimension, ElementType, Graph, ValueInfo } from "../onnx/graph.js";
import { GraphIndex } from "../onnx/graph-index.js";
import { freshNames } from "../onnx/subgraph.js";
import { ConvertError } from "./errors.js";
import { type Layout, layoutOf } from "./image-layout.js";
import { cast, isImageType } from "./image-types.js";
import type { Planes } from "./layers.js";
import { checkNames, describeInput, givenFor, type InputValues } from "./other-inputs.js";

/** The model's image, as planes float32 `[N, C, H, W]`. */
export interface ImageInput extends Planes {
  name: string;
  /** 1 where the model takes one image without a batch. */
  batch: Dimension;
  /** Of the model's own input. */
  type: ElementType;
}

/** A model whose first input is the planes of its image. */
export interface ImageModel {
  source: Graph;
  image: ImageInput;
}

/**
 * Finds the image and makes its planes float32 `[N, C, H, W]` the first input. If the model takes `[N, H, W, C]`, as
 * TensorFlow exports it, `[C, H, W]`, `[H, W, C]`, `[N, H, W]` or another element type, nodes compute that from the planes.
 * @param given Values of other inputs, none of which is the image.
 * @throws {ConvertError} where no input can be the image, or several can.
 */
export function findImage(model: Graph, given: InputValues = {}): ImageModel {
  const found = model.inputs.map(describeInput).join("; ") || "none";
  const refuse = (why: string): never => {
    throw new ConvertError(`the model's inputs are ${found}; ${why}`);
  };
  const candidates = imagesOf(model).filter(({ input }) => givenFor(given, input.name) === undefined);
  const [first, second] = candidates;
  if (first === undefined)
    return refuse("expected one image input float32 [N, C, H, W] or [N, H, W, C] with C known");
  if (second !== undefined)
    return refuse(
      `expected one image input, and "${first.input.name}" and "${second.input.name}" both may be it; the values of others can be given`,
    );
  const { input, layout, channels } = first;
  const shape = input.shape as Dimension[];
  const [height, width] = [shape[layout.height], shape[layout.width]] as [Dimension, Dimension];
  const batch = layout.batch === undefined ? 1 : (shape[layout.batch] as Dimension);
  const others = model.inputs.filter((other) => other !== input);
  checkNames(others, input.name, given);
  const { name, graph } = fromPlanes(model, input, layout);
  const planes: ValueInfo = { name, type: "float32", shape: [batch, channels, height, width] };
  const image: ImageInput = { name, batch, channels, height, width, type: input.type };
  return { source: { ...graph, inputs: [planes, ...others] }, image };
}

/** The inputs that may be an image: of 4 axes, or else of 3. */
function imagesOf(model: Graph): { input: ValueInfo; layout: Layout; channels: number }[] {
  const index = new GraphIndex(model);
  const found = model.inputs.flatMap((input) => {
    const layout = isImageType(input.type) ? layoutOf(model, index, input) : undefined;
    const sides = [layout?.height, layout?.width].map((axis) => input.shape?.[axis ?? -1] ?? 0);
    const channels = layout?.channels;
    const isImage = sides.every((side) => typeof side === "string" || side > 0);
    return layout && isImage && channels && channels >= 1 ? [{ input, layout, channels }] : [];
  });
  const largest = Math.max(...found.map(({ input }) => input.shape?.length ?? 0));
  return found.filter(({ input }) => input.shape?.length === largest);
}

/** The model with nodes that compute its image from planes, and the name of the planes. */
function fromPlanes(model: Graph, input: ValueInfo, layout: Layout): { name: string; graph: Graph } {
  const g = new GraphBuilder(model.name, model.opsets.get(""), undefined, freshNames(model));
  const name = g.unique(`${input.name}.planes`);
  const image = cast(g, inLayout(g, name, layout), input.type);
  if (image === name) return { name: input.name, graph: model };
  g.output(image, input.name, input.type, input.shape);
  const { nodes, initializers } = g.build();
  return {
    name,
    graph: {
      ...model,
      initializers: new Map([...model.initializers, ...initializers]),
      nodes: [...nodes, ...model.nodes],
    },
  };
}

/** From this operator set on, `Squeeze` has its axes as an input. */
const AXES_AS_INPUT = 13;

/** Brings planes `[N, C, H, W]` to the axes of the model's input. */
function inLayout(g: GraphBuilder, planes: string, { batch, channel, height, width }: Layout): string {
  const places = [batch, channel, height, width];
  const axes = places.flatMap((axis, i) => (axis === undefined ? [i] : []));
  const present = places.filter((axis) => axis !== undefined);
  const perm = present.map((_, axis) => present.indexOf(axis));
  let x = planes;
  if (axes.length > 0)
    x =
      g.opset < AXES_AS_INPUT
        ? g.node("Squeeze", [x], { axes }, planes)
        : g.node("Squeeze", [x, g.ints(axes)], {}, planes);
  return perm.every((from, to) => from === to) ? x : g.node("Transpose", [x], { perm }, planes);
}
