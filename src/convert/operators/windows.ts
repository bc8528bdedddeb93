/**
 * Convolution, average pooling and padding:
 *
 *   y[m, s', r'] = Σ_n Σ_t Σ_u  w[m, n, t, u] x[n, σ s' - p + δ t, σ r' - p + δ u]      (stride σ, pads p, dilation δ)
 *
 * An average over a window is the convolution of each channel with equal weights. Where windows lack pixels that do not
 * count (count_include_pad = 0, ceil_mode), the weights differ from place to place, and the pixels are needed.
 */
import { intAttribute, intsAttribute, numbers, stringAttribute, volume } from "../../onnx/graph.js";
import { readWindow } from "../../onnx/window.js";
import { filled } from "../domain/padding.js";
import type { Convolution } from "../layers.js";
import {
  type CoefficientCall,
  type CoefficientRule,
  constantOf,
  mapOf,
  outputSize,
  refuse,
  requiredConstant,
} from "./call.js";

function layerOf(
  call: CoefficientCall,
  parameters: Pick<Convolution, "weight" | "bias" | "group">,
): Convolution {
  const kernel = parameters.weight.dims.slice(2);
  if (kernel.length !== 2) refuse(call, `its kernel has ${kernel.length} axes, expected 2`);
  if (parameters.weight.data.length === 0) refuse(call, "its weight is empty");
  const input = mapOf(call).size;
  const window = readWindow(call.node, kernel, [input.height, input.width]);
  if (window.pads.some((pad) => pad < 0)) refuse(call, `it pads by [${window.pads.join(", ")}]`);
  return { name: call.node.outputs[0] as string, ...parameters, window, input, output: outputSize(call) };
}

const convolution: CoefficientRule = (call) => {
  const weight = requiredConstant(call, 1);
  const group = intAttribute(call.node, "group", 1);
  const layer = layerOf(call, { weight, bias: constantOf(call, 2), group });
  return [call.domain.convolve(call.domain, mapOf(call), layer)];
};

const globalAverage: CoefficientRule = (call) => [{ tensor: call.domain.mean(mapOf(call)) }];

const averagePooling: CoefficientRule = (call) => {
  const { node, domain } = call;
  const x = mapOf(call);
  const { channels, height, width } = x.size;
  const kernel = intsAttribute(node, "kernel_shape") ?? [];
  const weight = filled(domain.g, [channels, 1, ...kernel], 1 / volume(kernel));
  const layer = layerOf(call, { weight, bias: undefined, group: channels });
  const { pads, dilations } = layer.window;
  const padded = pads.some((pad) => pad !== 0);
  const { output } = layer;
  if (kernel.join() === `${height},${width}` && output.height * output.width === 1 && !padded)
    return globalAverage(call);
  const even = !(padded && intAttribute(node, "count_include_pad", 0) === 0) && !overhangs(layer);
  if (even) return [domain.average(domain, x, layer)];
  if (intAttribute(node, "ceil_mode", 0) === 1 && beginsBeyond(layer))
    refuse(
      call,
      "with ceil_mode its last window would begin beyond the map: runtimes differ on whether it is there",
    );
  if (dilations.some((step) => step !== 1)) refuse(call, "it is dilated and leaves the padding out");
  const name = domain.g.unique(layer.name);
  domain.g.copy(node, [domain.pixels(x)], [name]);
  return [domain.ofPixels(name, output)];
};

/** Along each axis, the pixels with padding, and the window's extent and stride. */
const sidesOf = ({ window: { kernel, strides, dilations, pads }, input, output }: Convolution) =>
  ([0, 1] as const).map((axis) => ({
    length: (axis === 0 ? input.height : input.width) + (pads[axis] as number) + (pads[axis + 2] as number),
    steps: axis === 0 ? output.height : output.width,
    extent: (dilations[axis] as number) * ((kernel[axis] as number) - 1) + 1,
    stride: strides[axis] as number,
  }));

/** Whether the last window reaches beyond the padding, as with ceil_mode it may. */
const overhangs = (layer: Convolution) =>
  sidesOf(layer).some(({ length, steps, extent, stride }) => stride * (steps - 1) + extent > length);

/** Whether ceil_mode would have one window more, if it did not begin beyond the map. */
const beginsBeyond = (layer: Convolution) =>
  sidesOf(layer).some(
    ({ length, steps, extent, stride }) => Math.ceil((length - extent) / stride) + 1 > steps,
  );

/** A mean over height and width; any other reduction leaves the feature map's shape. */
const reduceMean: CoefficientRule = (call) => {
  const { node, domain } = call;
  const constant = constantOf(call, 1);
  const axes = (constant ? numbers(constant) : intsAttribute(node, "axes"))
    ?.map((axis) => (axis < 0 ? axis + 4 : axis))
    .sort();
  if (axes?.join() !== "2,3")
    refuse(call, `it averages over axes [${axes?.join(", ") ?? "all"}], expected height and width [2, 3]`);
  const x = mapOf(call);
  const mean = domain.mean(x);
  return [{ tensor: intAttribute(node, "keepdims", 1) === 1 ? mean : domain.g.node("Flatten", [mean]) }];
};

/** Zeros around a map, or more channels of zeros. */
const padding: CoefficientRule = (call) => {
  const { node, domain } = call;
  const given = constantOf(call, 1);
  const pads = given ? numbers(given) : (intsAttribute(node, "pads") ?? []);
  const x = mapOf(call);
  if (pads.every((pad) => pad === 0)) return [x];
  const mode = stringAttribute(node, "mode", "constant");
  const value = constantOf(call, 2);
  const zeros = mode === "constant" && (value === undefined || numbers(value)[0] === 0);
  if (!zeros || constantOf(call, 3) !== undefined)
    refuse(call, `it pads by [${pads.join(", ")}] (${mode}), expected zeros`);
  const size = outputSize(call);
  if ([0, 2, 3, 4, 6, 7].every((axis) => pads[axis] === 0))
    return [
      { size, name: domain.padded(x.name, [0, pads[1] as number, 0, 0, 0, 0, pads[5] as number, 0, 0, 0]) },
    ];
  return [domain.ofPixels(domain.padded(domain.pixels(x), pads), size)];
};

export const WINDOWS: Record<string, CoefficientRule> = {
  Conv: convolution,
  AveragePool: averagePooling,
  GlobalAveragePool: globalAverage,
  ReduceMean: reduceMean,
  Pad: padding,
};
