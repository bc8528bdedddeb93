import { Call, constantFacts, type Facts } from "./facts.js";
import { describe, type Graph, type Node, OnnxError, type ValueInfo } from "./graph.js";
import { SHAPE_RULES } from "./shape-rules.js";

/** How {@link inferShapes} takes a node that it cannot follow: `partial` leaves its outputs out. */
export interface InferenceOptions {
  partial?: boolean;
}

/**
 * Types, shapes and small integer contents of every value of a graph.
 *
 * With `partial`, of every value that the rules reach: what an operator without rule makes, and what depends on it, has
 * no entry, unless the file says what it is.
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
  const hints = new Map(graph.values?.map((value) => [value.name, value]));
  for (const node of graph.nodes) {
    const results = factsOf(node, facts, partial);
    for (const [i, name] of node.outputs.entries()) {
      const result = results[i] ?? (partial ? hinted(hints.get(name)) : undefined);
      if (name !== "" && result !== undefined) facts.set(name, result);
    }
  }
  return facts;
}

const hinted = (value: ValueInfo | undefined): Facts | undefined =>
  value?.shape && { type: value.type, shape: value.shape };

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
