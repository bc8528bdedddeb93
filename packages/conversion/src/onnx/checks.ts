/** What must hold of a model's graph before anything looks into it. */
import { checkLimit, LIMITS } from "./budget.js";
import type { GraphProto } from "./generated/onnx_pb.js";
import { type Graph, OnnxError } from "./graph.js";
import { graphsOf } from "./subgraph.js";

/**
 * Checks the numbers of nodes and values, those of subgraphs included.
 * @throws {LimitError}
 */
export function checkCounts(graph: GraphProto): void {
  const { nodes, values } = countsOf(graph, 0);
  checkLimit(nodes, LIMITS.nodes, `the model has ${nodes} nodes`);
  checkLimit(values, LIMITS.values, `the model has ${values} inputs, outputs and constants`);
}

interface Counts {
  nodes: number;
  values: number;
}

function countsOf(graph: GraphProto, depth: number): Counts {
  checkLimit(depth, LIMITS.depth, `subgraphs are nested ${depth} deep`);
  const { node, input, output, initializer, sparseInitializer, valueInfo } = graph;
  const lists = [input, output, initializer, sparseInitializer, valueInfo];
  const counts = { nodes: node.length, values: lists.reduce((sum, { length }) => sum + length, 0) };
  for (const { input, output, attribute, opType, name } of node) {
    const operands = input.length + output.length + attribute.length;
    checkLimit(
      operands,
      LIMITS.operands,
      `${opType} node "${name || (output[0] ?? "")}" has ${operands} inputs, outputs and attributes`,
    );
    for (const inner of attribute.flatMap(graphsOf)) {
      const more = countsOf(inner, depth + 1);
      counts.nodes += more.nodes;
      counts.values += more.values;
    }
  }
  return counts;
}

/**
 * Checks that every value has a name and one source, and that nodes come after what they read.
 * @throws {OnnxError}
 */
export function checkGraph(graph: Graph): void {
  for (const what of ["inputs", "outputs"] as const)
    checkLimit(graph[what].length, LIMITS.ends, `the model has ${graph[what].length} ${what}`);
  const known = new Set(["", ...graph.initializers.keys()]);
  for (const { name } of graph.inputs) {
    if (known.has(name))
      throw new OnnxError(
        name === "" ? "an input of the graph has no name" : `two inputs are named "${name}"`,
      );
    known.add(name);
  }
  for (const node of graph.nodes) {
    const label = `${node.op} node "${node.name || node.outputs[0]}"`;
    for (const input of node.inputs)
      if (!known.has(input))
        throw new OnnxError(`${label} reads "${input}", which nothing before it makes`, node);
    for (const output of node.outputs) {
      if (output !== "" && known.has(output))
        throw new OnnxError(`${label} makes "${output}", which is made twice`, node);
      known.add(output);
    }
  }
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (name === "") throw new OnnxError("an output of the graph has no name");
    if (!known.has(name)) throw new OnnxError(`the graph's output "${name}" is made by no node`);
    if (outputs.has(name)) throw new OnnxError(`two outputs are named "${name}"`);
    outputs.add(name);
  }
}
