/** Operators that reduce axes, or choose along one. */
import type { ShapeRule } from "../facts.js";
import { intAttribute } from "../graph.js";

const reduction: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const given = call.integers(1, "axes");
  const none = given === undefined || given.length === 0;
  if (none && intAttribute(call.node, "noop_with_empty_axes", 0) === 1) return [call.input(0)];
  const axes = new Set(none ? shape.keys() : given.map((axis) => call.axis(axis, shape.length)));
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  return [{ type, shape: shape.flatMap((length, i) => (axes.has(i) ? (keep ? [1] : []) : [length])) }];
};

const position: ShapeRule = (call) => {
  const { shape } = call.input(0);
  const reduced = call.axis(intAttribute(call.node, "axis", 0), shape.length);
  const keep = intAttribute(call.node, "keepdims", 1) === 1;
  return [
    { type: "int64", shape: shape.flatMap((length, i) => (i === reduced ? (keep ? [1] : []) : [length])) },
  ];
};

const topK: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const axis = call.axis(intAttribute(call.node, "axis", -1), shape.length);
  const [k] = call.inputs.length > 1 ? (call.integers(1, "k") ?? []) : [intAttribute(call.node, "k", 0)];
  const result = shape.with(axis, k ?? call.fail("k is missing"));
  return [
    { type, shape: result },
    { type: "int64", shape: result },
  ];
};

/** A product along an axis, of the small tensors that are known: `H * W` as exports write it. */
const product: ShapeRule = (call) => {
  const [result] = reduction(call);
  const { contents, shape } = call.input(0);
  const numbers = shape.length === 1 && contents?.every((value) => typeof value === "number");
  if (!result || !numbers) return reduction(call);
  return [{ ...result, contents: [(contents as number[]).reduce((a, b) => a * b, 1)] }];
};

const REDUCTIONS = ["Mean", "Sum", "Max", "Min", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"];

export const REDUCTION: Record<string, ShapeRule> = {
  ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, reduction])),
  ReduceProd: product,
  ArgMax: position,
  ArgMin: position,
  TopK: topK,
};
