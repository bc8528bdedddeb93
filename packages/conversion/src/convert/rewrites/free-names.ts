/** The names of a converted model's inputs are reserved: values of the model that have them get others. */
import type { Graph } from "../../onnx/graph.js";
import { freshNames, renameWithinSubgraphs } from "../../onnx/subgraph.js";

/**
 * The same graph in which no value has a `reserved` name, and the new names by the former ones. Outputs are renamed too:
 * users must be told.
 */
export function freeNames(
  graph: Graph,
  reserved: readonly string[],
): { graph: Graph; names: ReadonlyMap<string, string> } {
  const fresh = freshNames(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const names = new Map<string, string>();
  for (const name of reserved)
    if (fresh.has(name))
      names.set(name, fresh.unique(outputs.has(name) ? `${name}_output` : `${name}_inner`));
  if (names.size === 0) return { graph, names };
  const rename = (name: string) => names.get(name) ?? name;
  const renamed = <T extends { name: string }>(value: T): T => ({ ...value, name: rename(value.name) });
  const nodes = graph.nodes.map((node) => {
    const [inputs, outputs] = [node.inputs.map(rename), node.outputs.map(rename)];
    return renameWithinSubgraphs({ ...renamed(node), inputs, outputs }, rename);
  });
  const initializers = new Map([...graph.initializers].map(([name, value]) => [rename(name), value]));
  const [inputs, results] = [graph.inputs.map(renamed), graph.outputs.map(renamed)];
  const values = graph.values && { values: graph.values.map(renamed) };
  return { graph: { ...graph, inputs, outputs: results, initializers, nodes, ...values }, names };
}
