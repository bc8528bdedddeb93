/** Operators on each element: types, broadcast shapes, and arithmetic on the small tensors that are known. */
import {
  type Facts,
  fresh,
  type InferenceContext,
  isFresh,
  type ResultRule,
  type ShapeRule,
} from "../facts.js";
import { type Dimension, type ElementType, each, volume } from "../graph.js";
import { CODES } from "../tensors.js";

export const same: ResultRule = (node) => ({ type: node.input(0).type, shape: node.input(0).shape });

/** The shape that shapes broadcast to; the node fails where they do not fit. */
export function broadcastShape(node: InferenceContext, ...shapes: Dimension[][]): Dimension[] {
  return shapes.reduce((a, b) => {
    const rank = Math.max(a.length, b.length);
    const at = (shape: Dimension[], i: number) => shape[i - (rank - shape.length)] ?? 1;
    return Array.from({ length: rank }, (_, i) => {
      const [x, y] = [at(a, i), at(b, i)];
      if (x === y || y === 1) return x;
      if (x === 1) return y;
      if (typeof x === "string") return y;
      if (typeof y === "string") return x;
      return node.fail(`shapes [${a.join(", ")}] and [${b.join(", ")}] do not broadcast`);
    });
  }, []);
}

/** The element of a tensor of shape `from` that element `at` of its broadcast to shape `to` repeats. */
function sourceOf(at: number, to: number[], from: number[]): number {
  let [index, rest, stride] = [0, at, 1];
  for (let back = 1; back <= to.length; back++) {
    const length = to[to.length - back] as number;
    const own = from[from.length - back] ?? 1;
    if (own !== 1) index += (rest % length) * stride;
    stride *= own;
    rest = Math.floor(rest / length);
  }
  return index;
}

/** The elements of `facts` repeated over `shape`, if they are known. */
export function spread(node: InferenceContext, facts: Facts, shape: Dimension[]): Dimension[] | undefined {
  const { contents, shape: from } = facts;
  if (contents === undefined || !isKnown(shape) || !isKnown(from)) return undefined;
  const length = volume(shape);
  if (!node.follows(length)) return undefined;
  return Array.from({ length }, (_, at) => contents[sourceOf(at, shape, from)] as Dimension);
}

const isKnown = (shape: Dimension[]): shape is number[] => shape.every((n) => typeof n === "number");

/** A number as a tensor of `type` holds it, `undefined` for types whose elements are not followed. */
function rounded(type: ElementType, value: number): number | undefined {
  if (type === "float32") return Math.fround(value);
  if (type === "float64") return value;
  if (type === "bool") return Number(value !== 0);
  if (type !== "int64" && type !== "int32") return undefined;
  return Number.isSafeInteger(Math.trunc(value)) ? Math.trunc(value) + 0 : undefined;
}

type Apply = (...values: number[]) => number;

/** An operator on each element of its broadcast inputs. The result is of `type`, or of the first input's type. */
export const elementwise =
  (apply?: Apply, type?: ElementType): ResultRule =>
  (node) => {
    const inputs = node.inputs.map((_, i) => node.input(i));
    const shape = broadcastShape(node, ...inputs.map((input) => input.shape));
    const result: Facts = { type: type ?? node.input(0).type, shape };
    const contents = apply && known(node, result, inputs, apply);
    return { ...result, ...(contents && { contents }) };
  };

/** The elements of the result. Integers that depend on a length known only at run time get new names. */
function known(
  node: InferenceContext,
  { type, shape }: Facts,
  inputs: Facts[],
  apply: Apply,
): Dimension[] | undefined {
  if (!inputs.every(({ contents }) => contents)) return undefined;
  const [first, ...others] = inputs.map((input) => spread(node, input, shape));
  if (others.includes(undefined)) return undefined;
  const isInteger = type === "int64" || type === "int32";
  const contents = first?.map((value, at) => {
    const values = [value, ...others.map((part) => part?.[at])];
    const isKnown = values.every((value) => typeof value === "number");
    return isKnown ? rounded(type, apply(...values)) : isInteger ? fresh(node, at) : undefined;
  });
  return contents?.includes(undefined) ? undefined : (contents as Dimension[]);
}

