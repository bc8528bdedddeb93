/** Operators that reduce axes, or choose along one. */
import type { ResultRule, ShapeRule } from "../facts.js";
import { each } from "../graph.js";

const reduction: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const given = node.integers(1, "axes");
  const none = given === undefined || given.length === 0;
  if (none && node.int("noop_with_empty_axes", 0) === 1) return node.input(0);
  const axes = new Set(none ? shape.keys() : given.map((axis) => node.axis(axis, shape.length)));
  const keep = node.int("keepdims", 1) === 1;
  return { type, shape: shape.flatMap((length, i) => (axes.has(i) ? (keep ? [1] : []) : [length])) };
};

const position: ResultRule = (node) => {
  const { shape } = node.input(0);
  const reduced = node.axis(node.int("axis", 0), shape.length);
  const keep = node.int("keepdims", 1) === 1;
  return {
    type: "int64",
    shape: shape.flatMap((length, i) => (i === reduced ? (keep ? [1] : []) : [length])),
  };
};

const topK: ShapeRule = (node) => {
  const { type, shape } = node.input(0);
  const axis = node.axis(node.int("axis", -1), shape.length);
  const [k] = node.inputs.length > 1 ? (node.integers(1, "k") ?? []) : [node.int("k", 0)];
  const result = shape.with(axis, k ?? node.fail("k is missing"));
  return [
    { type, shape: result },
    { type: "int64", shape: result },
  ];
};

/** A product along an axis, of the small tensors that are known: `H * W` as exports write it. */
const product: ResultRule = (node) => {
  const { contents, shape } = node.input(0);
  const isKnown = shape.length === 1 && contents?.every((value) => typeof value === "number");
  if (!isKnown) return reduction(node);
  return { ...reduction(node), contents: [(contents as number[]).reduce((a, b) => a * b, 1)] };
};

export const REDUCTION: Record<string, ShapeRule> = {
  ...each(reduction, "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"),
  ...each(reduction, "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
  ReduceProd: product,
  ...each(position, "ArgMax", "ArgMin"),
  TopK: topK,
};
