/** The engine that rewrites graphs: rules in a list, each tried at every node in turn. */
import { type Budget, budgetOf } from "./budget.js";
import type { Facts } from "./facts.js";
import type { Constant, Dimension, Graph, Node } from "./graph.js";
import { GraphIndex } from "./graph-index.js";
import { Inference, type InferenceOptions } from "./infer.js";
import type { Names } from "./names.js";
import { freshNames, renameInSubgraphs } from "./subgraph.js";

/**
 * A rule: where its pattern fits and its check finds a match, the replacement computes the same.
 * @typeParam M What the check finds.
 * @typeParam C The chain of nodes that fits the pattern.
 */
export interface Rewrite<M = unknown, C extends readonly Node[] = readonly Node[]> {
  readonly name: string;
  /**
   * Standard operators in a row, or {@link ANY}. The first input of each is the result of the one before, which nothing
   * else reads.
   */
  readonly pattern: readonly string[];
  /** What the replacement needs to know, `undefined` where the rule does not apply. */
  check(chain: C, graph: EditableGraph): M | undefined;
  replace(match: M, chain: C, graph: EditableGraph): Replacement;
}

/** A rewrite that looks at the whole graph before its rule is tried at the nodes. */
export interface GraphRewrite {
  readonly name: string;
  /** The rule, `undefined` where it would apply nowhere. */
  analyse(graph: EditableGraph): Omit<Rewrite, "name"> | undefined;
}

/** What replaces a chain: nodes that have its outputs, a constant, or the name of a value that is the same. */
export type Replacement = readonly Node[] | Constant | string;

/** In a pattern: any operator of any domain. */
export const ANY = "*";

/** Applies rewrites in the order of the list. Nodes and constants that no output needs are dropped. */
export function rewrite(
  graph: Graph,
  rewrites: readonly (Rewrite | GraphRewrite)[],
  options: InferenceOptions = {},
): { graph: Graph; applied: ReadonlyMap<string, number> } {
  const edited = new EditableGraph(graph, options);
  const applied = new Map<string, number>();
  for (const one of rewrites) {
    const rule = "analyse" in one ? one.analyse(edited) : one;
    applied.set(one.name, rule ? edited.apply(rule) : 0);
  }
  return { graph: edited.build(), applied };
}

/** A graph while it is rewritten. Its index, shapes and constants are right after every replacement. */
export class EditableGraph extends GraphIndex {
  readonly constants: Map<string, Constant>;
  /** What all rewrites together may take. */
  readonly budget: Budget;
  /** In topological order. While a rule is tried, as before it. */
  nodes: readonly Node[];
  private readonly names: Names;
  private readonly inference: Inference;
  private readonly named = new Map<Constant, string>();
  /** For each value that a rule removed, the value that is the same. */
  private alias = new Map<string, string>();

  constructor(
    private readonly source: Graph,
    { budget = budgetOf(source), ...options }: InferenceOptions = {},
  ) {
    super(source);
    this.budget = budget;
    this.names = freshNames(source);
    this.constants = new Map(source.initializers);
    this.inference = new Inference(source, { ...options, budget: budget.whole() });
    for (const node of source.nodes) this.inference.add(node);
    this.nodes = this.needed(source.nodes);
  }

  get opset(): number {
    return this.source.opsets.get("") ?? 0;
  }

  facts(name: string | undefined): Facts | undefined {
    return this.inference.facts.get(name ?? "");
  }

  /** The shape of a value, empty where it is not known. */
  shape(name: string | undefined): readonly Dimension[] {
    return this.facts(name)?.shape ?? [];
  }

  /** A name like `hint` that nothing has yet. */
  unique(hint: string): string {
    return this.names.unique(hint);
  }

  /** Adds a constant, once, and returns its name. */
  constant(hint: string, value: Constant): string {
    const known = this.named.get(value);
    if (known !== undefined) return known;
    const name = this.unique(hint);
    this.named.set(value, name);
    this.setConstant(name, value);
    return name;
  }

  /** Tries a rule at every node. Returns how often it applied. */
  apply(rule: Omit<Rewrite, "name">): number {
    let applied = 0;
    const result: Node[] = [];
    this.alias = new Map();
    for (const original of this.nodes) {
      const node = this.resolved(original);
      const chain = this.match(rule.pattern, node);
      const match = chain && rule.check(chain, this);
      const nodes =
        chain && match !== undefined ? this.replace(chain, rule.replace(match, chain, this)) : undefined;
      if (nodes !== undefined) applied++;
      for (const one of nodes ?? [node]) result.push(one);
    }
    this.nodes = this.needed(result.filter((node) => this.has(node)));
    return applied;
  }

  build(): Graph {
    const initializers = new Map([...this.constants].filter(([name]) => this.isNeeded(name)));
    return { ...this.source, nodes: [...this.nodes], initializers };
  }

  private match(pattern: readonly string[], last: Node): Node[] | undefined {
    const chain: Node[] = [];
    let node: Node | undefined = last;
    for (const op of pattern.toReversed()) {
      if (node === undefined || !isOf(node, op)) return undefined;
      if (chain.length > 0 && !this.isReadOnce(node)) return undefined;
      chain.unshift(node);
      node = this.producer(node.inputs[0]);
    }
    return chain;
  }

  private isReadOnce({ outputs }: Node): boolean {
    const consumers = outputs.reduce((count, name) => count + this.consumers(name).size, 0);
    return consumers === 1 && !outputs.some((name) => this.outputs.has(name));
  }

  /** The nodes in the place of the chain, `undefined` where it has to stay. */
  private replace(chain: readonly Node[], replacement: Replacement): readonly Node[] | undefined {
    const [result = "", ...others] = chain.at(-1)?.outputs ?? [];
    const nodes = Array.isArray(replacement) ? (replacement as readonly Node[]) : [];
    const made = new Set(nodes.flatMap(({ outputs }) => outputs));
    if (others.some((name) => this.isNeeded(name) && !made.has(name))) return undefined;
    // An output of the graph keeps the node that makes it.
    if (typeof replacement === "string" && this.outputs.has(result)) return undefined;
    for (const node of chain) this.remove(node);
    if (typeof replacement === "string") {
      this.alias.set(result, replacement);
      this.merge(result, replacement);
    } else if ("data" in replacement) this.setConstant(result, replacement);
    for (const node of nodes) {
      this.add(node);
      this.inference.add(node);
    }
    return nodes;
  }

  private setConstant(name: string, value: Constant): void {
    this.constants.set(name, value);
    this.inference.constant(name, value);
  }

  /** The node, with other inputs for values that the rule removed. */
  private resolved(node: Node): Node {
    const { alias } = this;
    if (alias.size === 0 || ![...this.reads(node)].some((name) => alias.has(name))) return node;
    const resolve = (name: string) => alias.get(name) ?? name;
    const renamed = renameInSubgraphs({ ...node, inputs: node.inputs.map(resolve) }, resolve);
    this.remove(node);
    this.add(renamed);
    return renamed;
  }

  /** The nodes that outputs depend on. */
  private needed(nodes: readonly Node[]): readonly Node[] {
    for (const node of nodes.toReversed())
      if (!node.outputs.some((name) => this.isNeeded(name))) this.remove(node);
    return nodes.filter((node) => this.has(node));
  }
}

const isOf = (node: Node, op: string) => op === ANY || (node.domain === "" && node.op === op);