const isInteger = (node: InferenceContext) => /^u?int/.test(node.input(0).type);
const division: ResultRule = (node) =>
  elementwise((a, b) => (isInteger(node) ? (b === 0 ? Number.NaN : Math.trunc(a / b)) : a / b))(node);

/** Python's remainder, or with `fmod` that of C. */
const modulo: ResultRule = (node) => {
  const fmod = node.int("fmod", 0) === 1;
  return elementwise((a, b) => (fmod ? a % b : ((a % b) + b) % b))(node);
};

/** Where the condition is known, names of lengths pass through. */
const where: ResultRule = (node) => {
  const [condition, yes, no] = [node.input(0), node.input(1), node.input(2)];
  const shape = broadcastShape(node, condition.shape, yes.shape, no.shape);
  const [which, a, b] = [condition, yes, no].map((part) => spread(node, part, shape));
  const contents = a && b && which?.map((one, at) => (one === 1 ? a[at] : b[at]) as Dimension);
  const decided = which?.every((one) => typeof one === "number");
  return { type: yes.type, shape, ...(decided && contents && { contents }) };
};

/** A name equals itself; whether two names, or a name and a number, are equal is not known. */
const equal: ResultRule = (node) => {
  const result = elementwise(undefined, "bool")(node);
  const [a, b] = [0, 1].map((i) => spread(node, node.input(i), result.shape));
  const contents = a?.map((x, at) => {
    const y = b?.[at];
    if (typeof x === "number" && typeof y === "number") return Number(x === y);
    if (x === y) return 1;
    if (isFresh(x) || isFresh(y)) return undefined;
    // But a length is never negative, as the -1 of a target shape is.
    const number = typeof x === "number" ? x : typeof y === "number" ? y : 0;
    return number < 0 ? 0 : undefined;
  });
  const isKnown = b && contents && !contents.includes(undefined);
  return { ...result, ...(isKnown && { contents: contents as number[] }) };
};

const cast: ResultRule = (node) => {
  const type = CODES.get(node.int("to", 0)) ?? node.fail("unsupported target type");
  return converted(node.input(0), type);
};

function converted({ shape, contents }: Facts, type: ElementType): Facts {
  // Names stand for lengths, and those are the same in every type.
  const values = contents?.map((value) => (typeof value === "number" ? rounded(type, value) : value));
  const follows = values && !values.includes(undefined) && type !== "bool";
  return { type, shape, ...(follows && { contents: values as Dimension[] }) };
}

const truth = (apply?: Apply) => elementwise(apply, "bool");

export const ELEMENTWISE: Record<string, ShapeRule> = {
  ...each(same, "Clip", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu"),
  ...each(
    same,
    "Selu",
    "Celu",
    "ThresholdedRelu",
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    "Softplus",
    "Softsign",
  ),
  ...each(same, "Gelu", "Mish", "Swish", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
  ...each(same, "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "CumSum", "LpNormalization", "Shrink", "Trilu"),
  ...each(same, "MeanVarianceNormalization", "BitwiseNot", "ReverseSequence", "ScatterElements", "ScatterND"),
  ...each(same, "Scatter"),
  ...each((node) => node.input(0), "Identity", "Dropout"),
  ...each(elementwise(), "Pow", "Sum", "Mean", "Round"),
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: division,
  Mod: modulo,
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Neg: elementwise((a) => -a),
  Abs: elementwise(Math.abs),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((a) => 1 / a),
  Ceil: elementwise(Math.ceil),
  Floor: elementwise(Math.floor),
  Sign: elementwise(Math.sign),
  ...each(truth(), "IsNaN", "IsInf"),
  Equal: equal,
  Greater: truth((a, b) => Number(a > b)),
  GreaterOrEqual: truth((a, b) => Number(a >= b)),
  Less: truth((a, b) => Number(a < b)),
  LessOrEqual: truth((a, b) => Number(a <= b)),
  And: truth((a, b) => Number(a === 1 && b === 1)),
  Or: truth((a, b) => Number(a === 1 || b === 1)),
  Xor: truth((a, b) => Number(a !== b)),
  Not: truth((a) => 1 - a),
  Where: where,
  Cast: cast,
  CastLike: (node) => converted(node.input(0), node.input(1).type),
};
