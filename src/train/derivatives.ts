import { float } from "../onnx/builder.js";
import { intAttribute, intsAttribute, numbers } from "../onnx/graph.js";
import { batchNormalization, trainBatchNormalization } from "./batch-normalization.js";
import { convolution } from "./convolution.js";
import { gemm, matmul } from "./matrix.js";
import { averagePool, globalAveragePool } from "./pooling.js";
import { type Derivative, refuse, type Site, sumTo, type TrainingForm } from "./rule.js";

/** dL/dx = dL/dy · f'(x), elementwise; `slope` makes f'(x) from x and y = f(x). */
const elementwise =
  (slope: (site: Site) => string): Derivative =>
  (site, dy) => [site.g.node("Mul", [dy, slope(site)])];

/** An operator that only moves elements: the gradient goes back to where they came from. */
const moved = (back: (site: Site, dy: string) => string): Derivative => {
  return (site, dy) => [back(site, dy)];
};

const toShapeOfInput: Derivative = moved(({ g, x }, dy) =>
  g.node("Reshape", [dy, g.node("Shape", [x[0] as string])]),
);

/** y = f(a, b) with broadcasting; each partial derivative is summed over the axes it was repeated along. */
const broadcasting =
  (...partials: ((site: Site, dy: string) => string)[]): Derivative =>
  (site, dy) =>
    partials.map((partial, i) =>
      site.wants(i)
        ? sumTo(site.g, partial(site, dy), site.yShape, site.xShapes[i] as (number | string)[])
        : undefined,
    );

const same = (_: Site, dy: string) => dy;
const operand = (site: Site, i: number) => site.x[i] as string;

/** The step function of x for x ≥ 0 without a comparison: HardSigmoid(x) = max(0, min(1, 3e38·x)). */
const positive = ({ g, y }: Site) => g.node("HardSigmoid", [y], { alpha: float(3e38), beta: float(0) });

const transpose: Derivative = moved(({ g, node, xShapes }, dy) => {
  const perm = intsAttribute(node, "perm") ?? (xShapes[0] ?? []).map((_, i, all) => all.length - 1 - i);
  return g.node("Transpose", [dy], { perm: perm.map((_, axis) => perm.indexOf(axis)) });
});

/** y_j = Σ_i x_ij, or the mean: every summand gets the sum's gradient. */
const reduction =
  (mean: boolean): Derivative =>
  (site, dy) => {
    const { g, node, x, xShapes } = site;
    const rank = xShapes[0]?.length as number;
    const given = site.constant(1);
    const axes = given ? numbers(given) : (intsAttribute(node, "axes") ?? []);
    const all = axes.length === 0 ? Array.from({ length: rank }, (_, i) => i) : axes;
    const keep = intAttribute(node, "keepdims", 1) === 1;
    if (x[1] && !given) refuse(site, "its axes are not constant");
    const kept = keep ? dy : g.node("Unsqueeze", [dy, g.ints(all)]);
    const shape = g.node("Shape", [operand(site, 0)]);
    const spread = g.node("Expand", [kept, shape]);
    if (!mean) return [spread];
    const lengths = g.node("Gather", [shape, g.ints(all.map((axis) => (axis + rank) % rank))]);
    const count = g.node("Cast", [g.node("ReduceProd", [lengths], { keepdims: 0 })], { to: 1 });
    return [g.node("Div", [spread, count])];
  };

/** Zero padding of the spatial axes: the gradient is cut back. */
const pad: Derivative = (site, dy) => {
  const pads = site.constant(1) ?? refuse(site, "its pads are not constant");
  const mode = site.node.attributes.get("mode");
  if (mode?.kind === "string" && mode.value !== "constant")
    refuse(site, `mode ${mode.value} has no derivative`);
  return [site.g.node("Pad", [dy, site.g.ints(numbers(pads).map((n) => -n))])];
};

const concat: Derivative = (site, dy) => {
  const axis = intAttribute(site.node, "axis", 0);
  const lengths = site.xShapes.map((shape) => shape.at(axis));
  if (!lengths.every((length) => typeof length === "number"))
    refuse(site, `the lengths ${lengths.join(", ")} along axis ${axis} must be known`);
  return site.g.nodes("Split", [dy, site.g.ints(lengths as number[])], lengths.length, { axis });
};

/** The operators that work differently while training. */
export const TRAINING_FORMS: Record<string, TrainingForm> = {
  BatchNormalization: trainBatchNormalization,
};

/** The derivative of every operator that can be trained. */
export const DERIVATIVES: Record<string, Derivative> = {
  // families, each derived in its own file
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
  Log: elementwise((site) => site.g.node("Reciprocal", [operand(site, 0)])),
  Neg: moved(({ g }, dy) => g.node("Neg", [dy])),
  Identity: moved(same),

  // elementwise, of two
  Add: broadcasting(same, same),
  Sub: broadcasting(same, ({ g }, dy) => g.node("Neg", [dy])),
  Mul: broadcasting(
    (site, dy) => site.g.node("Mul", [dy, operand(site, 1)]),
    (site, dy) => site.g.node("Mul", [dy, operand(site, 0)]),
  ),
  Div: broadcasting(
    (site, dy) => site.g.node("Div", [dy, operand(site, 1)]),
    (site, dy) =>
      site.g.node("Neg", [site.g.node("Div", [site.g.node("Mul", [dy, site.y]), operand(site, 1)])]),
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
