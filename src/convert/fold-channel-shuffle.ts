/**
 * A shuffle of channels as exports write it, `[N, C, H, W]` → `[N, g, C / g, H, W]` → `[N, C / g, g, H, W]` → `[N, C, H, W]`,
 * is one `Gather` along the channels: y[c] = x[(c mod g) C / g + floor(c / g)].
 */
import { makeNode } from "../onnx/builder.js";
import { type Dimension, type Graph, int64, intsAttribute, type Node } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";

/** The same graph with each shuffle of channels as a `Gather`. */
export function foldChannelShuffle(graph: Graph): Graph {
  const facts = inferShapes(graph, { partial: true });
  const shape = (name: string | undefined): Dimension[] => facts.get(name ?? "")?.shape ?? [];
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  for (const { name } of graph.outputs) readers.delete(name);
  const onlyReader = (node: Node | undefined, op: string): Node | undefined => {
    const [reader, ...others] = readers.get(node?.outputs[0] ?? "") ?? [];
    return others.length === 0 && reader?.domain === "" && reader.op === op ? reader : undefined;
  };

  const initializers = new Map(graph.initializers);
  const replaced = new Map<Node, Node | undefined>();
  for (const apart of graph.nodes) {
    if (apart.op !== "Reshape" || apart.domain !== "") continue;
    const swapped = onlyReader(apart, "Transpose");
    const joined = onlyReader(swapped, "Reshape");
    if (swapped === undefined || joined === undefined) continue;
    const [, channels, ...sides] = shape(apart.inputs[0]);
    const [, groups, perGroup, ...rest] = shape(apart.outputs[0]);
    const [, back, ...after] = shape(joined.outputs[0]);
    const same =
      sides.length === 2 && rest.join() === sides.join() && after.join() === sides.join() && back === channels;
    if (!same || intsAttribute(swapped, "perm")?.join() !== "0,2,1,3,4") continue;
    if (typeof groups !== "number" || typeof perGroup !== "number" || groups * perGroup !== channels) continue;

    const order = Array.from({ length: channels }, (_, c) => (c % groups) * perGroup + Math.floor(c / groups));
    const name = `${joined.outputs[0]}.order`;
    initializers.set(name, int64(order));
    replaced.set(apart, undefined);
    replaced.set(swapped, undefined);
    const gather = makeNode("Gather", [apart.inputs[0] as string, name], joined.outputs, { axis: 1 });
    replaced.set(joined, { ...gather, name: joined.name });
  }
  const nodes = graph.nodes.flatMap((node) => (replaced.has(node) ? (replaced.get(node) ?? []) : node));
  return { ...graph, nodes, initializers };
}
