import { constantOf, type Facts } from "./facts.js";
import { type Constant, type Graph, int64, type Node, producers } from "./graph.js";
import { type InferenceOptions, inferShapes } from "./infer.js";

/**
 * The same graph without what only describes it: `Constant` nodes and integer arithmetic on shapes become
 * initialisers, the targets of `Reshape` too where they only repeat the batch, `Identity` and inference-time
 * `Dropout` vanish, and so does what no output needs.
 * @throws {OnnxError} as {@link inferShapes} does.
 */
export function foldConstants(graph: Graph, options: InferenceOptions = {}): Graph {
  const facts = inferShapes(graph, options);
  const initializers = new Map(graph.initializers);
  const alias = new Map<string, string>();
  const resolve = (name: string) => alias.get(name) ?? name;
  const outputs = new Set(graph.outputs.map(({ name }) => name));

  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = { ...original, inputs: original.inputs.map(resolve) };
    const result = node.outputs[0] as string;
    const constant = fold(node, facts.get(result));
    if (constant !== undefined) initializers.set(result, constant);
    else if ((node.op === "Identity" || node.op === "Dropout") && !outputs.has(result))
      alias.set(result, node.inputs[0] as string);
    else nodes.push(node.op === "Reshape" ? withConstantTarget(node, facts, initializers) : node);
  }
  return removeUnused({ ...graph, nodes, initializers });
}

/** A `Reshape` whose target names lengths of its input, as `[n, -1]` does, with 0 ("as it is") for each name. */
function withConstantTarget(
  node: Node,
  facts: Map<string, Facts>,
  initializers: Map<string, Constant>,
): Node {
  const [data, target] = node.inputs as [string, string];
  const shape = facts.get(data)?.shape;
  const wanted = facts.get(target)?.contents;
  if (initializers.has(target) || wanted === undefined || shape === undefined) return node;
  const resolved = wanted.map((length, i) =>
    typeof length === "number" ? length : length === shape[i] ? 0 : Number.NaN,
  );
  if (resolved.some(Number.isNaN)) return node;
  const name = `${node.outputs[0]}_shape`;
  initializers.set(name, int64(resolved));
  return { ...node, inputs: [data, name] };
}

function fold(node: Node, facts: Facts | undefined): Constant | undefined {
  if (node.op === "Constant") return constantOf(node);
  if (!facts?.contents?.every((value) => typeof value === "number")) return undefined;
  return int64(facts.contents as number[], facts.shape as number[]);
}

/** Drops the nodes and initialisers that no output depends on. */
export function removeUnused(graph: Graph): Graph {
  const made = producers(graph);
  const needed = new Set<string>();
  const open = graph.outputs.map(({ name }) => name);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    open.push(...(made.get(name)?.inputs ?? []));
  }
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => node.outputs.some((output) => needed.has(output))),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
  };
}
