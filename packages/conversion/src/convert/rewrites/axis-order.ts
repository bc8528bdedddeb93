/** Operators on feature maps `[N, H, W, C]` as the same operators on `[N, C, H, W]`. */
import {
  type Constant,
  each,
  int64,
  intAttribute,
  intsAttribute,
  type Node,
  numbers,
  volume,
} from "../../onnx/graph.js";

/** Axes of `[N, C, H, W]` in the order `[N, H, W, C]`, and the reverse: what `Transpose` takes. */
export const TO_LAST = [0, 2, 3, 1];
export const TO_FIRST = [0, 3, 1, 2];

/** An input of a moved operator: the map in the other order, a value to transpose, the same value, or a constant. */
export type Operand = "planes" | "transposed" | "same" | Constant;

/** An operator as it is on `[N, C, H, W]`. */
export interface Move {
  operands: Operand[];
  attributes: Node["attributes"];
  /** Whether its result is no map, but a tensor that is the same in either order. */
  leaves?: boolean;
}

/** A constant that broadcasts to `[N, H, W, C]`, as one of `[N, C, H, W]`. */
export function reordered({ type, dims, data }: Constant): Constant | undefined {
  const [n, h, w, c] = [1, 1, 1, 1, ...dims].slice(-4) as [number, number, number, number];
  if (data.length !== volume(dims)) return undefined;
  const result = data.slice();
  for (let at = 0; at < data.length; at++) {
    const [image, pixel, channel] = [Math.floor(at / (h * w * c)), Math.floor(at / c) % (h * w), at % c];
    result[(image * c + channel) * h * w + pixel] = data[at] as never;
  }
  return { type, dims: [n, c, h, w], data: result };
}

/** The operator in the other order, `undefined` where there is none. */
type Rule = (
  node: Node,
  operands: (Operand | undefined)[],
  constants: Map<string, Constant>,
) => Move | undefined;

const elementwise: Rule = (node, operands) =>
  operands.includes(undefined) ? undefined : { operands: operands as Operand[], attributes: node.attributes };

/** The place of an axis of `[N, H, W, C]` in `[N, C, H, W]`. */
const placeOf = (axis: number): number => TO_LAST[axis < 0 ? axis + 4 : axis] as number;

const concatenation: Rule = (node, operands, constants) => {
  const axis = placeOf(intAttribute(node, "axis", 0));
  return elementwise(
    { ...node, attributes: new Map(node.attributes).set("axis", { kind: "int", value: axis }) },
    operands,
    constants,
  );
};

/**
 * An operator on the map that is its first input, with a list of numbers as its second, in older operator sets as an
 * attribute. `change` gives the list in the other order, `undefined` where there is none.
 */
const listed =
  (name: string, change: (given: number[], node: Node) => number[] | undefined): Rule =>
  (node, [data], constants) => {
    const constant = constants.get(node.inputs[1] ?? "");
    const given = constant ? numbers(constant) : intsAttribute(node, name);
    const value = given && change(given, node);
    if (data !== "planes" || value === undefined) return undefined;
    const operands = node.inputs.map((_, at): Operand => (at === 0 ? "planes" : "same"));
    if (constant === undefined)
      return { operands, attributes: new Map(node.attributes).set(name, { kind: "ints", value }) };
    return { operands: operands.with(1, int64(value)), attributes: node.attributes };
  };

/** A fourth input would be the axes that the pads are for. */
const padding = listed("pads", (pads, { inputs }) =>
  inputs.length > 3 ? undefined : [0, 4].flatMap((end) => TO_FIRST.map((axis) => pads[end + axis] as number)),
);

const dropsAxes = (node: Node) => intAttribute(node, "keepdims", 1) === 0;

/**
 * Over height, width or both: over channels, a normalisation is faster as it was. If it drops axes, both must go: the
 * others would be left in another order.
 */
const reducedAxes = listed("axes", (given, node) => {
  const axes = given.map(placeOf).sort();
  const isSpatial = axes.length > 0 && axes.every((axis) => axis > 1);
  return (dropsAxes(node) ? axes.join() === "2,3" : isSpatial) ? axes : undefined;
});

const reduction: Rule = (node, ...rest) => {
  const move = reducedAxes(node, ...rest);
  return move && { ...move, leaves: dropsAxes(node) };
};

/** The operators that can be moved. A rule gets an {@link Operand} for each input, `undefined` if it is none. */
export const MOVES: Record<string, Rule> = {
  ...each(elementwise, "Identity", "Cast", "Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Selu", "Celu"),
  ...each(elementwise, "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Mish"),
  ...each(elementwise, "Neg", "Abs", "Exp", "Log", "Erf", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round"),
  ...each(elementwise, "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Where"),
  Concat: concatenation,
  Pad: padding,
  ...each(reduction, "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
};
