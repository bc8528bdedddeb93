import { Call, constantFacts, constantOf, type Facts, type ShapeRule } from "./facts.js";
import { type Dimension, type ElementType, intAttribute, intsAttribute } from "./graph.js";
import { readWindow, type Window } from "./window.js";

const same: ShapeRule = (call) => [call.input(0)];

const broadcast: ShapeRule = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const rank = Math.max(a.shape.length, b.shape.length);
  const at = (shape: Dimension[], i: number) => shape[i - (rank - shape.length)] ?? 1;
  const shape = Array.from({ length: rank }, (_, i) => {
    const [x, y] = [at(a.shape, i), at(b.shape, i)];
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    if (typeof x === "string") return y;
    if (typeof y === "string") return x;
    return call.fail(`shapes [${a.shape.join(", ")}] and [${b.shape.join(", ")}] do not broadcast`);
  });
  return [{ type: a.type, shape }];
};

const comparison: ShapeRule = (call) => broadcast(call).map(({ shape }) => ({ type: "bool", shape }));

/** Integer arithmetic on shapes, as exports write it. */
const arithmetic =
  (apply: (a: number, b: number) => number): ShapeRule =>
  (call) => {
    const [result] = broadcast(call) as [Facts];
    const [a, b] = [call.input(0).contents, call.input(1).contents];
    if (a === undefined || b === undefined) return [result];
    const contents = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
      const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]];
      return typeof x === "number" && typeof y === "number" ? apply(x, y) : undefined;
    });
    return contents.includes(undefined) ? [result] : [{ ...result, contents: contents as number[] }];
  };

/** The spatial shape that a window makes of `spatial`. */
function slide(call: Call, { kernel, strides, dilations, pads }: Window, spatial: Dimension[]): Dimension[] {
  const ceil = intAttribute(call.node, "ceil_mode", 0) === 1;
  return kernel.map((k, i) => {
    const length = spatial[i];
    if (typeof length === "string") return `${call.node.outputs[0]}_${i + 2}`;
    const padded = (length as number) + (pads[i] as number) + (pads[i + kernel.length] as number);
    const steps = (padded - (k - 1) * (dilations[i] as number) - 1) / (strides[i] as number);
    if (steps < 0) call.fail(`a window of ${k} does not fit into a padded length of ${padded}`);
    if (!ceil) return Math.floor(steps) + 1;
    // A window that would begin in the padding after the image is left out.
    const begins = Math.ceil(steps) * (strides[i] as number);
    return Math.ceil(steps) + (begins < (length as number) + (pads[i] as number) ? 1 : 0);
  });
}

const convolution: ShapeRule = (call) => {
  const [x, w] = [call.input(0), call.input(1)];
  const [, channels, ...spatial] = x.shape;
  const group = intAttribute(call.node, "group", 1);
  const perGroup = call.length(w.shape[1], "the weight's input channels");
  if (channels !== perGroup * group)
    call.fail(
      `the input has ${channels} channels, the weight [${w.shape.join(", ")}] expects ${perGroup * group}`,
    );
  const kernel = w.shape.slice(2).map((k) => call.length(k, "kernel"));
  const window = readWindow(call.node, kernel, spatial);
  return [
    {
      type: x.type,
      shape: [x.shape[0] as Dimension, w.shape[0] as Dimension, ...slide(call, window, spatial)],
    },
  ];
};

const pooling: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const [n, c, ...spatial] = shape as [Dimension, Dimension, ...Dimension[]];
  const kernel = intsAttribute(call.node, "kernel_shape") ?? call.fail("kernel_shape is missing");
  return [{ type, shape: [n, c, ...slide(call, readWindow(call.node, kernel, spatial), spatial)] }];
};

const globalPooling: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  return [{ type, shape: shape.map((length, axis) => (axis < 2 ? length : 1)) }];
};

const batchNormalization: ShapeRule = (call) => {
  const channels = call.input(0).shape[1] as Dimension;
  return [call.input(0), ...[1, 2].map(() => ({ type: call.input(0).type, shape: [channels] }))];
};

const multiply = (call: Call, lengths: Dimension[]): Dimension => {
  const named = lengths.filter((length) => typeof length === "string");
  const product = lengths.reduce<number>(
    (all, length) => (typeof length === "number" ? all * length : all),
    1,
  );
  if (named.length === 0) return product;
  return named.length === 1 && product === 1
    ? (named[0] as string)
    : `${call.node.outputs[0]}_${named.join("*")}*${product}`;
};

