/** Operators that make a constant of constants, by which a small file can ask for a large one. */
import type { ShapeRule } from "../facts.js";
import { type Dimension, intAttribute } from "../graph.js";

const oneHot: ShapeRule = (call) => {
  const indices = call.input(0).shape;
  const depth = call.integers(1, "depth")?.[0] ?? call.fail("the depth is missing");
  const axis = call.axis(intAttribute(call.node, "axis", -1), indices.length + 1);
  return [{ type: call.input(2).type, shape: indices.toSpliced(axis, 0, depth) }];
};

const gatherND: ShapeRule = (call) => {
  const [data, indices] = [call.input(0), call.input(1)];
  const kept = call.length(indices.shape.at(-1), "the last length of the indices");
  const batch = intAttribute(call.node, "batch_dims", 0);
  return [{ type: data.type, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batch + kept)] }];
};

/** At most. */
const nonZero: ShapeRule = (call) => {
  const { shape } = call.input(0);
  const all = shape.reduce<number>((n, length) => n * call.length(length, "a length"), 1);
  return [{ type: "int64", shape: [shape.length, all] }];
};

const sameAs =
  (i: number): ShapeRule =>
  (call) => [{ type: call.inputs[i]?.type ?? "uint8", shape: call.input(0).shape }];

/** An outer product is the most that a sum of products can make. */
const einsum: ShapeRule = (call) => {
  const equation = call.node.attributes.get("equation");
  const [left = "", right = ""] = equation?.kind === "string" ? equation.value.split("->") : [];
  const lengths = new Map<string, Dimension>();
  for (const [i, term] of left.split(",").entries())
    for (const [axis, letter] of [...term.trim()].entries())
      lengths.set(letter, call.input(i).shape[axis] ?? call.fail(`no axis ${axis} in input ${i}`));
  const shape = [...right.trim()].map(
    (letter) => lengths.get(letter) ?? call.fail(`nothing is called ${letter}`),
  );
  return [{ type: call.input(0).type, shape }];
};

export const FROM_CONSTANTS: Record<string, ShapeRule> = {
  OneHot: oneHot,
  GatherND: gatherND,
  NonZero: nonZero,
  Einsum: einsum,
  EyeLike: sameAs(0),
  DequantizeLinear: sameAs(1),
  QuantizeLinear: sameAs(2),
};
