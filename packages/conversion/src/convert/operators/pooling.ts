/**
 * Average pooling. Over a whole map it needs only k = 0, each block's mean (times 8 / q[0]). Over a window it is the
 * convolution of each channel with equal weights. If the padding does not count (count_include_pad = 0, ceil_mode), the
 * weights differ from place to place, and the pixels are needed.
 */
import { volume } from "../../onnx/graph.js";
import { convolveAlike } from "../domain/algorithms.js";
import { copyOf } from "../domain/beside.js";
import type { Coefficients } from "../domain/coefficients.js";
import { filled } from "../domain/padding.js";
import type { Base, Convolution, Size } from "../layers.js";
import type { Family, NodeContext } from "./context.js";
import { windowOf } from "./convolution.js";

/** The mean of each channel: `[N, C, 1, 1]`, or `[N, C]`. */
export interface Mean extends Omit<Base, "output"> {
  kind: "mean";
  keepsAxes: boolean;
}

/** The mean over a window with the same number of pixels everywhere. */
export interface Average extends Base, Pick<Convolution, "name" | "window" | "input"> {
  kind: "average";
}

/** The mean over a window that leaves out what is beyond the map, so its weights differ from place to place. */
export interface UnevenAverage extends Base {
  kind: "unevenAverage";
}

/** An average is a depthwise convolution with equal weights. */
export function averageAsConvolution({ g }: Coefficients, layer: Average): Convolution {
  const { channels } = layer.input;
  const { kernel } = layer.window;
  const weight = filled(g, [channels, 1, ...kernel], 1 / volume(kernel));
  return { ...layer, kind: "convolution", weight, bias: undefined, group: channels };
}

const mean = ({ node, operands }: NodeContext, keepsAxes = true): Mean => ({
  kind: "mean",
  node,
  operands,
  keepsAxes,
});

function averagePool(context: NodeContext): Mean | Average | UnevenAverage {
  const kernel = context.ints("kernel_shape") ?? [];
  const base = context.base;
  const { input, output, window, name } = { ...base, ...windowOf(context, kernel) };
  const isPadded = window.pads.some((pad) => pad !== 0);
  const isWhole = kernel.join() === `${input.height},${input.width}`;
  if (isWhole && output.height * output.width === 1 && !isPadded) return mean(context);
  const isUneven = isPadded && context.int("count_include_pad", 0) === 0;
  const excess = [0, 1].map((axis) => windowsBeyond(window, input, output, axis as 0 | 1));
  if (!isUneven && excess.every((windows) => windows <= 0))
    return { kind: "average", ...base, name, window, input };
  if (context.int("ceil_mode", 0) === 1 && excess.some((windows) => windows < 0))
    context.refuse(
      "with ceil_mode its last window would begin beyond the map: runtimes differ on whether it is there",
    );
  if (window.dilations.some((step) => step !== 1)) context.refuse("it is dilated and leaves the padding out");
  const reason = "its average leaves the padding out, so its weights differ at the border";
  return { kind: "unevenAverage", ...base, reason };
}

/** How many more windows there are along an axis than fit into the padded map, a fraction where the last is cut off. */
function windowsBeyond(
  { kernel, strides, dilations, pads }: Convolution["window"],
  from: Size,
  to: Size,
  axis: 0 | 1,
): number {
  const [length, windows] = axis === 0 ? [from.height, to.height] : [from.width, to.width];
  const extent = (dilations[axis] as number) * ((kernel[axis] as number) - 1) + 1;
  const padded = length + (pads[axis] as number) + (pads[axis + 2] as number);
  return windows - 1 - (padded - extent) / (strides[axis] as number);
}

/** A mean over height and width; any other reduction leaves the feature map's shape. */
function reduceMean(context: NodeContext): Mean {
  const given = context.numbers(1, "axes");
  const axes = given?.map((axis) => (axis < 0 ? axis + 4 : axis)).sort();
  context.map();
  if (axes?.join() !== "2,3")
    context.refuse(`it averages over axes [${given?.join(", ") ?? "all"}], expected height and width [2, 3]`);
  return mean(context, context.int("keepdims", 1) === 1);
}

export const POOLING: Family<Mean | Average | UnevenAverage> = {
  read: {
    GlobalAveragePool: (context) => mean(context),
    AveragePool: averagePool,
    ReduceMean: reduceMean,
  },
  lower: {
    mean({ domain, coefficients, size }, { keepsAxes }) {
      const means = domain.transforms.mean(coefficients, size);
      return keepsAxes ? means : domain.g.node("Flatten", [means]);
    },
    average: (x, layer) => convolveAlike(x, averageAsConvolution(x.domain, layer)),
    unevenAverage({ domain, pixels }, layer) {
      return domain.ofPixels(copyOf(domain.g, layer, [pixels]), layer.output);
    },
  },
};
