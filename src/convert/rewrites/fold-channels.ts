/**
 * Rearrangements of channels as exports write them, by way of other shapes, as one `Gather` along the channels:
 *
 *   shuffle     [N, C, H, W] → [N, g, C / g, H, W] → [N, C / g, g, H, W] → [N, C, H, W]:  y[c] = x[(c mod g) C / g + floor(c / g)]
 *   one alone   [N, C, H, W] → [N, H, W] → [N, 1, H, W]:  y[0] = x[c]
 */

import { budgetOf } from "../../onnx/budget.js";
import { makeNode } from "../../onnx/builder.js";
import {
  type Dimension,
  type Graph,
  int64,
  intAttribute,
  intsAttribute,
  type Node,
  numbers,
} from "../../onnx/graph.js";
import { inferShapes } from "../../onnx/infer.js";
import { uniqueNames } from "../../onnx/subgraph.js";

/** The nodes from `first` on that a rearrangement is made of, and the channels that it picks. */
interface Rearrangement {
  nodes: Node[];
  order: number[];
}

/** The same graph with each rearrangement of channels as a `Gather`. */
export function foldChannels(graph: Graph, budget = budgetOf(graph)): Graph {
  const facts = inferShapes(graph, { partial: true, budget: budget.whole() });
  const shape = (name = ""): Dimension[] => facts.get(name)?.shape ?? [];
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const input of node.inputs) {
      const known = readers.get(input);
      if (known) known.push(node);
      else readers.set(input, [node]);
    }
  for (const { name } of graph.outputs) readers.delete(name);
  const initializers = new Map(graph.initializers);

  const unique = uniqueNames(graph);
  const replaced = new Map<Node, Node | undefined>();
  for (const first of graph.nodes) {
    const found = shuffle(first) ?? oneAlone(first);
    if (found === undefined) continue;
    const last = found.nodes.at(-1) as Node;
    const name = unique(`${last.outputs[0]}.channels`);
    initializers.set(name, int64(found.order));
    for (const node of found.nodes) replaced.set(node, undefined);
    const gather = makeNode("Gather", [first.inputs[0] as string, name], last.outputs, { axis: 1 });
    replaced.set(last, { ...gather, name: last.name });
  }
  const nodes = graph.nodes.flatMap((node) => (replaced.has(node) ? (replaced.get(node) ?? []) : node));
  return { ...graph, nodes, initializers };

  /** The node that reads the output of `node`, if it is one alone and of this operator. */
  function next(node: Node, op: string): Node | undefined {
    const [reader, ...others] = readers.get(node.outputs[0] ?? "") ?? [];
    return others.length === 0 && reader?.domain === "" && reader.op === op ? reader : undefined;
  }

  function shuffle(apart: Node): Rearrangement | undefined {
    const swapped = apart.op === "Reshape" && apart.domain === "" ? next(apart, "Transpose") : undefined;
    const joined = swapped && next(swapped, "Reshape");
    if (joined === undefined || swapped === undefined) return undefined;
    const [, channels, ...sides] = shape(apart.inputs[0]);
    const [, groups, perGroup, ...kept] = shape(apart.outputs[0]);
    const [, back, ...after] = shape(joined.outputs[0]);
    const [a, b, c] = [sides, kept, after].map((lengths) => lengths.join());
    if (sides.length !== 2 || a !== b || a !== c || back !== channels) return undefined;
    if (intsAttribute(swapped, "perm")?.join() !== "0,2,1,3,4") return undefined;
    if (typeof groups !== "number" || typeof perGroup !== "number" || groups * perGroup !== channels)
      return undefined;
    // As a list of numbers first.
    if (!budget.allows(24 * channels)) return undefined;
    budget.take(24 * channels, `the order of ${channels} channels`, apart);
    const order = Array.from(
      { length: channels },
      (_, to) => (to % groups) * perGroup + Math.floor(to / groups),
    );
    return { nodes: [apart, swapped, joined], order };
  }

  function oneAlone(picked: Node): Rearrangement | undefined {
    const index = graph.initializers.get(picked.inputs[1] ?? "");
    if (picked.op !== "Gather" || picked.domain !== "" || index?.dims.length !== 0) return undefined;
    if (shape(picked.inputs[0]).length !== 4 || intAttribute(picked, "axis", 0) !== 1) return undefined;
    const back = next(picked, "Unsqueeze");
    const axes = back && (intsAttribute(back, "axes") ?? given(back.inputs[1]));
    if (back === undefined || axes?.join() !== "1") return undefined;
    return { nodes: [picked, back], order: numbers(index) };
  }

  function given(name = ""): number[] | undefined {
    const constant = graph.initializers.get(name);
    return constant && numbers(constant);
  }
}
