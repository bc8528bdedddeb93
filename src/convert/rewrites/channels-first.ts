/**
 * Feature maps `[N, H, W, C]`, as TensorFlow keeps them, in the order `[N, C, H, W]`: a transposition that brings the
 * channels to the end moves on through operators that are the same in either order, until it meets the one that brings
 * them back, and both vanish.
 *
 *   op(x[n, h, w, c]) = op'(x[n, c, h, w]), transposed,      op': op with its axes, pads and constants in the other order
 *
 * Operators that depend on each other so are a region, which is rewritten as a whole if it then has fewer transpositions.
 */
import { type Budget, budgetOf } from "../../onnx/budget.js";
import { GraphBuilder, makeNode } from "../../onnx/builder.js";
import type { Facts } from "../../onnx/facts.js";
import { removeUnused } from "../../onnx/fold.js";
import { type Constant, type Graph, intsAttribute, type Node, ruleFor } from "../../onnx/graph.js";
import { inferShapes } from "../../onnx/infer.js";
import { namesOf, reads, renameInSubgraphs } from "../../onnx/subgraph.js";
import { MOVES, type Move, type Operand, reordered, TO_FIRST, TO_LAST } from "./axis-order.js";

/** Operators whose transpositions stand or fall together. */
interface Region {
  /** By how many transpositions it becomes less. */
  saved: number;
  joined?: Region;
}

/** The same graph with as few transpositions between `[N, H, W, C]` and `[N, C, H, W]` as this way spares. */
export function channelsFirst(graph: Graph, budget = budgetOf(graph)): Graph {
  if (!graph.nodes.some((node) => isTransposition(node, TO_LAST))) return graph;
  return new Rewriting(graph, new Regions(graph, budget)).run();
}

const isTransposition = (node: Node, perm: number[]) =>
  node.op === "Transpose" && node.domain === "" && intsAttribute(node, "perm")?.join() === perm.join();

/** Which operators can be moved, and which of them are worth it. */
class Regions {
  /** By the values `[N, H, W, C]`. */
  private readonly regions = new Map<string, Region>();
  private readonly moves = new Map<Node, Move>();
  /** Values that have to be made in the order `[N, H, W, C]` whatever is moved. */
  private readonly needed = new Set<string>();
  private readonly facts: Map<string, Facts>;
  private readonly outputs: Set<string>;
  private readonly constants = new Map<string, Constant | undefined>();

  constructor(
    private readonly graph: Graph,
    private readonly budget: Budget,
  ) {
    this.facts = inferShapes(graph, { partial: true, budget: budget.whole() });
    this.outputs = new Set(graph.outputs.map(({ name }) => name));
    for (const node of graph.nodes) this.take(node);
    for (const name of this.outputs) this.need(name);
  }

  /** Whether a value `[N, H, W, C]` is to be made as `[N, C, H, W]`. */
  has(name: string): boolean {
    return (this.of(name)?.saved ?? 0) > 0;
  }

  /** How a node is to be moved, if it is. */
  move(node: Node): Move | undefined {
    const move = this.moves.get(node);
    return move && node.inputs.some((name, i) => move.operands[i] === "planes" && this.has(name))
      ? move
      : undefined;
  }

  /** Whether a node brings a map of a region back to `[N, C, H, W]`. A graph's output keeps the node that makes it. */
  isReturn = (node: Node): boolean =>
    isTransposition(node, TO_FIRST) &&
    this.regions.has(node.inputs[0] as string) &&
    !this.outputs.has(node.outputs[0] as string);

  private of(name: string): Region | undefined {
    let region = this.regions.get(name);
    while (region?.joined) region = region.joined;
    return region;
  }

  private take(node: Node): void {
    const move = this.moveOf(node);
    if (move) this.join(node, move);
    else if (this.isReturn(node)) (this.of(node.inputs[0] as string) as Region).saved++;
    else for (const name of reads(node)) this.need(name);
    if (isTransposition(node, TO_LAST)) this.regions.set(node.outputs[0] as string, { saved: 1 });
  }

  private need(name: string): void {
    const region = this.of(name);
    if (region && !this.needed.has(name)) region.saved--;
    this.needed.add(name);
  }

  private moveOf(node: Node): Move | undefined {
    if (node.domain !== "" || !node.inputs.some((name) => this.regions.has(name))) return undefined;
    const operands = node.inputs.map((name) => this.operand(name));
    return ruleFor(MOVES, node)?.(node, operands, this.graph.initializers);
  }

