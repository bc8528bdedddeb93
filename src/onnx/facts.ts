import { Budget, LIMITS } from "./budget.js";
import {
  type Constant,
  type Dimension,
  describe,
  type ElementType,
  intsAttribute,
  type Node,
  numbers,
  OnnxError,
  volume,
} from "./graph.js";

/**
 * What is known of a value before the graph runs.
 *
 * Shapes may hold names for lengths known only at run time. `contents` holds the elements of a small tensor as far as
 * they are known, in integer ones names of lengths among them: that is what sees through the `Shape → Gather → Unsqueeze →
 * Concat → Reshape` with which PyTorch exports write a flatten.
 */
export interface Facts {
  type: ElementType;
  shape: Dimension[];
  contents?: Dimension[];
}

const FOLLOWED: readonly ElementType[] = ["int64", "int32", "float32", "float64", "bool"];

/** A name for a length, or an integer, of which nothing is known. */
export const fresh = (call: Call, axis: number): string => `?${call.label}_${axis}`;
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
  const floats = node.attributes.get("value_float") ?? node.attributes.get("value_floats");
  const ints = node.attributes.get("value_int") ?? node.attributes.get("value_ints");
  const plain = floats ?? ints;
  const kinds = floats ? ["float", "floats"] : ["int", "ints"];
  if (plain === undefined || !kinds.includes(plain.kind))
    throw new OnnxError(`${describe(node)}: its value is neither a tensor nor numbers`, node);
  const list = [plain.value].flat() as number[];
  const dims = Array.isArray(plain.value) ? [list.length] : [];
  return floats
    ? { type: "float32", dims, data: Float32Array.from(list) }
    : { type: "int64", dims, data: BigInt64Array.from(list, BigInt) };
}

/** One node with the facts of its inputs, and the ways in which rules fail. */
export class Call {
  constructor(
    readonly node: Node,
    readonly inputs: (Facts | undefined)[],
    readonly budget: Budget = new Budget(),
  ) {}

  /** The node's result as part of the names of lengths. */
  get label(): string {
    return this.budget.label(this.node.outputs[0] ?? "");
  }

  /** Whether so many elements of a result may be followed: to be asked before they are made. */
  follows(count: number): boolean {
    return this.budget.follows(count);
  }

  /** The number of axes of a result: to be asked before its shape is made. */
  rank(count: number): number {
    if (count <= LIMITS.rank) return count;
    return this.fail(`its result would have ${count} axes, expected at most ${LIMITS.rank}`);
  }

  /** Input `i`, which must be there. */
  input(i: number): Facts {
    const found = this.inputs[i];
    return found ?? this.fail(`input ${i} is missing`);
  }

  /** The fully known integers of input `i`, or those of the attribute that older operator sets have in its place. */
  integers(i: number, attribute: string): number[] | undefined {
    const given = this.wholeNumbers(i, attribute);
    if (given === undefined && this.node.inputs[i])
      return this.fail(`${attribute} (input ${i}) is not known before the graph runs`);
    if (given === undefined) return intsAttribute(this.node, attribute);
    const { contents } = given;
    if (contents?.every((value) => typeof value === "number")) return contents as number[];
    return this.fail(`${attribute} (input ${i}) is not known before the graph runs`);
  }

  /** Input `i`, whose elements count or number something: a fraction among them would be taken for a length later. */
  private wholeNumbers(i: number, what: string): Facts | undefined {
    const given = this.inputs[i];
    if (given === undefined || given.type === "int64" || given.type === "int32") return given;
    return this.fail(`${what} (input ${i}) is ${given.type}, expected int64 or int32`);
  }

  /** The integers of input `i` as far as they are known, or those of the attribute. */
  some(i: number, attribute: string): Dimension[] | undefined {
    const given = this.wholeNumbers(i, attribute);
    const length = given?.shape[0] ?? 1;
    if (given === undefined || given.contents !== undefined || typeof length !== "number")
      return given?.contents ?? this.integers(i, attribute);
    if (length > LIMITS.rank) return this.fail(`${attribute} (input ${i}) has ${length} entries`);
    const name = this.budget.label(this.node.inputs[i] ?? "");
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
    throw new OnnxError(`${describe(this.node)}: ${reason}`, this.node);
  }
}

/** The facts of a node's outputs. */
export type ShapeRule = (call: Call) => Facts[];
