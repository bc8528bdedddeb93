/** Which input of a model is the image, and how its planes lie. */
import { makeNode } from "../onnx/builder.js";
import {
  type Dimension,
  float32,
  type Graph,
  intAttribute,
  type Node,
  type ValueInfo,
} from "../onnx/graph.js";
import { ConvertError } from "./errors.js";
import type { Planes } from "./layers.js";

/** The model's image, as planes float32 `[N, C, H, W]`. */
export interface ImageInput extends Planes {
  name: string;
  batch: Dimension;
}

/**
 * Finds the image, and brings it to planes: a model of `[N, H, W, C]`, as TensorFlow exports them, or of another
 * element type is given nodes that make its input of planes float32 `[N, C, H, W]`.
 * @throws {ConvertError} where the model has no image input, or other inputs as well.
 */
export function findImage(model: Graph): { source: Graph; image: ImageInput } {
  const [input, ...others] = model.inputs;
  const found = model.inputs.map(describeInput).join("; ") || "none";
  const refuse = (): never => {
    throw new ConvertError(
      `the model's inputs are ${found}; expected one image input float32 [N, C, H, W] or [N, H, W, C] with C known`,
    );
  };
  if (input === undefined || others.length > 0 || input.shape?.length !== 4) return refuse();
  const [batch, ...axes] = input.shape as [Dimension, Dimension, Dimension, Dimension];
  const last = channelsLast(model, input.name, axes);
  const [given, height, width] = last ? [axes[2], axes[0], axes[1]] : axes;
  const channels = typeof given === "number" ? given : readChannels(model, input.name);
  const casts = CASTS[input.type];
  if (channels === undefined || channels < 1 || casts === undefined) return refuse();
  for (const length of [height, width]) if (typeof length === "number" && length < 1) return refuse();

  const steps: Step[] = [
    ...(last ? [{ op: "Transpose", attributes: { perm: [0, 2, 3, 1] } }] : []),
    ...casts,
  ];
  const shape: Dimension[] = [batch, channels, height, width];
  if (steps.length === 0) {
    const image = { name: input.name, batch, channels, height, width };
    return { source: { ...model, inputs: [{ ...input, shape }] }, image };
  }
  const image = { name: `${input.name}.planes`, batch, channels, height, width };
  return { source: prepend(model, input, { name: image.name, type: "float32", shape }, steps), image };
}

/** The model with `steps` from a new input to the one that it had. */
function prepend(model: Graph, input: ValueInfo, planes: ValueInfo, steps: Step[]): Graph {
  const initializers = new Map(model.initializers);
  let x = planes.name;
  const nodes = steps.map(({ op, attributes = {}, constant }, i) => {
    const inputs = [x];
    if (constant !== undefined) {
      inputs.push(`${planes.name}.constant${i}`);
      initializers.set(inputs[1] as string, float32([constant], []));
    }
    x = i === steps.length - 1 ? input.name : `${planes.name}.${i}`;
    return makeNode(op, inputs, [x], attributes);
  });
  return { ...model, inputs: [planes], initializers, nodes: [...nodes, ...model.nodes] };
}

const describeInput = ({ name, type, shape }: ValueInfo) => `${name}: ${type} [${shape?.join(", ") ?? "?"}]`;

interface Step {
  op: string;
  attributes?: Parameters<typeof makeNode>[3];
  /** A second input. */
  constant?: number;
}

/** From float32 planes to the type of the model's input. Bytes are rounded, not cut: 12.9999 from a transform is 13. */
const CASTS: Partial<Record<ValueInfo["type"], Step[]>> = {
  float32: [],
  float16: [{ op: "Cast", attributes: { to: 10 } }],
  float64: [{ op: "Cast", attributes: { to: 11 } }],
  uint8: [
    { op: "Max", constant: 0 },
    { op: "Min", constant: 255 },
    { op: "Add", constant: 0.5 },
    { op: "Floor" },
    { op: "Cast", attributes: { to: 2 } },
  ],
};

/** Whether a length can be the number of an image's colours. */
const isColours = (length: Dimension) => typeof length === "number" && length >= 1 && length <= 4;

/**
 * Whether the image lies as `[N, H, W, C]`: all that reads it brings its channels to the front, or the last length
 * alone can be a number of colours.
 */
function channelsLast(model: Graph, name: string, [first, , last]: Dimension[]): boolean {
  const readers = model.nodes.filter(({ inputs }) => inputs.includes(name));
  const toFront = ({ op, domain, attributes }: Node) => {
    const perm = attributes.get("perm");
    return op === "Transpose" && domain === "" && perm?.kind === "ints" && perm.value.join() === "0,3,1,2";
  };
  if (readers.length > 0 && readers.every(toFront)) return true;
  return isColours(last as Dimension) && !isColours(first as Dimension);
}

/** The channels that the first convolution of the image takes, where the input's shape leaves them open. */
function readChannels(model: Graph, name: string): number | undefined {
  const first = model.nodes.find(
    ({ op, domain, inputs }) => op === "Conv" && domain === "" && inputs[0] === name,
  );
  const perGroup = model.initializers.get(first?.inputs[1] ?? "")?.dims[1];
  return first && perGroup && perGroup * intAttribute(first, "group", 1);
}
