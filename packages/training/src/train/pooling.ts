import { describe, intAttribute, readWindow, volume } from "@jpeg-domain/conversion/internal";
import { float32 } from "@jpeg-domain/conversion/onnx";
import { inputPadding } from "./convolution.js";
import { type Derivative, known, refuse, spatial } from "./rule.js";

/**
 *   y_nc = (1/P)·Σ_p x_ncp   ⇒   dx_ncp = (1/P)·dy_nc
 *
 * Multiplying by a constant plane spreads the gradient, by broadcasting.
 */
export const globalAveragePool: Derivative = (context, dy) => {
  const size = spatial(context, context.xShapes[0] ?? []);
  context.g.budget.take(4 * volume(size), `${describe(context.node)}: a plane of its image`, context.node);
  const plane = new Float32Array(volume(size)).fill(1 / volume(size));
  return [context.g.node("Mul", [dy, context.g.constant("mean", float32(plane, [1, 1, ...size]))])];
};

/**
 *   y_ncq = (1/m_q)·Σ_k x_nc,sq+k   ⇒   dx_ncp = Σ_{sq+k=p} dy_ncq/m_q
 *
 * a depthwise transposed convolution with a kernel of ones. m_q counts the elements under the window: all of them, or with
 * count_include_pad = 0 only those inside the image.
 */
export const averagePool: Derivative = (context, dy) => {
  const { g, node, xShapes, yShape } = context;
  const [size, outSize] = [spatial(context, xShapes[0] ?? []), spatial(context, yShape)];
  const kernel = node.attributes.get("kernel_shape");
  if (kernel?.kind !== "ints") refuse(context, "kernel_shape is missing");
  const window = readWindow(node, kernel.value, size);
  const { pads, strides, dilations } = window;
  const padded = pads.some((pad) => pad !== 0);
  if (!padded && volume(outSize) === 1 && kernel.value.every((k, i) => k === size[i]))
    return globalAveragePool(context, dy);
  if (intAttribute(node, "ceil_mode", 0) === 1) refuse(context, "ceil_mode has no derivative");
  const channels = known(context, yShape[1], "its channel count");
  const inside = intAttribute(node, "count_include_pad", 0) === 0;
  // The memory of the loop below: a list of numbers, and a list of taps for each.
  const [taps, outputs] = [volume(kernel.value), volume(outSize)];
  const bytes = 12 * outputs * (1 + taps) + 4 * channels * taps;
  g.budget.take(bytes, `${describe(node)}: what its windows count`, node);
  const counts = Array.from({ length: volume(outSize) }, (_, flat) => {
    let rest = flat;
    let count = 1;
    for (let axis = kernel.value.length - 1; axis >= 0; axis--) {
      const [k, length] = [kernel.value[axis] as number, outSize[axis] as number];
      const start = (rest % length) * (strides[axis] as number) - (pads[axis] as number);
      rest = Math.floor(rest / length);
      const taps = Array.from({ length: k }, (_, tap) => start + tap * (dilations[axis] as number));
      count *= inside ? taps.filter((at) => at >= 0 && at < (size[axis] as number)).length : k;
    }
    return 1 / count;
  });
  const mean = g.node("Mul", [dy, g.constant("mean", float32(counts, [1, 1, ...outSize]))]);
  const ones = float32(new Float32Array(channels * volume(kernel.value)).fill(1), [
    channels,
    1,
    ...kernel.value,
  ]);
  return [
    g.node("ConvTranspose", [mean, g.constant("ones", ones)], {
      group: channels,
      strides,
      dilations,
      pads,
      output_padding: inputPadding(window, size, outSize),
    }),
  ];
};
