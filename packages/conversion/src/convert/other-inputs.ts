/** The inputs that a model has beside its image, such as the image's size or a scale, and the values given for them. */
import { GraphBuilder, makeNode } from "../onnx/builder.js";
import {
  type Constant,
  type Dimension,
  type ElementType,
  type Graph,
  type NumericArray,
  type ValueInfo,
  volume,
} from "../onnx/graph.js";
import { freshNames } from "../onnx/subgraph.js";
import { arrayOf } from "../onnx/tensors.js";
import { ConvertError } from "./errors.js";

/**
 * Values of a model's inputs beside the image, by name: all numbers of an input in row-major order, or one number for all
 * of its elements. If the first axis is the batch, the values are those of one image, and every image gets them.
 */
export type InputValues = Readonly<Record<string, GivenValues>>;
export type GivenValues = number | boolean | bigint | ArrayLike<number | boolean | bigint>;

/** The values given for an input. Properties that an object inherits do not count. */
export const givenFor = (given: InputValues, name: string): GivenValues | undefined =>
  Object.hasOwn(given, name) ? given[name] : undefined;

/** Numbers in row-major order, nested or not. */
function listOf(given: GivenValues): number[] {
  if (typeof given === "string") return [Number.NaN];
  if (typeof given !== "object" || given === null) return [Number(given)];
  return Array.from(given).flat(Number.POSITIVE_INFINITY).map(Number);
}

/** The image that the values go with. */
export interface Beside {
  name: string;
  batch: Dimension;
  /** Lengths that have names, where they are known. */
  lengths?: ReadonlyMap<string, number>;
}

/** An input's values for a run. */
export interface OtherInput extends Constant {
  name: string;
  /** Whether the first axis is the batch: `data` is then that of one image, and `dims[0]` is 1. */
  isBatched: boolean;
}

export const describeInput = ({ name, type, shape }: ValueInfo): string =>
  `${name}: ${type} [${shape?.join(", ") ?? "?"}]`;

/**
 * The values of all inputs beside the image.
 * @throws {ConvertError} where one is not given, is not an input of the model, or does not fit
 */
export function otherInputs(
  others: readonly ValueInfo[],
  image: Beside,
  given: InputValues = {},
): OtherInput[] {
  checkNames(others, image.name, given);
  const open = others.filter(({ name }) => givenFor(given, name) === undefined);
  if (open.length > 0)
    throw new ConvertError(
      `the model takes ${open.map(describeInput).join("; ")} beside the image "${image.name}"; expected values, as inputs: { ${open.map(({ name }) => `"${name}": [...]`).join(", ")} } or --input ${open[0]?.name}=...`,
    );
  return others.map((input) => valuesOf(input, image, givenFor(given, input.name) as GivenValues));
}

/** The model with constants in place of the given inputs, but for those whose first axis is a free batch. */
export function withConstants(model: Graph, image: Beside, given: InputValues): Graph {
  const initializers = new Map(model.initializers);
  const inputs = model.inputs.filter((input, i) => {
    const value = givenFor(given, input.name);
    if (i === 0 || value === undefined) return true;
    const { isBatched, type, dims, data } = valuesOf(input, image, value);
    if (isBatched && typeof image.batch === "string") return true;
    initializers.set(
      input.name,
      isBatched ? repeated({ type, dims, data }, image.batch as number) : { type, dims, data },
    );
    return false;
  });
  return { ...model, inputs, initializers };
}

/**
 * The graph with nodes in place of the given inputs whose first axis is the batch: they repeat the values for each image of
 * the first input.
 */
export function withRepeated(graph: Graph, image: Beside, given: InputValues): Graph {
  const bound = graph.inputs.slice(1).flatMap((input) => {
    const value = givenFor(given, input.name);
    return value === undefined ? [] : [valuesOf(input, image, value)];
  });
  if (bound.length === 0) return graph;
  const g = new GraphBuilder(graph.name, graph.opsets.get(""), undefined, freshNames(graph));
  const batch = g.slice(g.node("Shape", [graph.inputs[0]?.name as string]), { axis: 0, from: 0, to: 1 });
  for (const { name, type, dims, data } of bound) {
    const ones = g.ints(dims.slice(1).map(() => 1));
    const times = dims.length === 1 ? batch : g.node("Concat", [batch, ones], { axis: 0 });
    const one = g.constant(`${name}.one`, { type, dims, data });
    g.graph.nodes.push(makeNode("Tile", [one, times], [name], {}));
  }
  const made = g.build();
  const names = new Set(bound.map(({ name }) => name));
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !names.has(name)),
    initializers: new Map([...made.initializers, ...graph.initializers]),
    nodes: [...made.nodes, ...graph.nodes],
  };
}