const flatten: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const given = intAttribute(call.node, "axis", 1);
  const axis = given === shape.length ? given : call.axis(given, shape.length);
  return [{ type, shape: [multiply(call, shape.slice(0, axis)), multiply(call, shape.slice(axis))] }];
};

const reshape: ShapeRule = (call) => {
  const { type, shape, contents } = call.input(0);
  const target = call.input(1).contents ?? call.fail("the target shape is not known before the graph runs");
  const result = target.map((length, i) =>
    length === 0 ? (shape[i] ?? call.fail(`no axis ${i} to copy`)) : length,
  );
  const open = result.indexOf(-1);
  if (open >= 0) {
    const rest = result.filter((_, i) => i !== open);
    const left = shape.filter((length) => {
      const cancels = rest.indexOf(length);
      if (cancels >= 0) rest.splice(cancels, 1);
      return cancels < 0;
    });
    const divisor = multiply(call, rest);
    const total = multiply(call, left);
    if (divisor === 1) result[open] = total;
    else if (typeof total !== "number" || typeof divisor !== "number" || total % divisor !== 0)
      call.fail(`[${shape.join(", ")}] cannot be reshaped to [${target.join(", ")}]`);
    else result[open] = total / divisor;
  }
  return [{ type, shape: result, ...(contents && { contents }) }];
};

const transpose: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const perm = intsAttribute(call.node, "perm") ?? shape.map((_, i) => shape.length - 1 - i);
  return [
    { type, shape: perm.map((axis) => shape[axis] ?? call.fail(`no axis ${axis} in rank ${shape.length}`)) },
  ];
};

const matmul: ShapeRule = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const [rows, inner] = a.shape.length === 1 ? [undefined, a.shape[0]] : a.shape.slice(-2);
  const [innerB, columns] = b.shape.length === 1 ? [b.shape[0], undefined] : b.shape.slice(-2);
  if (typeof inner === "number" && typeof innerB === "number" && inner !== innerB)
    call.fail(`inner lengths ${inner} and ${innerB} differ`);
  const outer = (shape: Dimension[]) => ({ type: a.type, shape: shape.slice(0, -2) });
  const [batch] = broadcast(new Call(call.node, [outer(a.shape), outer(b.shape)])) as [Facts];
  const tail = [rows, columns].filter((length) => length !== undefined);
  return [{ type: a.type, shape: [...batch.shape, ...tail] }];
};

const gemm: ShapeRule = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const rows = a.shape[intAttribute(call.node, "transA", 0) === 1 ? 1 : 0] as Dimension;
  const columns = b.shape[intAttribute(call.node, "transB", 0) === 1 ? 0 : 1] as Dimension;
  return [{ type: a.type, shape: [rows, columns] }];
};

const pad: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const pads = call.integers(1, "pads") ?? call.fail("pads are missing");
  const rank = shape.length;
  return [
    {
      type,
      shape: shape.map((length, i) => {
        const added = (pads[i] as number) + (pads[i + rank] as number);
        return added === 0 ? length : call.length(length, `axis ${i}`) + added;
      }),
    },
  ];
};

const reduction: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const given = call.integers(1, "axes");
  const none = given === undefined || given.length === 0;
  if (none && intAttribute(call.node, "noop_with_empty_axes", 0) === 1) return [call.input(0)];
  const axes = new Set(none ? shape.keys() : given.map((axis) => call.axis(axis, shape.length)));
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  return [{ type, shape: shape.flatMap((length, i) => (axes.has(i) ? (keep ? [1] : []) : [length])) }];
};

const shapeOf: ShapeRule = (call) => {
  const { shape } = call.input(0);
  const contents = shape.slice(
    intAttribute(call.node, "start", 0),
    intAttribute(call.node, "end", shape.length),
  );
  return [{ type: "int64", shape: [contents.length], contents }];
};

const gather: ShapeRule = (call) => {
  const [data, indices] = [call.input(0), call.input(1)];
  const axis = call.axis(intAttribute(call.node, "axis", 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  if (data.contents === undefined || indices.contents === undefined || data.shape.length !== 1)
    return [{ type: data.type, shape }];
  const contents = indices.contents.map((i) => {
    const known = data.contents?.at(call.length(i, "index"));
    return known ?? call.fail(`index ${i} is out of range`);
  });
  return [{ type: data.type, shape, contents }];
};

const unsqueeze: ShapeRule = (call) => {
  const { shape, ...rest } = call.input(0);
  const axes = call.integers(1, "axes") ?? call.fail("axes are missing");
  const rank = shape.length + axes.length;
  const added = new Set(axes.map((axis) => call.axis(axis, rank)));
  const left = [...shape];
  return [
    {
      ...rest,
      shape: Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (left.shift() as Dimension))),
    },
  ];
};

