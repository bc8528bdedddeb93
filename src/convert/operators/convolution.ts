/**
 * Convolution, and average pooling as the convolution it is.
 *
 *   y[m, s', r'] = Σ_n Σ_t Σ_u  w[m, n, t, u] x[n, σ s' - p + δ t, σ r' - p + δ u]      (stride σ, pads p, dilation δ)
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import type { Constant } from "../../onnx/graph.js";
import { float32, floats, intAttribute, intsAttribute, volume } from "../../onnx/graph.js";
import { readWindow } from "../../onnx/window.js";
import { filled } from "../domain/padding.js";
import type { Convolution } from "../layers.js";
import type { Conversion, Rule, Value } from "../rule.js";

export const convolution: Rule = (call) => {
  const weight = call.requiredConstant(1);
  const kernel = weight.dims.slice(2);
  return convolve(call, weight, call.constant(2), intAttribute(call.node, "group", 1), kernel);
};

/** An average over a window that is not the whole map: a depthwise convolution with equal weights. */
export const averagePooling: Rule = (call) => {
  const { channels } = call.inputSize();
  const kernel = intsAttribute(call.node, "kernel_shape") ?? [];
  const padded = intsAttribute(call.node, "pads")?.some((pad) => pad !== 0);
  if (padded && intAttribute(call.node, "count_include_pad", 0) === 0)
    call.refuse("its average leaves the padding out, so its weights differ at the border");
  if (intAttribute(call.node, "ceil_mode", 0) === 1)
    call.refuse("ceil_mode = 1 lets windows hang over the border");
  const weight = filled(call.g, [channels, 1, ...kernel], 1 / volume(kernel));
  return convolve(call, weight, undefined, channels, kernel);
};

function convolve(
  call: Conversion,
  weight: Constant,
  bias: Constant | undefined,
  group: number,
  kernel: number[],
): Value {
  if (kernel.length !== 2) call.refuse(`its kernel has ${kernel.length} axes, expected 2`);
  if (weight.data.length === 0) call.refuse("its weight is empty");
  const [input, output] = [call.inputSize(), call.outputSize()];
  const window = readWindow(call.node, kernel, [input.height, input.width]);
  const [down, across] = window.strides as [number, number];
  if (
    call.plan.wholeBlocks &&
    (output.height * down !== input.height || output.width * across !== input.width)
  )
    call.refuse(
      `stride ${down}x${across} makes ${output.height}x${output.width} of ${input.height}x${input.width}; ` +
        `expected ${input.height / down}x${input.width / across}, so that output blocks stand on whole input blocks`,
    );
  const name = call.node.outputs[0] as string;
  return call.result(
    call.plan.convolution(call.map(0), { name, weight, bias, group, window, input, output }),
  );
}

/** The weight of a grouped convolution as one of a single group, zero across groups: `[M, N, kh, kw]`. */
export function ungrouped(g: GraphBuilder, { name, weight, group }: Convolution): Constant {
  if (group === 1) return weight;
  const [m, perGroup, ...kernel] = weight.dims as [number, number, ...number[]];
  const taps = volume(kernel);
  const source = floats(weight);
  g.budget.take(group * weight.data.byteLength, `"${name}": the weight of its ${group} groups as one`);
  const full = new Float32Array(m * perGroup * group * taps);
  for (let out = 0; out < m; out++) {
    const first = Math.floor(out / (m / group)) * perGroup;
    full.set(
      source.subarray(out * perGroup * taps, (out + 1) * perGroup * taps),
      (out * perGroup * group + first) * taps,
    );
  }
  return float32(full, [m, perGroup * group, ...kernel]);
}

/** Multiplications of the spatial convolution for one image. */
export const multiplyAdds = ({ weight, output }: Convolution): number =>
  volume(weight.dims) * output.height * output.width;
