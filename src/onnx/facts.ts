import {
  type Constant,
  type Dimension,
  describe,
  type ElementType,
  intsAttribute,
  type Node,
  numbers,
  OnnxError,
} from "./graph.js";

/**
 * What is known of a value before the graph runs.
 *
 * Shapes may hold names for lengths known only at run time. `contents` holds the elements of a small integer
 * tensor as far as they are known, names among them: that is what sees through the `Shape → Gather → Unsqueeze →
 * Concat → Reshape` with which PyTorch exports write a flatten.
 */
export interface Facts {
  type: ElementType;
  shape: Dimension[];
  contents?: Dimension[];
}

/** The most elements that `contents` follows: shapes are short, weights are not of interest. */
const CONTENTS_LIMIT = 64;

export function constantFacts({ type, dims, data }: Constant): Facts {
  const small = (type === "int64" || type === "int32") && data.length <= CONTENTS_LIMIT;
  return { type, shape: [...dims], ...(small && { contents: numbers({ type, dims, data }) }) };
}

/** The tensor that a `Constant` node holds. */
export function constantOf(node: Node): Constant {
  const value = node.attributes.get("value");
  if (value?.kind === "tensor") return value.value;
  const floats = node.attributes.get("value_float") ?? node.attributes.get("value_floats");
  const ints = node.attributes.get("value_int") ?? node.attributes.get("value_ints");
  const plain = floats ?? ints;
  if (plain === undefined || plain.kind === "tensor" || plain.kind === "opaque")
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
  ) {}

  /** Input `i`, which must be there. */
  input(i: number): Facts {
    const found = this.inputs[i];
    return found ?? this.fail(`input ${i} is missing`);
  }

  /** The fully known integers of input `i`, or those of the attribute that older operator sets have in its place. */
  integers(i: number, attribute: string): number[] | undefined {
    const given = this.inputs[i];
    if (given === undefined && this.node.inputs[i])
      return this.fail(`${attribute} (input ${i}) is not known before the graph runs`);
    if (given === undefined) return intsAttribute(this.node, attribute);
    const { contents } = given;
    if (contents?.every((value) => typeof value === "number")) return contents as number[];
    return this.fail(`${attribute} (input ${i}) is not known before the graph runs`);
  }

  /** A length as a number. */
  length(dimension: Dimension | undefined, what: string): number {
    return typeof dimension === "number"
      ? dimension
      : this.fail(`${what} is ${dimension}, expected a number`);
  }

  axis(value: number, rank: number): number {
    const axis = value < 0 ? value + rank : value;
    return axis >= 0 && axis < rank ? axis : this.fail(`axis ${value} is out of range for rank ${rank}`);
  }

  fail(reason: string): never {
    throw new OnnxError(`${describe(this.node)}: ${reason}`, this.node);
  }
}

/** The facts of a node's outputs. */
export type ShapeRule = (call: Call) => Facts[];