const squeeze: ShapeRule = (call) => {
  const { shape, ...rest } = call.input(0);
  const axes = call.integers(1, "axes")?.map((axis) => call.axis(axis, shape.length));
  return [{ ...rest, shape: shape.filter((length, i) => (axes ? !axes.includes(i) : length !== 1)) }];
};

const concat: ShapeRule = (call) => {
  const first = call.input(0);
  const axis = call.axis(intAttribute(call.node, "axis", 0), first.shape.length);
  const all = call.inputs.map((_, i) => call.input(i));
  const lengths = all.map(({ shape }) => shape[axis] as Dimension);
  const total = lengths.every((length) => typeof length === "number")
    ? (lengths as number[]).reduce((a, b) => a + b)
    : `${call.node.outputs[0]}_${axis}`;
  const contents = all.every((part) => part.contents)
    ? all.flatMap((part) => part.contents ?? [])
    : undefined;
  return [
    {
      type: first.type,
      shape: first.shape.map((length, i) => (i === axis ? total : length)),
      ...(contents && { contents }),
    },
  ];
};

const slice: ShapeRule = (call) => {
  const { type, shape, contents } = call.input(0);
  const starts = call.integers(1, "starts") ?? call.fail("starts are missing");
  const ends = call.integers(2, "ends") ?? call.fail("ends are missing");
  const axes = call.integers(3, "axes") ?? starts.map((_, i) => i);
  const steps = call.integers(4, "steps") ?? starts.map(() => 1);
  const result = [...shape];
  let kept = contents;
  for (const [i, given] of axes.entries()) {
    const axis = call.axis(given, shape.length);
    const length = call.length(shape[axis], `axis ${axis}`);
    const step = steps[i] as number;
    if (step <= 0) call.fail(`step ${step} is not supported`);
    const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + length : at, 0), length);
    const [from, to] = [clamp(starts[i] as number), clamp(ends[i] as number)];
    result[axis] = Math.max(0, Math.ceil((to - from) / step));
    kept = kept?.slice(from, to).filter((_, j) => j % step === 0);
  }
  return [{ type, shape: result, ...(kept && { contents: kept }) }];
};

const split: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const axis = call.axis(intAttribute(call.node, "axis", 0), shape.length);
  const length = call.length(shape[axis], `axis ${axis}`);
  const count = call.node.outputs.length;
  const each = Math.ceil(length / count);
  const lengths =
    call.integers(1, "split") ?? Array.from({ length: count }, (_, i) => Math.min(each, length - i * each));
  return lengths.map((part) => ({ type, shape: shape.with(axis, part) }));
};

const cast: ShapeRule = (call) => {
  const types: Record<number, ElementType> = {
    1: "float32",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
  };
  const { shape, contents } = call.input(0);
  const type = types[intAttribute(call.node, "to", 0)] ?? call.fail("unsupported target type");
  return [{ type, shape, ...(contents && (type === "int64" || type === "int32") && { contents }) }];
};

const constantNode: ShapeRule = (call) => [constantFacts(constantOf(call.node))];

/** The shape rule of every operator that is understood. */
export const SHAPE_RULES: Record<string, ShapeRule> = {
  Conv: convolution,
  BatchNormalization: batchNormalization,
  AveragePool: pooling,
  MaxPool: pooling,
  GlobalAveragePool: globalPooling,
  GlobalMaxPool: globalPooling,
  Gemm: gemm,
  MatMul: matmul,
  Flatten: flatten,
  Reshape: reshape,
  Transpose: transpose,
  Pad: pad,
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Shape: shapeOf,
  Cast: cast,
  Constant: constantNode,
  ReduceMean: reduction,
  ReduceSum: reduction,
  ReduceMax: reduction,
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: arithmetic((a, b) => Math.trunc(a / b)),
  Pow: broadcast,
  Sum: (call) =>
    call.inputs.reduce<Facts[]>(([sum], one) => broadcast(new Call(call.node, [sum ?? one, one])), []),
  Max: broadcast,
  Min: broadcast,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Less: comparison,
  Equal: comparison,
  ...Object.fromEntries(
    [
      ...[
        "Identity",
        "Dropout",
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
      ],
      ...["Elu", "Softmax", "LogSoftmax", "Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal", "Erf"],
      ...["Softplus", "Softsign", "Selu", "Celu", "ThresholdedRelu", "Gelu", "Mish", "Swish"],
      ...["Sin", "Cos", "Tan", "Asin", "Atan", "Sinh", "Cosh", "Asinh", "Atanh"],
    ].map((op) => [op, same]),
  ),
};
