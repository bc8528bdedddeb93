import { Budget, LIMITS } from "./budget.js";
import {
  type Constant,
  type Dimension,
  describe,
  type ElementType,
  float32,
  floatAttribute,
  int64,
  intAttribute,
  intsAttribute,
  type Node,
  numbers,
  OnnxError,
  stringAttribute,
  volume,
} from "./graph.js";

/** What is known of a value before the graph runs. */
export interface Facts {
  type: ElementType;
  /** Lengths that are known only at run time have names. */
  shape: Dimension[];
  /**
   * The elements of a small tensor, where they are known. Integers can be names of lengths: with them inference sees
   * through the `Shape → Gather → Unsqueeze → Concat → Reshape` that PyTorch exports for a flatten.
   */
  contents?: Dimension[];
}

const FOLLOWED: readonly ElementType[] = ["int64", "int32", "float32", "float64", "bool"];

/** A name for a length, or an integer, that is not known. */
export const fresh = (node: InferenceContext, axis: number): string => `?${node.label}_${axis}`;
export const isFresh = (value: Dimension | undefined): boolean =>
  typeof value === "string" && value.startsWith("?");

export function constantFacts({ type, dims, data }: Constant): Facts {
  const small = FOLLOWED.includes(type) && data.length <= LIMITS.contents && data.length === volume(dims);
  return { type, shape: [...dims], ...(small && { contents: numbers({ type, dims, data }) }) };
}

/** The tensor that a `Constant` node holds. */
export function constantOf(node: Node): Constant {
  const value = node.attributes.get("value");
  if (value?.kind === "tensor") return value.value;
  for (const kind of ["float", "floats", "int", "ints"]) {
    const plain = node.attributes.get(`value_${kind}`);
    if (plain?.kind !== kind) continue;
    const list = [plain.value].flat() as number[];
    const dims = Array.isArray(plain.value) ? [list.length] : [];
    return kind.startsWith("float") ? float32(list, dims) : int64(list, dims);
  }
  throw new OnnxError(`${describe(node)}: its value is neither a tensor nor numbers`, node);
}

/** One node with the facts of its inputs. Its methods read what a shape rule needs, or fail. */
export class InferenceContext {
  constructor(
    readonly raw: Node,
    readonly inputs: (Facts | undefined)[],
    readonly budget: Budget = new Budget(),
  ) {}

  /** The name of the node's result, as it stands in names of lengths. */
  get label(): string {
    return this.budget.label(this.raw.outputs[0] ?? "");
  }

  int = (name: string, otherwise: number): number => intAttribute(this.raw, name, otherwise);
  float = (name: string, otherwise: number): number => floatAttribute(this.raw, name, otherwise);
  string = (name: string, otherwise: string): string => stringAttribute(this.raw, name, otherwise);
  ints = (name: string): number[] | undefined => intsAttribute(this.raw, name);

  /** Whether the budget allows to follow so many elements of a result. Ask before making them. */
  follows(count: number): boolean {
    return this.budget.follows(count);
  }

  /** Checks the number of axes of a result. Ask before making its shape. */
  rank(count: number): number {
    if (count <= LIMITS.rank) return count;
    return this.fail(`its result would have ${count} axes, expected at most ${LIMITS.rank}`);
  }

  /** Input `i`; fails where it is left out. */
  input(i: number): Facts {
    const found = this.inputs[i];
    return found ?? this.fail(`input ${i} is missing`);
  }

  /** The integers of input `i`, or of the attribute that older operator sets have instead; fails where one is not known. */
  integers(i: number, attribute: string): number[] | undefined {
    const given = this.wholeNumbers(i, attribute);
    if (given === undefined && !this.raw.inputs[i]) return this.ints(attribute);
    if (given?.contents?.every((value) => typeof value === "number")) return given.contents as number[];
    return this.fail(`${attribute} (input ${i}) is not known before the graph runs`);
  }

  /** Input `i`, whose elements must be whole: a fraction would later be taken for a length. */
  private wholeNumbers(i: number, what: string): Facts | undefined {
    const given = this.inputs[i];
    if (given === undefined || given.type === "int64" || given.type === "int32") return given;
    return this.fail(`${what} (input ${i}) is ${given.type}, expected int64 or int32`);
  }

  /** The integers of input `i`, with names for those that are not known, or those of the attribute. */
  some(i: number, attribute: string): Dimension[] | undefined {
    const given = this.wholeNumbers(i, attribute);
    const length = given?.shape[0] ?? 1;
    if (given === undefined || given.contents !== undefined || typeof length !== "number")
      return given?.contents ?? this.integers(i, attribute);
    if (length > LIMITS.rank) return this.fail(`${attribute} (input ${i}) has ${length} entries`);
    const name = this.budget.label(this.raw.inputs[i] ?? "");
    return Array.from({ length }, (_, at) => `?${name}[${at}]`);
  }

  /** A length as a number. */
  length(dimension: Dimension | undefined, what: string): number {
    return typeof dimension === "number"
      ? dimension
      : this.fail(`${what} is ${dimension}, expected a number`);
  }

  axis(value: number, rank: number): number {
    const axis = value < 0 ? value + rank : value;
    return Number.isInteger(axis) && axis >= 0 && axis < rank
      ? axis
      : this.fail(`axis ${value} is out of range for rank ${rank}`);
  }

  fail(reason: string): never {
    throw new OnnxError(`${describe(this.raw)}: ${reason}`, this.raw);
  }
}

/** The facts of a node's outputs, or of its only one. */
export type ShapeRule = (node: InferenceContext) => Facts | Facts[];

/** Of a node with one output. */
export type ResultRule = (node: InferenceContext) => Facts;
