/** Channels of zeros that are concatenated to a map, as networks that grow by them have it, as one `Pad`. */
import { budgetOf } from "../../onnx/budget.js";
import { makeNode } from "../../onnx/builder.js";
import type { Facts } from "../../onnx/facts.js";
import { removeUnused } from "../../onnx/fold.js";
import { type Constant, type Graph, int64, intAttribute, type Node, producers } from "../../onnx/graph.js";
import { inferShapes } from "../../onnx/infer.js";
import { uniqueNames } from "../../onnx/subgraph.js";

/** The same graph with such a `Pad` for each concatenation of maps with zeros before or after them. */
export function foldZeros(graph: Graph, budget = budgetOf(graph)): Graph {
  const facts = inferShapes(graph, { partial: true, budget: budget.whole() });
  const makers = producers(graph);
  const unique = uniqueNames(graph);
  const known = new Map<string, number | undefined>();
  const zeros = (name: string) => {
    if (!known.has(name))
      known.set(name, zeroChannels(facts.get(name), graph.initializers.get(name), makers.get(name)));
    return known.get(name);
  };
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node) => {
    const isMap = facts.get(node.outputs[0] ?? "")?.shape.length === 4;
    const split = isMap && joinsChannels(node) ? splitOff(node.inputs.map(zeros)) : undefined;
    if (split === undefined) return node;
    const { from, to, pads } = split;
    const maps = node.inputs.slice(from, to);
    const [output] = node.outputs as [string];
    const joined = maps.length === 1 ? (maps[0] as string) : unique(`${output}.maps`);
    const joining = maps.length === 1 ? [] : [makeNode("Concat", maps, [joined], { axis: 1 })];
    // Operator sets before 11 have the numbers as an attribute.
    const asAttribute = (graph.opsets.get("") ?? 0) < 11;
    const list = asAttribute ? "" : unique(`${output}.pads`);
    if (!asAttribute) initializers.set(list, int64(pads));
    const inputs = asAttribute ? [joined] : [joined, list];
    const padding = makeNode("Pad", inputs, [output], asAttribute ? { pads } : {});
    return [...joining, { ...padding, name: node.name }];
  });
  return removeUnused({ ...graph, nodes, initializers });
}

function joinsChannels(node: Node): boolean {
  return node.op === "Concat" && node.domain === "" && [1, -3].includes(intAttribute(node, "axis", 0));
}

/** Where the maps among the parts of a concatenation begin and end, if there are zeros before or after them alone. */
function splitOff(zeros: (number | undefined)[]): { from: number; to: number; pads: number[] } | undefined {
  const [from, to] = [zeros.indexOf(undefined), zeros.lastIndexOf(undefined) + 1];
  const isAround = from >= 0 && to - from < zeros.length;
  if (!isAround || zeros.slice(from, to).some((count) => count !== undefined)) return undefined;
  const sum = (counts: (number | undefined)[]) => counts.reduce<number>((all, count = 0) => all + count, 0);
  return { from, to, pads: [0, sum(zeros.slice(0, from)), 0, 0, 0, sum(zeros.slice(to)), 0, 0] };
}

/** How many channels of zeros a value is, if it is that. */
function zeroChannels(
  facts: Facts | undefined,
  constant: Constant | undefined,
  maker: Node | undefined,
): number | undefined {
  const channels = facts?.shape[1];
  const filling = maker?.op === "ConstantOfShape" && maker.domain === "" ? fillingOf(maker) : constant;
  const isZero =
    filling !== undefined &&
    (filling.data as Float32Array).every((value: number | bigint) => Number(value) === 0);
  return isZero && typeof channels === "number" ? channels : undefined;
}

const ZERO: Constant = { type: "float32", dims: [1], data: new Float32Array(1) };

function fillingOf({ attributes }: Node): Constant {
  const value = attributes.get("value");
  return value?.kind === "tensor" ? value.value : ZERO;
}
