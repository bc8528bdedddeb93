/** Operators that give the elements of a tensor other places: `[2, 6] → [3, 4]`. */
import { fresh, type InferenceContext, isFresh, type ResultRule, type ShapeRule } from "../facts.js";
import type { Dimension } from "../graph.js";
import { spread } from "./elementwise.js";

/** The product of lengths, with names among them. */
export const multiply = (node: InferenceContext, lengths: Dimension[]): Dimension => {
  const named = lengths.filter((length) => typeof length === "string");
  const product = lengths.reduce<number>(
    (all, length) => (typeof length === "number" ? all * length : all),
    1,
  );
  if (named.length === 0) return product;
  return named.length === 1 && product === 1
    ? (named[0] as string)
    : node.budget.symbol(`${node.label}_${named.join("*")}*${product}`);
};

const flatten: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const given = node.int("axis", 1);
  const axis = given === shape.length ? given : node.axis(given, shape.length);
  return { type, shape: [multiply(node, shape.slice(0, axis)), multiply(node, shape.slice(axis))] };
};

const reshape: ResultRule = (node) => {
  const { type, shape, contents } = node.input(0);
  const given = node.inputs.length > 1 ? node.input(1) : undefined;
  const target = given ? given.contents : node.ints("shape");
  if (target === undefined) {
    const rank = given?.shape[0];
    if (typeof rank !== "number") return node.fail("the target shape is not known before the graph runs");
    return { type, shape: Array.from({ length: node.rank(rank) }, (_, i) => fresh(node, i)) };
  }
  node.rank(target.length);
  const keepsZero = node.int("allowzero", 0) === 1;
  const result = target.map((length, i) =>
    length === 0 && !keepsZero ? (shape[i] ?? node.fail(`no axis ${i} to copy`)) : length,
  );
  const open = result.indexOf(-1);
  if (open >= 0) result[open] = openLength(node, shape, result.toSpliced(open, 1), open);
  return { type, shape: result, ...(contents && { contents }) };
};

/** The length at axis `open` of a reshape, where the other lengths are `rest`. */
function openLength(node: InferenceContext, shape: Dimension[], rest: Dimension[], open: number): Dimension {
  const left = shape.filter((length) => {
    const cancels = rest.indexOf(length);
    if (cancels >= 0) rest.splice(cancels, 1);
    return cancels < 0;
  });
  if (rest.some(isFresh)) return fresh(node, open);
  const divisor = multiply(node, rest);
  const total = multiply(node, left);
  if (divisor === 1) return total;
  if (typeof total === "number" && typeof divisor === "number") {
    if (total % divisor === 0) return total / divisor;
    const target = [...rest.slice(0, open), -1, ...rest.slice(open)];
    return node.fail(`[${shape.join(", ")}] cannot be reshaped to [${target.join(", ")}]`);
  }
  return fresh(node, open);
}

const transpose: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const perm = node.ints("perm") ?? shape.map((_, i) => shape.length - 1 - i);
  return {
    type,
    shape: perm.map((axis) => shape[axis] ?? node.fail(`no axis ${axis} in rank ${shape.length}`)),
  };
};

const pad: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const pads = node.integers(1, "pads") ?? node.fail("pads are missing");
  const rank = shape.length;
  return {
    type,
    shape: shape.map((length, i) => {
      const added = (pads[i] as number) + (pads[i + rank] as number);
      return added === 0 ? length : node.length(length, `axis ${i}`) + added;
    }),
  };
};

const expand: ResultRule = (node) => {
  const { type, shape, contents } = node.input(0);
  const target = node.input(1).contents ?? node.fail("the target shape is not known before the graph runs");
  const rank = node.rank(Math.max(shape.length, target.length));
  const at = (lengths: Dimension[], i: number) => lengths[i - (rank - lengths.length)] ?? 1;
  const result = Array.from({ length: rank }, (_, i) => {
    const [own, wanted] = [at(shape, i), at(target, i)];
    return wanted === 1 ? own : wanted;
  });
  const values = contents && spread(node, { type, shape, contents }, result);
  return { type, shape: result, ...(values && { contents: values }) };
};

const tile: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const repeats = node.input(1).contents ?? node.fail("the repeats are not known before the graph runs");
  const times = (length: Dimension, i: number): Dimension => {
    const count = repeats[i];
    if (count === 1) return length;
    return typeof length === "number" && typeof count === "number" ? length * count : fresh(node, i);
  };
  return { type, shape: shape.map(times) };
};

const unsqueeze: ResultRule = (node) => {
  const { shape, ...rest } = node.input(0);
  const axes = node.integers(1, "axes") ?? node.fail("axes are missing");
  const rank = node.rank(shape.length + axes.length);
  const added = new Set(axes.map((axis) => node.axis(axis, rank)));
  const left = [...shape];
  return {
    ...rest,
    shape: Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (left.shift() as Dimension))),
  };
};

const squeeze: ResultRule = (node) => {
  const { shape, ...rest } = node.input(0);
  const axes = node.integers(1, "axes")?.map((axis) => node.axis(axis, shape.length));
  return { ...rest, shape: shape.filter((length, i) => (axes ? !axes.includes(i) : length !== 1)) };
};

export const MOVEMENT: Record<string, ShapeRule> = {
  Flatten: flatten,
  Reshape: reshape,
  Transpose: transpose,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
};
