/** Operators that are followed on constants alone: with them a small file can ask for a large constant. */
import type { ResultRule, ShapeRule } from "../facts.js";
import type { Dimension } from "../graph.js";

const oneHot: ResultRule = (node) => {
  const indices = node.input(0).shape;
  const depth = node.integers(1, "depth")?.[0] ?? node.fail("the depth is missing");
  const axis = node.axis(node.int("axis", -1), indices.length + 1);
  return { type: node.input(2).type, shape: indices.toSpliced(axis, 0, depth) };
};

const gatherND: ResultRule = (node) => {
  const [data, indices] = [node.input(0), node.input(1)];
  const kept = node.length(indices.shape.at(-1), "the last length of the indices");
  const batch = node.int("batch_dims", 0);
  return { type: data.type, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batch + kept)] };
};

/** The largest shape that it can have. */
const nonZero: ResultRule = (node) => {
  const { shape } = node.input(0);
  const all = shape.reduce<number>((n, length) => n * node.length(length, "a length"), 1);
  return { type: "int64", shape: [shape.length, all] };
};

const sameAs =
  (i: number): ResultRule =>
  (node) => ({ type: node.inputs[i]?.type ?? "uint8", shape: node.input(0).shape });

/** The equation names the axes: `ij,jk->ik`. */
const einsum: ResultRule = (node) => {
  const [left = "", right = ""] = node.string("equation", "").split("->");
  const lengths = new Map<string, Dimension>();
  for (const [i, term] of left.split(",").entries())
    for (const [axis, letter] of [...term.trim()].entries())
      lengths.set(letter, node.input(i).shape[axis] ?? node.fail(`no axis ${axis} in input ${i}`));
  const shape = [...right.trim()].map(
    (letter) => lengths.get(letter) ?? node.fail(`nothing is called ${letter}`),
  );
  return { type: node.input(0).type, shape };
};

/** A runtime computes them when it loads the model. */
export const CONSTANT_RULES: Record<string, ShapeRule> = {
  OneHot: oneHot,
  GatherND: gatherND,
  NonZero: nonZero,
  Einsum: einsum,
  EyeLike: sameAs(0),
  DequantizeLinear: sameAs(1),
  QuantizeLinear: sameAs(2),
};
