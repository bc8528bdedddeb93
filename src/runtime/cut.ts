import type { Dimension, Graph } from "../onnx/graph.js";
import { OnnxError, producers } from "../onnx/graph.js";

/**
 * The part of a graph behind a value: the value becomes the only input, and what led to it goes.
 * @throws {OnnxError} where the outputs also need an input of the graph in another way.
 */
export function cutAt(graph: Graph, value: string, shape: Dimension[]): Graph {
  const makers = producers(graph);
  const [needed, kept] = [new Set<string>(), new Set<unknown>()];
  const queue = graph.outputs.map(({ name }) => name);
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === "" || name === value || needed.has(name)) continue;
    needed.add(name);
    const node = makers.get(name);
    if (node === undefined && !graph.initializers.has(name))
      throw new OnnxError(`output needs "${name}" beside "${value}", so the graph cannot begin there`);
    if (node === undefined) continue;
    kept.add(node);
    queue.push(...node.inputs);
  }
  return {
    ...graph,
    inputs: [{ name: value, type: "float32", shape }],
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    nodes: graph.nodes.filter((node) => kept.has(node)),
    metadata: new Map(),
  };
}