/** The values of one image, repeated for several. */
export function repeated({ type, dims, data }: Constant, images: number): Constant {
  const all = new (data.constructor as new (length: number) => NumericArray)(images * data.length);
  for (let i = 0; i < images; i++) all.set(data as never, i * data.length);
  return { type, dims: [images * (dims[0] as number), ...dims.slice(1)], data: all };
}

/** @throws {ConvertError} where values are given for something that is no input beside the image. */
export function checkNames(others: readonly ValueInfo[], image: string, given: InputValues): void {
  const names = others.map(({ name }) => name);
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new ConvertError(
        `inputs: the model has no input "${name}" beside the image; expected ${names.length > 0 ? names.join(", ") : `none: its only input is the image "${image}"`}`,
      );
}

/** An input's values, checked against its type and shape. */
function valuesOf(input: ValueInfo, image: Beside, given: GivenValues): OtherInput {
  const { name, type } = input;
  const list = listOf(given);
  const { dims, isBatched } = dimsOf(input, image, list.length);
  const count = volume(dims);
  // One number is for all.
  const all = list.length === 1 ? Array<number>(count).fill(list[0] as number) : list;
  const data = arrayOf(type, all);
  if (data === undefined)
    throw new ConvertError(`inputs: "${name}" is ${type}, whose values cannot be given; expected numbers`);
  const wrong = all.find((value, i) => !fits(type, value, Number(data[i])));
  if (wrong !== undefined) throw new ConvertError(`inputs: "${name}" is ${type}, found ${wrong}`);
  return { name, type, dims, data, isBatched };
}

/** The most elements that one number is repeated for. */
const MOST_REPEATED = 2 ** 24;

/** The shape of `count` values, for one image where the first axis is the batch. */
function dimsOf(
  input: ValueInfo,
  { batch, lengths }: Beside,
  count: number,
): { dims: number[]; isBatched: boolean } {
  const { shape } = input;
  const refuse = (expected: string): never => {
    throw new ConvertError(
      `inputs: ${count} ${count === 1 ? "value" : "values"} given for ${describeInput(input)}; expected ${expected}`,
    );
  };
  if (shape === undefined) return { dims: count === 1 ? [] : [count], isBatched: false };
  const isBatched = shape[0] === batch && shape.length > 0;
  const known = (length: Dimension) =>
    typeof length === "string" ? (lengths?.get(length) ?? length) : length;
  const wanted = (isBatched ? [1, ...shape.slice(1)] : shape).map(known);
  const product = volume(wanted.filter((length) => typeof length === "number"));
  const open = wanted.filter((length) => typeof length === "string").length;
  const each = count / product;
  if (open === 0) {
    if (count === product || (count === 1 && product <= MOST_REPEATED))
      return { dims: wanted as number[], isBatched };
    // The values of all images of a fixed batch.
    if (typeof batch === "number" && isBatched && count === batch * product)
      return { dims: shape as number[], isBatched: false };
    return refuse(`${product}${isBatched ? " for an image" : ""}, or one for all`);
  }
  if (!Number.isInteger(each) || each < 1 || (open > 1 && each > 1))
    return refuse(open > 1 ? `${product}` : `a multiple of ${product}`);
  return { dims: wanted.map((length) => (typeof length === "string" ? each : length)), isBatched };
}

/** Whether a type holds a value: whole numbers exactly, floating ones rounded. */
function fits(type: ElementType, value: number, held: number): boolean {
  if (type === "bool") return value === 0 || value === 1;
  return type.startsWith("float") ? Number.isFinite(value) : value === held;
}
