/** Operators on each element: types, broadcast shapes, and arithmetic on small tensors that are known. */
import { type Call, type Facts, fresh, isFresh, type ShapeRule } from "../facts.js";
import { type Dimension, type ElementType, intAttribute, volume } from "../graph.js";
import { CODES } from "../tensors.js";

export const same: ShapeRule = (call) => [{ type: call.input(0).type, shape: call.input(0).shape }];

/** The shape that shapes have together; `fail` is called where they do not fit. */
export function broadcastShape(shapes: Dimension[][], fail: (reason: string) => never): Dimension[] {
  return shapes.reduce((a, b) => {
    const rank = Math.max(a.length, b.length);
    const at = (shape: Dimension[], i: number) => shape[i - (rank - shape.length)] ?? 1;
    return Array.from({ length: rank }, (_, i) => {
      const [x, y] = [at(a, i), at(b, i)];
      if (x === y || y === 1) return x;
      if (x === 1) return y;
      if (typeof x === "string") return y;
      if (typeof y === "string") return x;
      return fail(`shapes [${a.join(", ")}] and [${b.join(", ")}] do not broadcast`);
    });
  }, []);
}

/** Where element `at` of a tensor of shape `to` comes from in one of shape `from` that is broadcast to it. */
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
export function spread(call: Call, facts: Facts, shape: Dimension[]): Dimension[] | undefined {
  const { contents, shape: from } = facts;
  if (contents === undefined || !isKnown(shape) || !isKnown(from)) return undefined;
  const length = volume(shape);
  return call.follows(length)
    ? Array.from({ length }, (_, at) => contents[sourceOf(at, shape, from)] as Dimension)
    : undefined;
}

const isKnown = (shape: Dimension[]): shape is number[] => shape.every((n) => typeof n === "number");

/** A number as a tensor of `type` holds it, `undefined` for types that are not followed. */
function rounded(type: ElementType, value: number): number | undefined {
  if (type === "float32") return Math.fround(value);
  if (type === "float64") return value;
  if (type === "bool") return Number(value !== 0);
  if (type !== "int64" && type !== "int32") return undefined;
  return Number.isSafeInteger(Math.trunc(value)) ? Math.trunc(value) + 0 : undefined;
}

type Apply = (...values: number[]) => number;

/** An operator on each element of its inputs together; `type` is that of the result, by default the first input's. */
export const elementwise =
  (apply?: Apply, type?: ElementType): ShapeRule =>
  (call) => {
    const inputs = call.inputs.map((_, i) => call.input(i));
    const shape = broadcastShape(
      inputs.map((input) => input.shape),
      (reason) => call.fail(reason),
    );
    const result: Facts = { type: type ?? call.input(0).type, shape };
    return [{ ...result, ...known(call, result, inputs, apply) }];
  };

/** The elements of the result; integers that depend on a length known only at run time get a name of their own. */
function known(
  call: Call,
  result: Facts,
  inputs: Facts[],
  apply: Apply | undefined,
): { contents?: Dimension[] } {
  const integer = result.type === "int64" || result.type === "int32";
  if (apply === undefined || !inputs.every(({ contents }) => contents)) return {};
  const parts = inputs.map((input) => spread(call, input, result.shape));
  if (parts.length === 0 || parts.includes(undefined)) return {};
  const contents = (parts[0] as Dimension[]).map((_, at) => {
    const values = parts.map((part) => part?.[at]);
    return values.every((value) => typeof value === "number")
      ? rounded(result.type, apply(...(values as number[])))
      : integer
        ? fresh(call, at)
        : undefined;
  });
  return contents.includes(undefined) ? {} : { contents: contents as Dimension[] };
}

const isInteger = (call: Call) => /^u?int/.test(call.input(0).type);
export const division: ShapeRule = (call) =>
  elementwise((a, b) => (isInteger(call) ? (b === 0 ? Number.NaN : Math.trunc(a / b)) : a / b))(call);

/** Python's remainder, or with `fmod` that of C. */
export const modulo: ShapeRule = (call) => {
  const fmod = intAttribute(call.node, "fmod", 0) === 1;
  return elementwise((a, b) => (fmod ? a % b : ((a % b) + b) % b))(call);
};

