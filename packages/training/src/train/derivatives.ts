import { intAttribute, intsAttribute, numbers } from "@jpeg-domain/conversion/internal";
import { float } from "@jpeg-domain/conversion/onnx";
import { batchNormalization, trainBatchNormalization } from "./batch-normalization.js";
import { convolution } from "./convolution.js";
import { gemm, matmul } from "./matrix.js";
import { averagePool, globalAveragePool } from "./pooling.js";
import { type Derivative, type NodeContext, refuse, sumTo, type TrainingForm } from "./rule.js";

/** dL/dx = dL/dy · f'(x), elementwise; `slope` emits f'(x) from x and y = f(x). */
const elementwise =
  (slope: (context: NodeContext) => string): Derivative =>
  (context, dy) => [context.g.node("Mul", [dy, slope(context)])];

/** An operator that only moves elements: the gradient goes back to where the elements came from. */
const moved = (back: (context: NodeContext, dy: string) => string): Derivative => {
  return (context, dy) => [back(context, dy)];
};

const toShapeOfInput: Derivative = moved(({ g, x }, dy) =>
  g.node("Reshape", [dy, g.node("Shape", [x[0] as string])]),
);

/** y = f(a, b) with broadcasting; each partial derivative is summed over the axes along which its input was repeated. */
const broadcasting =
  (...partials: ((context: NodeContext, dy: string) => string)[]): Derivative =>
  (context, dy) =>
    partials.map((partial, i) =>
      context.needsGradient(i)
        ? sumTo(context.g, partial(context, dy), context.yShape, context.xShapes[i] as (number | string)[])
        : undefined,
    );

const same = (_: NodeContext, dy: string) => dy;
const operand = (context: NodeContext, i: number) => context.x[i] as string;

/** The step function of x for x ≥ 0 without a comparison: HardSigmoid(x) = max(0, min(1, 3e38·x)). */
const positive = ({ g, y }: NodeContext) =>
  g.node("HardSigmoid", [y], { alpha: float(3e38), beta: float(0) });

const transpose: Derivative = moved(({ g, node, xShapes }, dy) => {
  const perm = intsAttribute(node, "perm") ?? (xShapes[0] ?? []).map((_, i, all) => all.length - 1 - i);
  return g.node("Transpose", [dy], { perm: perm.map((_, axis) => perm.indexOf(axis)) });
});

/** y_j = Σ_i x_ij, or the mean: every term gets the sum's gradient. */
const reduction =
  (mean: boolean): Derivative =>
  (context, dy) => {
    const { g, node, x, xShapes } = context;
    const rank = xShapes[0]?.length as number;
    const given = context.constant(1);
    const axes = given ? numbers(given) : (intsAttribute(node, "axes") ?? []);
    const all = axes.length === 0 ? Array.from({ length: rank }, (_, i) => i) : axes;
    const keep = intAttribute(node, "keepdims", 1) === 1;
    if (x[1] && !given) refuse(context, "its axes are not constant");
    const kept = keep ? dy : g.node("Unsqueeze", [dy, g.ints(all)]);
    const shape = g.node("Shape", [operand(context, 0)]);
    const spread = g.node("Expand", [kept, shape]);
    if (!mean) return [spread];
    const lengths = g.node("Gather", [shape, g.ints(all.map((axis) => (axis + rank) % rank))]);
    const count = g.node("Cast", [g.node("ReduceProd", [lengths], { keepdims: 0 })], { to: 1 });
    return [g.node("Div", [spread, count])];
  };

/** Zero padding of the spatial axes: the gradient is cropped. */
const pad: Derivative = (context, dy) => {
  const pads = context.constant(1) ?? refuse(context, "its pads are not constant");
  const mode = context.node.attributes.get("mode");
  if (mode?.kind === "string" && mode.value !== "constant")
    refuse(context, `mode ${mode.value} has no derivative`);
  return [context.g.node("Pad", [dy, context.g.ints(numbers(pads).map((n) => -n))])];
};

const concat: Derivative = (context, dy) => {
  const axis = intAttribute(context.node, "axis", 0);
  const lengths = context.xShapes.map((shape) => shape.at(axis));
  if (!lengths.every((length) => typeof length === "number"))
    refuse(context, `the lengths ${lengths.join(", ")} along axis ${axis} must be known`);
  return context.g.nodes("Split", [dy, context.g.ints(lengths as number[])], lengths.length, { axis });
};

/** The operators that compute something else during training. */
export const TRAINING_FORMS: Record<string, TrainingForm> = {
  BatchNormalization: trainBatchNormalization,
};

/** The derivative of every operator that can be trained. */
export const DERIVATIVES: Record<string, Derivative> = {
  // families, each in its own file
  Conv: convolution,
  BatchNormalization: batchNormalization,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  Gemm: gemm,
  MatMul: matmul,

  // elementwise
  Relu: elementwise(positive),
  Sigmoid: elementwise(({ g, y }) => g.node("Mul", [y, g.node("Sub", [g.floats([1]), y])])),
  Tanh: elementwise(({ g, y }) => g.node("Sub", [g.floats([1]), g.node("Mul", [y, y])])),
  Exp: elementwise(({ y }) => y),
  Log: elementwise((context) => context.g.node("Reciprocal", [operand(context, 0)])),
  Neg: moved(({ g }, dy) => g.node("Neg", [dy])),
  Identity: moved(same),

  // elementwise, two inputs
  Add: broadcasting(same, same),
  Sub: broadcasting(same, ({ g }, dy) => g.node("Neg", [dy])),
  Mul: broadcasting(
    (context, dy) => context.g.node("Mul", [dy, operand(context, 1)]),
    (context, dy) => context.g.node("Mul", [dy, operand(context, 0)]),
  ),
  Div: broadcasting(
    (context, dy) => context.g.node("Div", [dy, operand(context, 1)]),
    (context, dy) =>
      context.g.node("Neg", [
        context.g.node("Div", [context.g.node("Mul", [dy, context.y]), operand(context, 1)]),
      ]),
  ),

  // movement
  Flatten: toShapeOfInput,
  Reshape: toShapeOfInput,
  Squeeze: toShapeOfInput,
  Unsqueeze: toShapeOfInput,
  Transpose: transpose,
  Pad: pad,
  Concat: concat,

  // reductions
  ReduceSum: reduction(false),
  ReduceMean: reduction(true),
};
