/**
 * What a model may make while its shapes are inferred, its constants folded and its graph rewritten. A file of a few
 * kilobytes can ask for gigabytes: a `Concat` of a value with itself, thirty times over. What lies in the file itself is
 * not counted, and a large file may make as much more.
 */
import { type Graph, type Node, OnnxError } from "./graph.js";

export const LIMITS = {
  /** Nodes of a model, those of subgraphs included; and its inputs, outputs, constants and hints in all. */
  nodes: 50_000,
  values: 65_536,
  /** Messages of the file's own format: each takes a hundred times its shortest form. */
  messages: 500_000,
  /** Inputs, or outputs, of the whole model: runtimes take a time for them that grows with their square. */
  ends: 1000,
  /** Inputs, outputs and attributes of one node. */
  operands: 10_000,
  /** Subgraphs within each other. */
  depth: 30,
  /** Axes of a tensor. */
  rank: 64,
  /** Characters in the name of a length that is known only at run time. */
  name: 128,
  /** Elements of one value that are followed, since shapes, and factors for each channel, are short; of all values. */
  contents: 4096,
  allContents: 2 ** 19,
  /** Bytes of tensors that are not in the file, and how many more for each byte of a constant in it. */
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

const megabytes = (bytes: number) => `${(bytes / 1e6).toPrecision(3)} MB`;

/** What is left of the limits. One is spent on all rewritings of a model together, and one on each inference of its shapes. */
export class Budget {
  private readonly bytes: number;
  private taken = 0;
  private followed = 0;
  private readonly labels = new Map<string, string>();
  private readonly symbols = new Map<string, string>();

  /** @param given Bytes of constants that are there already, or may be made for another reason. */
  constructor(private readonly given = 0) {
    this.bytes = LIMITS.bytes + LIMITS.bytesPerByte * given;
  }

  /** The same limits, nothing of them spent. */
  whole(): Budget {
    return new Budget(this.given);
  }

  /**
   * To be asked before a tensor of `bytes` is made.
   * @param what Makes it, as `Pad node "p": its padded constant`.
   * @throws {LimitError} where all that was taken, and this, is more than there may be.
   */
  take(bytes: number, what: string, node?: Node): void {
    const all = this.taken + bytes;
    // A number that is none, as Infinity - Infinity, is refused as well.
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

  /** Whether `count` more elements may be followed, which are then counted. */
  follows(count: number): boolean {
    if (!(Number.isInteger(count) && count <= LIMITS.contents && this.followed + count <= LIMITS.allContents))
      return false;
    this.followed += count;
    return true;
  }

  /** The name of a value as part of other names: the same, or shorter. */
  label(name: string): string {
    return shorter(this.labels, name, LIMITS.name / 2);
  }

  /** The name of a length that is made of other names: the same, or a short one that stands for it. */
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

/** What a model may make by the constants that it has. */
export const budgetOf = ({ initializers, nodes }: Graph): Budget => {
  let bytes = 0;
  for (const { data } of initializers.values()) bytes += data.byteLength;
  for (const { op, attributes } of nodes) {
    const value = op === "Constant" ? attributes.get("value") : undefined;
    if (value?.kind === "tensor") bytes += value.value.data.byteLength;
  }
  return new Budget(bytes);
};
