/**
 * Batch normalisation right after a convolution is part of it: scale (w * x + b) + shift = (scale w) * x + (scale b + shift).
 * Done here in float64, once, it spares every activation two roundings.
 */
import { budgetOf } from "../../onnx/budget.js";
import { describe, float32, floats, type Graph, type Node, producers } from "../../onnx/graph.js";
import { reads, uniqueNames } from "../../onnx/subgraph.js";
import { affine } from "../layers.js";
import { readBatchNormalization } from "../operators/batch-normalization.js";

/** The same graph with each batch normalisation folded into the convolution before it, where nothing else reads that. */
export function foldBatchNormalization(graph: Graph, budget = budgetOf(graph)): Graph {
  const made = producers(graph);
  const readers = new Map<string, number>();
  for (const name of [...graph.nodes.flatMap(reads), ...graph.outputs.map(({ name }) => name)])
    readers.set(name, (readers.get(name) ?? 0) + 1);
  const initializers = new Map(graph.initializers);
  const unique = uniqueNames(graph);
  const folded = new Set<Node>();

  const nodes = graph.nodes.map((node) => {
    const convolution = made.get(node.inputs[0] as string);
    const layer =
      node.op === "BatchNormalization" && node.domain === ""
        ? readBatchNormalization(node, graph.initializers)
        : undefined;
    if (
      layer?.gamma.type !== "float32" ||
      convolution?.op !== "Conv" ||
      convolution.domain !== "" ||
      readers.get(node.inputs[0] as string) !== 1
    )
      return node;
    const [x, w, b] = convolution.inputs as [string, string, string?];
    const weight = initializers.get(w);
    const bias = b ? initializers.get(b) : undefined;
    if (weight?.type !== "float32" || (b && bias === undefined)) return node;

    const { scale, shift } = affine(layer);
    if (weight.dims[0] !== scale.length || weight.data.length === 0) return node;
    // A weight of one convolution alone is replaced by the folded one; one that others read too is not.
    const bytes = (readers.get(w) ?? 0) > 1 ? weight.data.byteLength : 0;
    if (!budget.allows(bytes)) return node;
    budget.take(bytes, `the weight of ${describe(convolution)}`, convolution);
    const perChannel = weight.data.length / scale.length;
    const scaled = floats(weight).map((value, i) => value * (scale[Math.floor(i / perChannel)] as number));
    const moved = shift.map(
      (value, m) => value + (scale[m] as number) * (bias ? (floats(bias)[m] as number) : 0),
    );
    const output = node.outputs[0] as string;
    const names = [unique(`${output}.weight`), unique(`${output}.bias`)] as const;
    initializers.set(names[0], float32(scaled, weight.dims));
    initializers.set(names[1], float32(moved));
    folded.add(convolution);
    return { ...convolution, inputs: [x, ...names], outputs: [output] };
  });
  return { ...graph, nodes: nodes.filter((node) => !folded.has(node)), initializers };
}
