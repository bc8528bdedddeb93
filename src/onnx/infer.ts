import { Call, constantFacts, type Facts } from "./facts.js";
import { describe, type Graph, OnnxError } from "./graph.js";
import { SHAPE_RULES } from "./shape-rules.js";

/**
 * Types, shapes and small integer contents of every value of a graph.
 * @throws {OnnxError} naming the node whose operator has no shape rule or whose inputs do not fit.
 */
export function inferShapes(graph: Graph): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  for (const [name, value] of graph.initializers) facts.set(name, constantFacts(value));
  for (const { name, type, shape } of graph.inputs) {
    if (shape === undefined)
      throw new OnnxError(`input "${name}" has no shape; expected one such as [N, 3, 224, 224]`);
    facts.set(name, { type, shape });
  }
  for (const node of graph.nodes) {
    const rule = node.domain === "" ? SHAPE_RULES[node.op] : undefined;
    if (rule === undefined) throw new OnnxError(`${describe(node)}: no shape rule for this operator`, node);
    const inputs = node.inputs.map((name) => (name === "" ? undefined : facts.get(name)));
    for (const [i, result] of rule(new Call(node, inputs)).entries()) {
      const name = node.outputs[i];
      if (name) facts.set(name, result);
    }
  }
  return facts;
}
