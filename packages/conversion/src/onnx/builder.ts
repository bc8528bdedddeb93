import { Budget } from "./budget.js";
import {
  type Attribute,
  type Constant,
  type Dimension,
  type ElementType,
  float32,
  type Graph,
  int64,
  type Node,
  type NumericArray,
} from "./graph.js";
import { Names } from "./names.js";
import { renameInSubgraphs } from "./subgraph.js";

/** An attribute as code writes it: a whole number is an `int`, so a float needs {@link float}. */
export type PlainAttribute = number | string | number[] | Constant | Attribute;

/** Marks an attribute as float: ONNX tells `1` from `1.0`, JavaScript does not. */
export const float = (value: number): Attribute => ({ kind: "float", value });

/**
 * Builds a graph node by node. Every method that makes a value returns its name.
 *
 * ```ts
 * const g = new GraphBuilder("doubles", 17);
 * const x = g.input("x", "float32", ["N", 3]);
 * g.output(g.node("Mul", [x, g.floats([2])]), "y", "float32", ["N", 3]);
 * const graph = g.build();
 * ```
 */
export class GraphBuilder {
  readonly graph: Graph;
  private readonly cached = new Map<string, string>();
  private readonly constants = new Map<NumericArray, Map<string, string>>();
  private readonly renamed: { value: string; name: string }[] = [];

  /**
   * @param budget What the constants of the graph may take.
   * @param names Those of values that the graph is built beside, if there are such.
   */
  constructor(
    name: string,
    opset = 17,
    readonly budget = new Budget(),
    private readonly names = new Names(),
  ) {
    this.graph = {
      name,
      opsets: new Map([["", opset]]),
      inputs: [],
      outputs: [],
      initializers: new Map(),
      nodes: [],
      metadata: new Map(),
    };
  }

  get opset(): number {
    return this.graph.opsets.get("") ?? 0;
  }

  /** A name like `hint` that no value has yet. */
  unique(hint: string): string {
    return this.names.unique(hint);
  }

  input(name: string, type: ElementType, shape: Dimension[]): string {
    const unique = this.unique(name);
    this.graph.inputs.push({ name: unique, type, shape });
    return unique;
  }

  /** Adds a constant. The same data in the same shape, such as a weight that layers share, is added once. */
  constant(hint: string, value: Constant): string {
    const shapes = this.constants.get(value.data) ?? new Map<string, string>();
    this.constants.set(value.data, shapes);
    const shape = `${value.type} ${value.dims}`;
    const known = shapes.get(shape);
    if (known !== undefined) return known;
    const name = this.unique(hint);
    shapes.set(shape, name);
    this.graph.initializers.set(name, value);
    return name;
  }

  /** A small float constant; the same values and shape give the same name. */
  floats(values: number[], dims: number[] = [values.length]): string {
    return this.cache(`f${values}|${dims}`, "floats", () => float32(values, dims));
  }

  /** A small int64 constant; the same values and shape give the same name. */
  ints(values: number[], dims: number[] = [values.length]): string {
    return this.cache(`i${values}|${dims}`, "ints", () => int64(values, dims));
  }

  private cache(key: string, hint: string, make: () => Constant): string {
    const known = this.cached.get(key);
    if (known !== undefined) return known;
    const name = this.constant(hint, make());
    this.cached.set(key, name);
    return name;
  }

  /** Adds a standard operator with one output; `hint` names it. */
  node(op: string, inputs: string[], attributes: Record<string, PlainAttribute> = {}, hint = op): string {
    return this.nodes(op, inputs, 1, attributes, hint)[0] as string;
  }

  /** Adds a standard operator with `count` outputs. */
  nodes(
    op: string,
    inputs: string[],
    count: number,
    attributes: Record<string, PlainAttribute> = {},
    hint = op,
  ): string[] {
    const outputs = Array.from({ length: count }, (_, i) => this.unique(i === 0 ? hint : `${hint}:${i}`));
    this.graph.nodes.push(makeNode(op, inputs, outputs, attributes));
    return outputs;
  }

  /** `Slice` along one axis with step 1: operator sets before 10 have its limits as attributes. */
  slice(x: string, { axis, from, to }: { axis: number; from: number; to: number }, hint = "Slice"): string {
    if (this.opset < 10) return this.node("Slice", [x], { starts: [from], ends: [to], axes: [axis] }, hint);
    return this.node("Slice", [x, this.ints([from]), this.ints([to]), this.ints([axis])], {}, hint);
  }

  /** Copies a node of another graph, its inputs and outputs renamed. */
  copy(node: Node, inputs: string[], outputs: string[]): void {
    for (const output of outputs) this.names.take(output);
    this.graph.nodes.push({ ...node, name: outputs[0] as string, inputs, outputs });
  }

  /** Makes `value` the graph's output `name`. The value is renamed, unless it is an input, a constant or another output. */
  output(value: string, name: string, type: ElementType, shape: Dimension[] | undefined): void {
    this.graph.outputs.push({ name, type, shape });
    if (value === name) return;
    this.names.take(name);
    this.renamed.push({ value, name });
  }

  /** The graph, when all nodes and outputs are there. */
  build(): Graph {
    const { nodes, outputs } = this.graph;
    const made = new Set(nodes.flatMap((node) => node.outputs));
    const kept = new Set(outputs.map(({ name }) => name));
    const names = new Map<string, string>();
    const copies: Node[] = [];
    for (const { value, name } of this.renamed.splice(0)) {
      if (made.has(value) && !kept.has(value) && !names.has(value)) names.set(value, name);
      else copies.push(makeNode("Identity", [names.get(value) ?? value], [name], {}));
    }
    const rename = (name: string) => names.get(name) ?? name;
    if (names.size > 0)
      this.graph.nodes = nodes.map((node) => {
        node.inputs = node.inputs.map(rename);
        node.outputs = node.outputs.map(rename);
        return renameInSubgraphs(node, rename);
      });
    for (const copy of copies) this.graph.nodes.push(copy);
    return this.graph;
  }
}

/** A node of the standard operators from plain attribute values. */
export function makeNode(
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, PlainAttribute>,
): Node {
  const tagged = Object.entries(attributes).map(([name, value]) => [name, tag(value)] as const);
  return { op, domain: "", name: outputs[0] as string, inputs, outputs, attributes: new Map(tagged) };
}

function tag(value: PlainAttribute): Attribute {
  if (typeof value === "number") {
    if (!Number.isInteger(value))
      throw new TypeError(`attribute ${value} is not whole: write float(${value})`);
    return { kind: "int", value };
  }
  if (typeof value === "string") return { kind: "string", value };
  if (Array.isArray(value)) return { kind: "ints", value };
  return "kind" in value ? value : { kind: "tensor", value };
}
