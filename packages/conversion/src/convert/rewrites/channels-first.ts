/**
 * Feature maps `[N, H, W, C]`, as TensorFlow has them, in the order `[N, C, H, W]`. A transposition that makes channels the
 * last axis moves through operators that exist in both orders, up to the one that reverses it: both vanish.
 *
 *   op(xᵀ) = op'(x)ᵀ,      x [N, C, H, W], xᵀ [N, H, W, C],      op': op with its axes, pads and constants in the other order
 *
 * Operators that can only move together are a region. A region moves if that leaves fewer transpositions.
 */
import { makeNode } from "../../onnx/builder.js";
import { type Constant, intsAttribute, type Node, ruleFor } from "../../onnx/graph.js";
import { ANY, type EditableGraph, type GraphRewrite, type Replacement } from "../../onnx/rewrite.js";
import { MOVES, type Move, type Operand, reordered, TO_FIRST, TO_LAST } from "./axis-order.js";

export const channelsFirst: GraphRewrite = {
  name: "channels first",
  analyse(graph) {
    const regions = new Regions(graph);
    const moving = new Moving(graph, regions);
    const check = ([node]: readonly Node[]) => node && moving.of(node);
    return regions.isEmpty
      ? undefined
      : { pattern: [ANY], check, replace: (make: () => Replacement) => make() };
  },
};

const isTransposition = (node: Node, perm: number[]) =>
  node.op === "Transpose" && node.domain === "" && intsAttribute(node, "perm")?.join() === perm.join();

/** Operators whose transpositions stand or fall together. */
interface Region {
  /** How many transpositions the graph loses if it moves. */
  saved: number;
  joined?: Region;
}

/** The operators that can move, and the regions that are worth it. */
class Regions {
  /** By the values `[N, H, W, C]`. */
  private readonly regions = new Map<string, Region>();
  /** By the nodes' first outputs. */
  private readonly moves = new Map<string, Move>();
  /** Values that are needed in the order `[N, H, W, C]` in any case. */
  private readonly needed = new Set<string>();
  private readonly constants = new Map<string, Constant | undefined>();

  constructor(private readonly graph: EditableGraph) {
    for (const node of graph.nodes) this.take(node);
    for (const name of graph.outputs) this.need(name);
  }

  get isEmpty(): boolean {
    return this.regions.size === 0;
  }

  /** Whether a value `[N, H, W, C]` becomes `[N, C, H, W]`. */
  has(name: string | undefined): boolean {
    return (this.of(name)?.saved ?? 0) > 0;
  }

  /** How a node moves, if it does. */
  move({ inputs, outputs }: Node): Move | undefined {
    const move = this.moves.get(outputs[0] ?? "");
    const map = move?.operands.indexOf("planes") ?? -1;
    return this.has(inputs[map]) ? move : undefined;
  }

  /** Whether a node brings a map of a region back to `[N, C, H, W]`. A graph's output keeps the node that makes it. */
  isReturn = (node: Node): boolean =>
    isTransposition(node, TO_FIRST) &&
    this.regions.has(node.inputs[0] as string) &&
    !this.graph.outputs.has(node.outputs[0] as string);

  private of(name: string | undefined): Region | undefined {
    let region = this.regions.get(name ?? "");
    while (region?.joined) region = region.joined;
    return region;
  }

  private take(node: Node): void {
    const move = this.moveOf(node);
    if (move) this.join(node, move);
    else if (this.isReturn(node)) (this.of(node.inputs[0]) as Region).saved++;
    else for (const name of this.graph.reads(node)) this.need(name);
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
    return ruleFor(MOVES, node)?.(node, operands, this.graph.constants);
  }

  /** What a value is as an operand beside a map, `undefined` where it keeps the operator from moving. */
  private operand(name: string): Operand | undefined {
    if (this.regions.has(name)) return "planes";
    const shape = name === "" ? [] : this.graph.facts(name)?.shape;
    if (shape === undefined || shape.length > 4) return undefined;
    if (shape.every((length) => length === 1)) return "same";
    const constant = this.graph.constants.get(name);
    if (constant) return this.reordered(name, constant);
    // A gate, one number for each channel: its transposition costs nothing.
    return shape.length === 4 && shape[1] === 1 && shape[2] === 1 ? "transposed" : undefined;
  }

