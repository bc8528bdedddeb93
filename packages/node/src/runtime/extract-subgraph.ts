import { type Dimension, type Graph, OnnxError } from "@jpeg-domain/conversion";
import { GraphIndex } from "@jpeg-domain/conversion/internal";

/**
 * Extracts the subgraph from a value to the outputs: the value becomes the first input, and the nodes before it go.
 * @param before - the graph inputs that go too, by default all; the others stay
 * @throws {OnnxError} if the outputs also need one of these inputs by another path
 */
export function extractSubgraph(
  graph: Graph,
  value: string,
  shape: Dimension[],
  before: readonly string[] = graph.inputs.map(({ name }) => name),
): Graph {
  const index = new GraphIndex(graph);
  const [needed, kept] = [new Set<string>(), new Set<unknown>()];
  const queue = graph.outputs.map(({ name }) => name);
  const others = graph.inputs.filter(({ name }) => !before.includes(name));
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === "" || name === value || needed.has(name)) continue;
    needed.add(name);
    const node = index.producer(name);
    const isGiven = graph.initializers.has(name) || others.some((input) => input.name === name);
    if (node === undefined && !isGiven)
      throw new OnnxError(
        `the outputs need "${name}" as well as "${value}", so the graph cannot start there`,
      );
    if (node === undefined) continue;
    kept.add(node);
    for (const read of index.reads(node)) queue.push(read);
  }
  return {
    ...graph,
    inputs: [{ name: value, type: "float32", shape }, ...others],
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    nodes: graph.nodes.filter((node) => kept.has(node)),
    metadata: new Map(),
  };
}