  /** What a value is beside a map, both broadcast to each other; `undefined`: nothing that could be moved. */
  private operand(name: string): Operand | undefined {
    if (this.regions.has(name)) return "planes";
    const shape = name === "" ? [] : this.facts.get(name)?.shape;
    if (shape === undefined || shape.length > 4) return undefined;
    if (shape.every((length) => length === 1)) return "same";
    const constant = this.graph.initializers.get(name);
    if (constant) return this.reordered(name, constant);
    // A gate, of one number a channel: its transposition is nothing.
    return shape.length === 4 && shape[1] === 1 && shape[2] === 1 ? "transposed" : undefined;
  }

  /** The constant in the other order, made once; `undefined` where there is no room for it. */
  private reordered(name: string, constant: Constant): Constant | undefined {
    if (this.constants.has(name)) return this.constants.get(name);
    const bytes = constant.data.byteLength;
    const made = this.budget.allows(bytes) ? reordered(constant) : undefined;
    if (made) this.budget.take(bytes, `constant "${name}" in another order`);
    this.constants.set(name, made);
    return made;
  }

  private join(node: Node, move: Move): void {
    const region: Region = { saved: -move.operands.filter((operand) => operand === "transposed").length };
    for (const [i, name] of node.inputs.entries()) {
      const other = move.operands[i] === "planes" ? this.of(name) : undefined;
      if (other === undefined || other === region) continue;
      region.saved += other.saved;
      other.joined = region;
    }
    this.moves.set(node, move);
    if (!move.leaves) for (const name of node.outputs) this.regions.set(name, region);
  }
}

/** The graph being built. */
class Rewriting {
  private readonly g: GraphBuilder;
  /** By a value `[N, H, W, C]` that is moved, the same as `[N, C, H, W]`. */
  private readonly planes = new Map<string, string>();
  /** Those that have been made as `[N, H, W, C]` as well. */
  private readonly made = new Set<string>();
  /** What stands for values whose nodes are gone. */
  private readonly alias = new Map<string, string>();

  constructor(
    private readonly graph: Graph,
    private readonly regions: Regions,
  ) {
    this.g = new GraphBuilder(graph.name);
    for (const name of namesOf(graph)) this.g.unique(name);
  }

  run(): Graph {
    const { nodes, outputs } = this.graph;
    for (const node of nodes) this.take(node);
    for (const { name } of outputs) this.make(name);
    const built = this.g.build();
    const initializers = new Map([...this.graph.initializers, ...built.initializers]);
    return removeUnused({ ...this.graph, nodes: built.nodes, initializers });
  }

  private take(node: Node): void {
    const { regions, planes, alias } = this;
    const [input, output] = [node.inputs[0] as string, node.outputs[0] as string];
    const move = regions.move(node);
    if (move) this.move(node, move);
    else if (isTransposition(node, TO_LAST) && regions.has(output)) {
      this.make(input);
      planes.set(output, this.resolve(input));
    } else if (regions.isReturn(node) && regions.has(input)) alias.set(output, planes.get(input) as string);
    else this.keep(node);
  }

  private keep(node: Node): void {
    for (const name of reads(node)) this.make(name);
    this.push(renameInSubgraphs({ ...node, inputs: node.inputs.map(this.resolve) }, this.resolve));
  }

  private move(node: Node, { operands, attributes, leaves }: Move): void {
    const inputs = operands.map((kind, i) => this.operand(node.inputs[i] ?? "", kind));
    const outputs = leaves ? node.outputs : node.outputs.map((name) => this.g.unique(`${name}.planes`));
    if (!leaves) for (const [i, name] of node.outputs.entries()) this.planes.set(name, outputs[i] as string);
    this.push({ ...node, inputs, outputs, attributes });
  }

  private operand(name: string, kind: Operand): string {
    if (kind === "planes") return this.planes.get(name) as string;
    if (kind === "same") return this.resolve(name);
    const hint = `${name}.planes`;
    return kind === "transposed"
      ? this.g.node("Transpose", [this.resolve(name)], { perm: TO_FIRST }, hint)
      : this.g.constant(hint, kind);
  }

  /** Makes a value as `[N, H, W, C]`, if it is there as `[N, C, H, W]` alone. */
  private make(name: string): void {
    const from = this.planes.get(name);
    if (from === undefined || this.made.has(name)) return;
    this.made.add(name);
    // Without a name of its own: the node that made the value before has its.
    this.push({ ...makeNode("Transpose", [from], [name], { perm: TO_LAST }), name: "" });
  }

  private resolve = (name: string): string => this.alias.get(name) ?? name;

  private push(node: Node): void {
    this.g.graph.nodes.push(node);
  }
}