  /** The constant in the other order, computed once; `undefined` where there is no room for it. */
  private reordered(name: string, constant: Constant): Constant | undefined {
    if (this.constants.has(name)) return this.constants.get(name);
    const { budget } = this.graph;
    const bytes = constant.data.byteLength;
    const result = budget.allows(bytes) ? reordered(constant) : undefined;
    if (result) budget.take(bytes, `constant "${name}" in another order`);
    this.constants.set(name, result);
    return result;
  }

  private join(node: Node, move: Move): void {
    const region: Region = { saved: -move.operands.filter((operand) => operand === "transposed").length };
    for (const [i, name] of node.inputs.entries()) {
      const other = move.operands[i] === "planes" ? this.of(name) : undefined;
      if (other === undefined || other === region) continue;
      region.saved += other.saved;
      other.joined = region;
    }
    this.moves.set(node.outputs[0] as string, move);
    if (!move.leaves) for (const name of node.outputs) this.regions.set(name, region);
  }
}

/** The replacement of each node, in the order of the graph. */
class Moving {
  /** For each value `[N, H, W, C]` that moved, the same as `[N, C, H, W]`. */
  private readonly planes = new Map<string, string>();
  /** Those of them that exist as `[N, H, W, C]` too. */
  private readonly there = new Set<string>();

  constructor(
    private readonly graph: EditableGraph,
    private readonly regions: Regions,
  ) {}

  /** The replacement of a node, `undefined` where it stays. */
  of(node: Node): (() => Replacement) | undefined {
    const { regions, planes } = this;
    const [input = "", output = ""] = [node.inputs[0], node.outputs[0]];
    const move = regions.move(node);
    if (move) return () => this.moved(node, move);
    if (isTransposition(node, TO_LAST) && regions.has(output))
      return () => {
        planes.set(output, input);
        return [...this.last([input]), ...this.outputs(node)];
      };
    if (regions.isReturn(node) && regions.has(input)) return () => planes.get(input) as string;
    const isOpen = [...this.graph.reads(node)].some((name) => planes.has(name) && !this.there.has(name));
    return isOpen ? () => [...this.last(this.graph.reads(node)), node] : undefined;
  }

  private moved(node: Node, { operands, attributes, leaves }: Move): Node[] {
    const gates: Node[] = [];
    const inputs = operands.map((kind, i) => {
      const name = node.inputs[i] ?? "";
      if (kind === "planes") return this.planes.get(name) as string;
      if (kind === "same") return name;
      if (kind !== "transposed") return this.graph.constant(`${name}.planes`, kind);
      const gate = this.graph.unique(`${name}.planes`);
      gates.push(makeNode("Transpose", [name], [gate], { perm: TO_FIRST }));
      return gate;
    });
    if (leaves) return [...gates, { ...node, inputs, attributes }];
    const outputs = node.outputs.map((name) => this.graph.unique(`${name}.planes`));
    for (const [i, name] of node.outputs.entries()) this.planes.set(name, outputs[i] as string);
    return [...gates, { ...node, inputs, outputs, attributes }, ...this.outputs(node)];
  }

  /** The outputs of the graph that a node makes, as `[N, H, W, C]`. */
  private outputs(node: Node): Node[] {
    return this.last(node.outputs.filter((name) => this.graph.outputs.has(name)));
  }

  /** Transposes values to `[N, H, W, C]` if they exist only as `[N, C, H, W]`. */
  private last(names: Iterable<string>): Node[] {
    return [...names].flatMap((name) => {
      const from = this.planes.get(name);
      if (from === undefined || this.there.has(name)) return [];
      this.there.add(name);
      // No name: the moved node keeps it.
      return [{ ...makeNode("Transpose", [from], [name], { perm: TO_LAST }), name: "" }];
    });
  }
}
