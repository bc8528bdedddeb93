import type { Dimension, Graph } from "../onnx/graph.js";
import { OnnxError, producers } from "../onnx/graph.js";
import { reads } from "../onnx/subgraph.js";

/**
 * The part of a graph behind a value: the value becomes the first input, and what led to it goes.
 * @param before - the inputs that go with it, by default all; others stay
 * @throws {OnnxError} where the outputs also need an input of the graph in another way.
 */
export function cutAt(
  graph: Graph,
  value: string,
  shape: Dimension[],
  before: readonly string[] = graph.inputs.map(({ name }) => name),
): Graph {
  const makers = producers(graph);
  const [needed, kept] = [new Set<string>(), new Set<unknown>()];
  const queue = graph.outputs.map(({ name }) => name);
  const others = graph.inputs.filter(({ name }) => !before.includes(name));
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === "" || name === value || needed.has(name)) continue;
    needed.add(name);
    const node = makers.get(name);
    const isGiven = graph.initializers.has(name) || others.some((input) => input.name === name);
    if (node === undefined && !isGiven)
      throw new OnnxError(`output needs "${name}" beside "${value}", so the graph cannot begin there`);
    if (node === undefined) continue;
    kept.add(node);
    for (const read of reads(node)) queue.push(read);
  }
  return {
    ...graph,
    inputs: [{ name: value, type: "float32", shape }, ...others],
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    nodes: graph.nodes.filter((node) => kept.has(node)),
    metadata: new Map(),
  };
}
