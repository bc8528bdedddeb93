/** Which input of a model is the image, and how it is made of planes. */
import { makeNode } from "../onnx/builder.js";
import {
  type Dimension,
  type ElementType,
  float32,
  type Graph,
  int64,
  type Node,
  type ValueInfo,
} from "../onnx/graph.js";
import { namesOf } from "../onnx/subgraph.js";
import { ConvertError } from "./errors.js";
import { type Layout, layoutOf } from "./image-layout.js";
import { castSteps, type Step } from "./image-types.js";
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

/** A model whose first input are planes. */
export interface ImageModel {
  source: Graph;
  image: ImageInput;
}

/**
 * Finds the image, and brings it to planes: a model of `[N, H, W, C]`, as TensorFlow exports them, of `[C, H, W]`,
 * `[H, W, C]` or `[N, H, W]`, or of another element type is given nodes that make its input of planes float32
 * `[N, C, H, W]`. Other inputs come after it.
 * @param given - values of others, which are therefore no image
 * @throws {ConvertError} where the model has no image input, or several.
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
  const planes: Dimension[] = [batch, channels, height, width];
  const opset = model.opsets.get("") ?? 0;
  const steps = [...layoutSteps(layout, opset), ...(castSteps(input.type, opset) as Step[])];
  const others = model.inputs.filter((other) => other !== input);
  checkNames(others, input.name, given);
  const isPlain = steps.length === 0;
  const name = isPlain ? input.name : unique(`${input.name}.planes`, namesOf(model));
  const image: ImageInput = { name, batch, channels, height, width, type: input.type };
  const inputs: ValueInfo[] = [{ name, type: "float32", shape: planes }, ...others];
  const source = isPlain ? { ...model, inputs } : prepend({ ...model, inputs }, input.name, name, steps);
  return { source, image };
}

interface Candidate {
  input: ValueInfo;
  layout: Layout;
  channels: number;
}

/** The inputs that may be an image: of 4 axes, or else of 3. */
function imagesOf(model: Graph): Candidate[] {
  const opset = model.opsets.get("") ?? 0;
  const found = model.inputs.flatMap((input): Candidate[] => {
    const layout = layoutOf(model, input);
    const sides = [layout?.height, layout?.width].map((axis) => input.shape?.[axis ?? -1] ?? 0);
    const channels = layout?.channels;
    const isImage = sides.every((side) => typeof side === "string" || side > 0);
    if (layout === undefined || !isImage || channels === undefined || channels < 1) return [];
    return castSteps(input.type, opset) ? [{ input, layout, channels }] : [];
  });
  const largest = Math.max(...found.map(({ input }) => input.shape?.length ?? 0));
  return found.filter(({ input }) => input.shape?.length === largest);
}

/** Where `Squeeze` begins to have its axes as an input. */
const AXES_AS_INPUT = 13;

/** From planes `[N, C, H, W]` to the axes of the model's input. */
function layoutSteps({ batch, channel, height, width }: Layout, opset: number): Step[] {
  const places = [batch, channel, height, width];
  const absent = places.flatMap((axis, i) => (axis === undefined ? [i] : []));
  const present = places.filter((axis) => axis !== undefined);
  const perm = present.map((_, axis) => present.indexOf(axis));
  const squeeze: Step =
    opset < AXES_AS_INPUT
      ? { op: "Squeeze", attributes: { axes: absent } }
      : { op: "Squeeze", indices: absent };
  return [
    ...(absent.length > 0 ? [squeeze] : []),
    ...(perm.every((from, to) => from === to) ? [] : [{ op: "Transpose", attributes: { perm } }]),
  ];
}

/** The model with `steps` from its planes to the input that it had. */
function prepend(model: Graph, input: string, planes: string, steps: Step[]): Graph {
  const initializers = new Map(model.initializers);
  const taken = namesOf(model);
  const named = (hint: string) => {
    const name = unique(hint, taken);
    taken.add(name);
    return name;
  };
  let x = planes;
  const nodes = steps.map(({ op, attributes = {}, constant, indices }, i): Node => {
    const inputs = [x];
    const second = constant === undefined ? indices && int64(indices) : float32([constant], []);
    if (second !== undefined) {
      inputs.push(named(`${planes}.constant${i}`));
      initializers.set(inputs[1] as string, second);
    }
    x = i === steps.length - 1 ? input : named(`${planes}.${i}`);
    return makeNode(op, inputs, [x], attributes);
  });
  return { ...model, initializers, nodes: [...nodes, ...model.nodes] };
}

function unique(hint: string, taken: ReadonlySet<string>): string {
  let name = hint;
  for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`;
  return name;
}
