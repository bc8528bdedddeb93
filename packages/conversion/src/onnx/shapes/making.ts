/** Operators that make a tensor from shapes and numbers. */
import { constantFacts, constantOf, fresh, type ResultRule, type ShapeRule } from "../facts.js";
import { type Dimension, volume } from "../graph.js";
import { multiply } from "./movement.js";

const constantOfShape: ResultRule = (node) => {
  const given = node.raw.attributes.get("value");
  const value = given?.kind === "tensor" ? given.value : undefined;
  const type = value?.type ?? "float32";
  const shape = node.input(0).contents ?? node.fail("the shape is not known before the graph runs");
  const length = shape.every(isLength) ? volume(shape) : Number.NaN;
  const one = value ? Number(value.data[0] ?? Number.NaN) : 0;
  const known = ["int64", "float32"].includes(type) && !Number.isNaN(one) && node.follows(length);
  return { type, shape, ...(known && { contents: new Array<number>(length).fill(one) }) };
};

const range: ResultRule = (node) => {
  const { type } = node.input(0);
  const [start, limit, delta] = [0, 1, 2].map((i) => node.input(i).contents?.[0]);
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number")
    return { type, shape: [fresh(node, 0)] };
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  const known = (type === "int64" || type === "int32") && node.follows(length);
  const contents = known && Array.from({ length }, (_, i) => start + i * delta);
  return { type, shape: [length], ...(contents && { contents }) };
};

const shapeOf: ResultRule = (node) => {
  const { shape } = node.input(0);
  const contents = shape.slice(node.int("start", 0), node.int("end", shape.length));
  return { type: "int64", shape: [contents.length], contents };
};

/** A length that is known, and can be one. */
const isLength = (length: Dimension): length is number => typeof length === "number" && length >= 0;

export const MAKING: Record<string, ShapeRule> = {
  Constant: (node) => constantFacts(constantOf(node.raw)),
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: shapeOf,
  Size: (node) => ({ type: "int64", shape: [], contents: [multiply(node, node.input(0).shape)] }),
};
