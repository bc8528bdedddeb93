import { Call, constantFacts, type Facts } from "./facts.js";
import { describe, type Graph, type Node, OnnxError } from "./graph.js";
import { SHAPE_RULES } from "./shape-rules.js";

/** How {@link inferShapes} takes a node that it cannot follow: `partial` leaves its outputs out. */
export interface InferenceOptions {
  partial?: boolean;
}

/**
 * Types, shapes and small integer contents of every value of a graph.
 *
 * With `partial`, of every value that the rules reach: what an operator without rule makes, and what depends on it, has
 * no entry.
 * @throws {OnnxError} naming the node whose operator has no shape rule or whose inputs do not fit, unless `partial`.
 */
export function inferShapes(graph: Graph, { partial = false }: InferenceOptions = {}): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  for (const [name, value] of graph.initializers) facts.set(name, constantFacts(value));
  for (const { name, type, shape } of graph.inputs) {
    if (shape !== undefined) facts.set(name, { type, shape });
    else if (!partial)
      throw new OnnxError(`input "${name}" has no shape; expected one such as [N, 3, 224, 224]`);
  }
  for (const node of graph.nodes)
    for (const [i, result] of factsOf(node, facts, partial).entries()) {
      const name = node.outputs[i];
      if (name) facts.set(name, result);
    }
  return facts;
}

function factsOf(node: Node, facts: Map<string, Facts>, partial: boolean): Facts[] {
  const inputs = node.inputs.map((name) => (name === "" ? undefined : facts.get(name)));
  try {
    const rule = node.domain === "" ? SHAPE_RULES[node.op] : undefined;
    if (rule === undefined) throw new OnnxError(`${describe(node)}: no shape rule for this operator`, node);
    return rule(new Call(node, inputs));
  } catch (error) {
    if (partial && error instanceof OnnxError) return [];
    throw error;
  }
}