/** Where the condition is known, names of lengths pass through. */
export const where: ShapeRule = (call) => {
  const [condition, yes, no] = [call.input(0), call.input(1), call.input(2)];
  const shape = broadcastShape([condition.shape, yes.shape, no.shape], (reason) => call.fail(reason));
  const [which, a, b] = [condition, yes, no].map((part) => spread(call, part, shape));
  const contents = a && b && which?.map((one, at) => (one === 1 ? a[at] : b[at]) as Dimension);
  const decided = which?.every((one) => typeof one === "number");
  return [{ type: yes.type, shape, ...(decided && contents && { contents }) }];
};

/** Two names of lengths are equal where they are one; a name and a number are not known to differ. */
export const equal: ShapeRule = (call) => {
  const [result] = elementwise(undefined, "bool")(call) as [Facts];
  const [a, b] = [0, 1].map((i) => spread(call, call.input(i), result.shape));
  const contents = a?.map((x, at) => {
    const y = b?.[at];
    if (typeof x === "number" && typeof y === "number") return Number(x === y);
    if (x === y) return 1;
    if (isFresh(x) || isFresh(y)) return undefined;
    // A length is never negative: -1 in a target shape is none.
    const number = typeof x === "number" ? x : typeof y === "number" ? y : 0;
    return number < 0 ? 0 : undefined;
  });
  return !b || !contents || contents.includes(undefined)
    ? [result]
    : [{ ...result, contents: contents as number[] }];
};

export const cast: ShapeRule = (call) => {
  const type = CODES.get(intAttribute(call.node, "to", 0)) ?? call.fail("unsupported target type");
  return [converted(call.input(0), type)];
};

export const castLike: ShapeRule = (call) => [converted(call.input(0), call.input(1).type)];

function converted({ shape, contents }: Facts, type: ElementType): Facts {
  // Names stand for lengths, which are the same in any type that is followed.
  const values = contents?.map((value) => (typeof value === "number" ? rounded(type, value) : value));
  const follows = values && !values.includes(undefined) && type !== "bool";
  return { type, shape, ...(follows && { contents: values as Dimension[] }) };
}

const clip: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  return [{ type, shape }];
};

/** Operators of one argument whose result has its shape and type. */
const UNCHANGED = [
  ...["Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Celu"],
  ...["ThresholdedRelu", "Softmax", "LogSoftmax", "Hardmax", "Softplus", "Softsign", "Gelu", "Mish", "Swish"],
  ...["Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh"],
  ...["Atanh", "CumSum", "LpNormalization", "MeanVarianceNormalization", "Shrink", "Trilu", "BitwiseNot"],
  ...["ReverseSequence", "ScatterElements", "ScatterND", "Scatter"],
];

const boolean = (apply?: Apply) => elementwise(apply, "bool");

export const ELEMENTWISE: Record<string, ShapeRule> = {
  ...Object.fromEntries(UNCHANGED.map((op) => [op, same])),
  Clip: clip,
  Identity: (call) => [call.input(0)],
  Dropout: (call) => [call.input(0)],
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: division,
  Mod: modulo,
  Pow: elementwise(),
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Sum: elementwise(),
  Mean: elementwise(),
  Neg: elementwise((a) => -a),
  Abs: elementwise(Math.abs),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((a) => 1 / a),
  Ceil: elementwise(Math.ceil),
  Floor: elementwise(Math.floor),
  Round: elementwise(),
  Sign: elementwise(Math.sign),
  Equal: equal,
  Greater: boolean((a, b) => Number(a > b)),
  GreaterOrEqual: boolean((a, b) => Number(a >= b)),
  Less: boolean((a, b) => Number(a < b)),
  LessOrEqual: boolean((a, b) => Number(a <= b)),
  And: boolean((a, b) => Number(a === 1 && b === 1)),
  Or: boolean((a, b) => Number(a === 1 || b === 1)),
  Xor: boolean((a, b) => Number(a !== b)),
  Not: boolean((a) => 1 - a),
  IsNaN: boolean(),
  IsInf: boolean(),
  Where: where,
  Cast: cast,
  CastLike: castLike,
};
