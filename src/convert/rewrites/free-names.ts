/** The names of a converted model's inputs, kept free: what a model calls by them gives way. */
import type { Graph, Node } from "../../onnx/graph.js";
import { freshNames, namesOf, renameWithinSubgraphs } from "../../onnx/subgraph.js";
import { ConvertError } from "../errors.js";

export interface Freed {
  graph: Graph;
  /** What values are called now, by what they were called. */
  names: ReadonlyMap<string, string>;
}

/**
 * The same graph with none of its values called by `reserved` names. An output that was is renamed too, which is to be
 * told.
 * @throws {ConvertError} where an input of the model beside its image is called so: it stays an input.
 */
export function freeNames(graph: Graph, reserved: readonly string[]): Freed {
  const taken = namesOf(graph);
  const fresh = freshNames(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const names = new Map<string, string>();
  for (const name of reserved)
    if (taken.has(name))
      names.set(name, fresh.unique(outputs.has(name) ? `${name}_output` : `${name}_inner`));
  if (names.size === 0) return { graph, names };
  for (const { name } of graph.inputs.slice(1))
    if (names.has(name))
      throw new ConvertError(
        `the model's input "${name}" has the name of an input of converted models, which are ${reserved.join(", ")}; expected another name`,
      );
  const rename = (name: string) => names.get(name) ?? name;
  const renamed = <T extends { name: string }>(value: T): T => ({ ...value, name: rename(value.name) });
  const nodeOf = (node: Node): Node =>
    renameWithinSubgraphs(
      { ...renamed(node), inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) },
      rename,
    );
  return {
    graph: {
      ...graph,
      inputs: graph.inputs.map(renamed),
      outputs: graph.outputs.map(renamed),
      initializers: new Map([...graph.initializers].map(([name, value]) => [rename(name), value])),
      nodes: graph.nodes.map(nodeOf),
      ...(graph.values && { values: graph.values.map(renamed) }),
    },
    names,
  };
}
