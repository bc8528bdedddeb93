import { makeNode } from "../../onnx/builder.js";
import { float32, int64, intAttribute, type Node } from "../../onnx/graph.js";
import type { EditableGraph, GraphRewrite, Replacement } from "../../onnx/rewrite.js";

/** The maps of a concatenation, and the zeros around them. */
interface Padding {
  maps: string[];
  pads: number[];
}

/**
 * Concat(0, x, y, 0) = Pad(Concat(x, y)) along the channels of maps `[N, C, H, W]`. Networks that add channels of zeros
 * have it.
 */
export const foldZeros: GraphRewrite = {
  name: "channels of zeros",
  analyse(graph) {
    const known = new Map<string, number | undefined>();
    const zeros = (name: string) => {
      if (!known.has(name)) known.set(name, zeroChannels(name, graph));
      return known.get(name);
    };
    const check = ([node]: readonly Node[]): Padding | undefined =>
      node && joinsChannels(node, graph) ? paddingOf(node, node.inputs.map(zeros)) : undefined;
    return { pattern: ["Concat"], check, replace };
  },
};

function replace({ maps, pads }: Padding, [node]: [Node], graph: EditableGraph): Replacement {
  const { name, outputs } = node;
  const [map, ...others] = maps as [string, ...string[]];
  const isOne = others.length === 0;
  const joined = isOne ? map : graph.unique(`${outputs[0]}.maps`);
  // Operator sets before 11 have the numbers as an attribute.
  const padding =
    graph.opset < 11
      ? makeNode("Pad", [joined], outputs, { pads })
      : makeNode("Pad", [joined, graph.constant(`${outputs[0]}.pads`, int64(pads))], outputs, {});
  return [...(isOne ? [] : [makeNode("Concat", maps, [joined], { axis: 1 })]), { ...padding, name }];
}

const joinsChannels = (node: Node, graph: EditableGraph): boolean =>
  graph.shape(node.outputs[0]).length === 4 && [1, -3].includes(intAttribute(node, "axis", 0));

/** The maps, if zeros are only before or after them. */
function paddingOf({ inputs }: Node, zeros: (number | undefined)[]): Padding | undefined {
  const [from, to] = [zeros.indexOf(undefined), zeros.lastIndexOf(undefined) + 1];
  const isAround = from >= 0 && to - from < zeros.length;
  if (!isAround || zeros.slice(from, to).some((count) => count !== undefined)) return undefined;
  const sum = (counts: (number | undefined)[]) => counts.reduce<number>((all, count = 0) => all + count, 0);
  const pads = [0, sum(zeros.slice(0, from)), 0, 0, 0, sum(zeros.slice(to)), 0, 0];
  return { maps: inputs.slice(from, to), pads };
}

/** The number of channels of a value that is all zeros. */
function zeroChannels(name: string, graph: EditableGraph): number | undefined {
  const channels = graph.shape(name)[1];
  const data = (fillingOf(graph.producer(name)) ?? graph.constants.get(name))?.data as
    | Float32Array
    | undefined;
  const isZero = data?.every((value: number | bigint) => Number(value) === 0);
  return isZero && typeof channels === "number" ? channels : undefined;
}

const ZERO = float32([0]);

/** The value that a `ConstantOfShape` repeats. */
function fillingOf(node: Node | undefined) {
  if (node?.op !== "ConstantOfShape" || node.domain !== "") return undefined;
  const value = node.attributes.get("value");
  return value?.kind === "tensor" ? value.value : ZERO;
}
