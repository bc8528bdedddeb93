/**
 * Convolution:
 *
 *   y[m, s', r'] = Σ_n Σ_t Σ_u  w[m, n, t, u] x[n, σ s' - p + δ t, σ r' - p + δ u]      (stride σ, pads p, dilation δ)
 */
import { readWindow } from "../../onnx/window.js";
import { convolve } from "../domain/algorithms.js";
import type { Convolution } from "../layers.js";
import type { Family, NodeContext } from "./context.js";

/** The window that a node moves over its feature map. */
export function windowOf(
  context: NodeContext,
  kernel: number[],
): Pick<Convolution, "name" | "window" | "input"> {
  if (kernel.length !== 2) context.refuse(`its kernel has ${kernel.length} axes, expected 2`);
  const input = context.map();
  const window = readWindow(context.node, kernel, [input.height, input.width]);
  if (window.pads.some((pad) => pad < 0)) context.refuse(`it pads by [${window.pads.join(", ")}]`);
  return { name: context.node.outputs[0] as string, window, input };
}

export const CONVOLUTION: Family<Convolution> = {
  read: {
    Conv(context) {
      const weight = context.required(1);
      if (weight.data.length === 0) context.refuse("its weight is empty");
      return {
        kind: "convolution",
        ...context.base,
        ...windowOf(context, weight.dims.slice(2)),
        weight,
        bias: context.constant(2),
        group: context.int("group", 1),
      };
    },
  },
  lower: { convolution: convolve },
};
