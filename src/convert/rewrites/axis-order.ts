/** Operators on feature maps `[N, H, W, C]` as the same operators on `[N, C, H, W]`. */
import {
  type Constant,
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

/** What input of a moved operator is: the map in the other order, another value so transposed, the same, or new. */
export type Operand = "planes" | "transposed" | "same" | Constant;

/** An operator as it is on `[N, C, H, W]`. */
export interface Move {
  operands: Operand[];
  attributes: Node["attributes"];
  /** Whether it makes no map, but a tensor that is the same whatever the order was. */
  leaves?: boolean;
}

/** A constant beside `[N, H, W, C]`, with the missing axes before, as `[N, C, H, W]`. */
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

/** The operator in the other order; `undefined` where it is not the same there. */
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

/** A list of numbers that an operator has as input `i`, in older operator sets as attribute `name`. */
interface List {
  i: number;
  name: string;
  /** The list in the other order; `undefined` where there is none. */
  change: (given: number[]) => number[] | undefined;
}

/** An operator on the map that is its first input, with such a list. */
const listed =
  (listOf: (node: Node) => List): Rule =>
  (node, [data], constants) => {
    const { i, name, change } = listOf(node);
    const constant = constants.get(node.inputs[i] ?? "");
    const given = constant ? numbers(constant) : intsAttribute(node, name);
    const value = given && change(given);
    if (data !== "planes" || value === undefined) return undefined;
    const operands = node.inputs.map((_, at): Operand => (at === 0 ? "planes" : "same"));
    if (constant === undefined)
      return { operands, attributes: new Map(node.attributes).set(name, { kind: "ints", value }) };
    return { operands: operands.with(i, int64(value)), attributes: node.attributes };
  };

/** Its fourth input would be the axes that its pads are for. */
const padding = listed(({ inputs }) => ({
  ...{ i: 1, name: "pads" },
  change: (pads) =>
    inputs.length > 3
      ? undefined
      : [0, 4].flatMap((end) => TO_FIRST.map((axis) => pads[end + axis] as number)),
}));

const leaves = (node: Node) => intAttribute(node, "keepdims", 1) === 0;

/**
 * Over height, width or both: over channels, a normalisation is faster as it was. Where axes vanish, it must be both, or
 * those that are left would be in another order.
 */
const reducedAxes = listed((node) => ({
  ...{ i: 1, name: "axes" },
  change(given) {
    const axes = given.map(placeOf).sort();
    const isMovable = leaves(node)
      ? axes.join() === "2,3"
      : axes.length > 0 && axes.every((axis) => axis > 1);
    return isMovable ? axes : undefined;
  },
}));

const reduction: Rule = (node, ...rest) => {
  const move = reducedAxes(node, ...rest);
  return move && { ...move, leaves: leaves(node) };
};

const each = (rule: Rule, ...ops: string[]): Record<string, Rule> =>
  Object.fromEntries(ops.map((op) => [op, rule]));

/** Every operator that can be moved, its inputs told apart as {@link Operand}s, `undefined` for what fits none. */
export const MOVES: Record<string, Rule> = {
  ...each(elementwise, "Identity", "Cast", "Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Selu", "Celu"),
  ...each(elementwise, "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Mish"),
  ...each(elementwise, "Neg", "Abs", "Exp", "Log", "Erf", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round"),
  ...each(elementwise, "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Where"),
  Concat: concatenation,
  Pad: padding,
  ...each(reduction, "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
};
