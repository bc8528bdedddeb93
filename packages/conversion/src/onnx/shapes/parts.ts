/** Operators that take tensors apart, or join them. */
import { fresh, type ResultRule, type ShapeRule } from "../facts.js";
import type { Dimension } from "../graph.js";

const gather: ResultRule = (node) => {
  const [data, indices] = [node.input(0), node.input(1)];
  const axis = node.axis(node.int("axis", 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  if (data.contents === undefined || indices.contents === undefined || data.shape.length !== 1)
    return { type: data.type, shape };
  const contents = indices.contents.map((i) => {
    const known = data.contents?.at(node.length(i, "index"));
    return known ?? node.fail(`index ${i} is out of range`);
  });
  return { type: data.type, shape, contents };
};

const concat: ResultRule = (node) => {
  const first = node.input(0);
  const axis = node.axis(node.int("axis", 0), first.shape.length);
  const all = node.inputs.map((_, i) => node.input(i));
  const lengths = all.map(({ shape }) => shape[axis] as Dimension);
  const total = lengths.every((length) => typeof length === "number")
    ? (lengths as number[]).reduce((a, b) => a + b)
    : `${node.label}_${axis}`;
  const isKnown = first.shape.length === 1 && typeof total === "number" && all.every((part) => part.contents);
  const contents = isKnown && node.follows(total) ? all.flatMap((part) => part.contents ?? []) : undefined;
  return {
    type: first.type,
    shape: first.shape.map((length, i) => (i === axis ? total : length)),
    ...(contents && { contents }),
  };
};

const slice: ResultRule = (node) => {
  const { type, shape, contents } = node.input(0);
  const starts = node.some(1, "starts") ?? node.fail("starts are missing");
  const ends = node.some(2, "ends") ?? node.fail("ends are missing");
  const axes = node.integers(3, "axes") ?? starts.map((_, i) => i);
  const steps = node.integers(4, "steps") ?? starts.map(() => 1);
  const result = [...shape];
  let kept = contents;
  for (const [i, given] of axes.entries()) {
    const axis = node.axis(given, shape.length);
    const places = placesOf(shape[axis] as Dimension, starts[i], ends[i], steps[i] as number);
    result[axis] = places === "all" ? (shape[axis] as Dimension) : (places?.length ?? fresh(node, axis));
    if (kept === undefined || places === "all") continue;
    const from: Dimension[] = kept;
    const follows = places !== undefined && shape.length === 1 && node.follows(places.length);
    kept = follows ? places.map((at) => from[at] as Dimension) : undefined;
  }
  return { type, shape: result, ...(kept && { contents: kept }) };
};

/** The places along an axis that a slice takes, `"all"` of them whatever the length, `undefined` where not known. */
function placesOf(
  length: Dimension,
  start: Dimension | undefined,
  end: Dimension | undefined,
  step: number,
): { length: number; map<T>(f: (at: number) => T): T[] } | "all" | undefined {
  if (start === 0 && step === 1 && (end === length || (typeof end === "number" && end >= 2 ** 31 - 1)))
    return "all";
  if (typeof length === "string" || typeof start !== "number" || typeof end !== "number" || step === 0)
    return undefined;
  const least = step > 0 ? 0 : -1;
  const most = step > 0 ? length : length - 1;
  const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + length : at, least), most);
  const [from, to] = [Math.max(clamp(start), 0), clamp(end)];
  const count = Math.max(0, Math.ceil((to - from) / step));
  return { length: count, map: (f) => Array.from({ length: count }, (_, i) => f(from + i * step)) };
}

const split: ShapeRule = (node) => {
  const { type, shape } = node.input(0);
  const axis = node.axis(node.int("axis", 0), shape.length);
  const parts = node.raw.outputs.length;
  const given = node.integers(1, "split");
  const length = shape[axis] as Dimension;
  const equal = (i: number): Dimension => {
    if (typeof length === "string") return fresh(node, axis);
    const each = Math.ceil(length / parts);
    return Math.min(each, length - i * each);
  };
  return node.raw.outputs.map((_, i) => ({
    type,
    shape: shape.with(axis, given ? (given[i] ?? node.fail(`no length for part ${i}`)) : equal(i)),
  }));
};

export const PARTS: Record<string, ShapeRule> = {
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  GatherElements: (node) => ({ type: node.input(0).type, shape: node.input(1).shape }),
};
