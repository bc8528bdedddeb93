import type { Graph, Node } from "./graph.js";
import { reads } from "./subgraph.js";

const NOBODY: ReadonlySet<Node> = new Set();
const NOTHING: ReadonlySet<string> = new Set();

/** The node that makes each value of a graph, and the nodes that read it. */
export class GraphIndex {
  /** The names of the graph's outputs. */
  readonly outputs: ReadonlySet<string>;
  private readonly producers = new Map<string, Node>();
  private readonly readers = new Map<string, Set<Node>>();
  private readonly inputs = new Map<Node, ReadonlySet<string>>();

  constructor(graph: Pick<Graph, "nodes" | "outputs">) {
    this.outputs = new Set(graph.outputs.map(({ name }) => name));
    for (const node of graph.nodes) this.add(node);
  }

  /** The node that makes a value. Inputs and constants of the graph have none. */
  producer(name: string | undefined): Node | undefined {
    return this.producers.get(name ?? "");
  }

  /** The nodes that read a value, or whose subgraphs do. */
  consumers(name: string | undefined): ReadonlySet<Node> {
    return this.readers.get(name ?? "") ?? NOBODY;
  }

  /** Whether a node reads a value, or it is an output of the graph. */
  isNeeded(name: string): boolean {
    return this.outputs.has(name) || this.consumers(name).size > 0;
  }

  has(node: Node): boolean {
    return this.inputs.has(node);
  }

  /** The names that a node of the graph reads, or its subgraphs do. */
  reads(node: Node): ReadonlySet<string> {
    return this.inputs.get(node) ?? NOTHING;
  }

  add(node: Node): void {
    const names = new Set(reads(node));
    names.delete("");
    this.inputs.set(node, names);
    for (const name of names) this.read(name, node);
    for (const name of node.outputs) if (name !== "") this.producers.set(name, node);
  }

  remove(node: Node): void {
    for (const name of this.reads(node)) this.readers.get(name)?.delete(node);
    this.inputs.delete(node);
    for (const name of node.outputs) if (this.producers.get(name) === node) this.producers.delete(name);
  }

  /** Counts the consumers of `name` as those of `other`, which is the same value. */
  merge(name: string, other: string): void {
    for (const node of this.consumers(name)) this.read(other, node);
    this.readers.delete(name);
  }

  private read(name: string, node: Node): void {
    const readers = this.readers.get(name);
    if (readers) readers.add(node);
    else this.readers.set(name, new Set([node]));
  }
}
