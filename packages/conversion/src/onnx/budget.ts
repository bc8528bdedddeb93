/**
 * What a model may take while its shapes are inferred and its graph is rewritten. A file of a few kilobytes can ask for
 * gigabytes: a `Concat` of a value with itself, thirty times over. The constants in the file do not count, and the larger
 * they are, the more a model may take.
 */
import { type Graph, type Node, OnnxError } from "./graph.js";

export const LIMITS = {
  /** Nodes of a model with its subgraphs; its inputs, outputs, constants and declared values, all together. */
  nodes: 50_000,
  values: 65_536,
  /** Messages of the file's format: one of two bytes takes two hundred in memory. */
  messages: 500_000,
  /** Inputs, or outputs, of the model: the time that runtimes take grows with their square. */
  ends: 1000,
  /** Inputs, outputs and attributes of one node, all together. */
  operands: 10_000,
  /** Levels of nested subgraphs. */
  depth: 30,
  /** Axes of a tensor. */
  rank: 64,
  /** Characters in the name of a length. */
  name: 128,
  /** Elements of one value that inference follows, enough for shapes and for factors of channels; and of all values. */
  contents: 4096,
  allContents: 2 ** 19,
  /** Bytes of tensors that are not in the file, and more for each byte of its constants. */
  bytes: 48 * 2 ** 20,
  bytesPerByte: 16,
} as const;

/** A model that asks for more than {@link LIMITS} allow. */
export class LimitError extends OnnxError {
  override name = "LimitError";
  constructor(
    message: string,
    /** What was asked for, and what is allowed. */
    readonly found: number,
    readonly limit: number,
    node?: Node,
  ) {
    super(message, node);
  }
}

/** @throws {LimitError} with `what`, such as "the model has 9 inputs", where that is more than `limit`. */
export function checkLimit(found: number, limit: number, what: string): void {
  if (found > limit) throw new LimitError(`${what}, expected at most ${limit}`, found, limit);
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toPrecision(3)} MB`;

/** What is left of the limits: one budget for all rewrites of a model, and one for each inference of its shapes. */
export class Budget {
  private readonly bytes: number;
  private taken = 0;
  private followed = 0;
  private readonly labels = new Map<string, string>();
  private readonly symbols = new Map<string, string>();

  /** @param given Bytes of the constants that are there already. */
  constructor(private readonly given = 0) {
    this.bytes = LIMITS.bytes + LIMITS.bytesPerByte * given;
  }

  /** The same limits, unspent. */
  whole(): Budget {
    return new Budget(this.given);
  }

  /**
   * Takes `bytes` for a tensor. Call it before the tensor is made.
   * @param what The tensor, such as `Pad node "p": its padded constant`.
   * @throws {LimitError} where that is more than is left.
   */
  take(bytes: number, what: string, node?: Node): void {
    const all = this.taken + bytes;
    // NaN, as Infinity - Infinity is, is refused too.
    if (!(bytes >= 0 && all <= this.bytes))
      throw new LimitError(
        `${what} takes ${megabytes(bytes)}, with what was made before ${megabytes(all)}; ` +
          `a model of this size may make ${megabytes(this.bytes)}`,
        all,
        this.bytes,
        node,
      );
    this.taken = all;
  }

  /** Whether `bytes` could be taken. */
  allows(bytes: number): boolean {
    return bytes >= 0 && this.taken + bytes <= this.bytes;
  }

  /** Whether `count` more elements may be followed. If so, they are counted. */
  follows(count: number): boolean {
    if (!(Number.isInteger(count) && count <= LIMITS.contents && this.followed + count <= LIMITS.allContents))
      return false;
    this.followed += count;
    return true;
  }

  /** The name of a value to use in other names: the same, or a shorter one. */
  label(name: string): string {
    return shorter(this.labels, name, LIMITS.name / 2);
  }

  /** The name of a length: the same, or a shorter one. */
  symbol(name: string): string {
    return shorter(this.symbols, name, LIMITS.name);
  }
}

function shorter(known: Map<string, string>, name: string, most: number): string {
  if (name.length <= most) return name;
  const found = known.get(name) ?? `${name.slice(0, most / 2)}…${known.size}`;
  known.set(name, found);
  return found;
}

/** The budget of a model with its constants. */
export const budgetOf = ({ initializers, nodes }: Graph): Budget => {
  let bytes = 0;
  for (const { data } of initializers.values()) bytes += data.byteLength;
  for (const { op, attributes } of nodes) {
    const value = op === "Constant" ? attributes.get("value") : undefined;
    if (value?.kind === "tensor") bytes += value.value.data.byteLength;
  }
  return new Budget(bytes);
};
