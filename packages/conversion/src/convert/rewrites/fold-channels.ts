/** Exports rearrange channels by reshaping: one `Gather` along the channels does the same. */
import { makeNode } from "../../onnx/builder.js";
import { int64, intAttribute, intsAttribute, type Node, numbers } from "../../onnx/graph.js";
import type { EditableGraph, Rewrite } from "../../onnx/rewrite.js";

/**
 * [N, C, H, W] → [N, g, C / g, H, W] → [N, C / g, g, H, W] → [N, C, H, W]:   y[c] = x[(c mod g) C / g + floor(c / g)]
 */
export const foldShuffle: Rewrite<{ channels: number; groups: number }, [Node, Node, Node]> = {
  name: "shuffle of channels",
  pattern: ["Reshape", "Transpose", "Reshape"],
  check([apart, swapped, joined], graph) {
    const [, channels, ...sides] = graph.shape(apart.inputs[0]);
    const [, groups, perGroup, ...kept] = graph.shape(apart.outputs[0]);
    const [, back, ...after] = graph.shape(joined.outputs[0]);
    const [a, b, c] = [sides, kept, after].map((lengths) => lengths.join());
    if (sides.length !== 2 || a !== b || a !== c || back !== channels) return undefined;
    if (intsAttribute(swapped, "perm")?.join() !== "0,2,1,3,4") return undefined;
    if (typeof groups !== "number" || typeof perGroup !== "number" || groups * perGroup !== channels)
      return undefined;
    // A list of numbers first, then an int64 tensor.
    if (!graph.budget.allows(24 * channels)) return undefined;
    graph.budget.take(24 * channels, `the order of ${channels} channels`, apart);
    return { channels, groups };
  },
  replace({ channels, groups }, [apart, , joined], graph) {
    const source = (to: number) => (to % groups) * (channels / groups) + Math.floor(to / groups);
    return picked(
      apart,
      joined,
      Array.from({ length: channels }, (_, to) => source(to)),
      graph,
    );
  },
};

/** [N, C, H, W] → [N, H, W] → [N, 1, H, W]:   y[0] = x[c] */
export const foldChannel: Rewrite<number[], [Node, Node]> = {
  name: "one channel",
  pattern: ["Gather", "Unsqueeze"],
  check([taken, back], graph) {
    const index = graph.constants.get(taken.inputs[1] ?? "");
    const given = graph.constants.get(back.inputs[1] ?? "");
    const axes = intsAttribute(back, "axes") ?? (given && numbers(given));
    const isChannel = graph.shape(taken.inputs[0]).length === 4 && intAttribute(taken, "axis", 0) === 1;
    return isChannel && index?.dims.length === 0 && axes?.join() === "1" ? numbers(index) : undefined;
  },
  replace: (channel, [taken, back], graph) => picked(taken, back, channel, graph),
};

/** The channels in `order`, in place of the nodes from `first` to `last`. */
function picked({ inputs }: Node, { name, outputs }: Node, order: number[], graph: EditableGraph): Node[] {
  const indices = graph.constant(`${outputs[0]}.channels`, int64(order));
  return [{ ...makeNode("Gather", [inputs[0] as string, indices], outputs, { axis: 1 }), name }];
}
