import { type Constant, describe, float32, floats, type Node } from "../../onnx/graph.js";
import type { Rewrite } from "../../onnx/rewrite.js";
import { readBatchNormalization } from "../operators/linear.js";

interface Folding {
  weight: Constant;
  bias: Constant | undefined;
  scale: number[];
  shift: number[];
}

/**
 * BatchNormalization(Conv(x; w, b)) = Conv(x; s w, s b + t),   s = gamma / sqrt(variance + eps),   t = beta - s mean
 *
 * Computed once in float64, it saves every activation two roundings.
 */
export const foldBatchNormalization: Rewrite<Folding, [Node, Node]> = {
  name: "batch normalisation into convolution",
  pattern: ["Conv", "BatchNormalization"],
  check([convolution, normalization], graph) {
    const { constants, budget } = graph;
    const layer = readBatchNormalization(normalization, constants);
    const [, w = "", b = ""] = convolution.inputs;
    const [weight, bias] = [constants.get(w), constants.get(b)];
    if (layer === undefined || weight?.type !== "float32" || (b && !bias)) return undefined;
    const { scale, shift } = layer;
    if (weight.dims[0] !== scale.length || weight.data.length === 0) return undefined;
    // The folded weight replaces the former one, unless something else reads that.
    const bytes = graph.consumers(w).size > 1 ? weight.data.byteLength : 0;
    if (!budget.allows(bytes)) return undefined;
    budget.take(bytes, `the weight of ${describe(convolution)}`, convolution);
    return { weight, bias, scale, shift };
  },
  replace({ weight, bias, scale, shift }, [convolution, { outputs }], graph) {
    const perChannel = weight.data.length / scale.length;
    const scaled = floats(weight).map((value, i) => value * (scale[Math.floor(i / perChannel)] as number));
    const moved = shift.map((t, m) => t + (scale[m] as number) * (bias ? (floats(bias)[m] as number) : 0));
    const parameters = [
      graph.constant(`${outputs[0]}.weight`, float32(scaled, weight.dims)),
      graph.constant(`${outputs[0]}.bias`, float32(moved)),
    ];
    return [{ ...convolution, inputs: [convolution.inputs[0] as string, ...parameters], outputs }];
  },
};
