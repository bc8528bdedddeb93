/**
 * The plan `fused`: decompress · operator · compress, with neighbouring compress · decompress pairs cancelled.
 *
 * A feature map is known as coefficients, as pixels, or both. A layer asks for the form it works on; the transform
 * between the forms is added to the graph the first time it is asked for, and so never where the next layer would
 * undo it. What is left of it is one inverse transform of the image, and the projections of approximated activations.
 * Every other layer is its own node on pixels.
 */
import { copyOf } from "../domain/beside.js";
import { filled } from "../domain/padding.js";
import { onPieceOf } from "../domain/pieces.js";
import { Transforms } from "../domain/transforms.js";
import {
  type Base,
  type Input,
  type Inputs,
  isSized,
  isWholeBlocks,
  multiplyAdds,
  type Planes,
  type Size,
} from "../layers.js";
import type { Plan, PlanContext } from "../plan.js";
import { firstConvolution } from "./first-convolution.js";
import { lowFrequencies } from "./projection.js";

interface FeatureMap {
  size: Size;
  /** `[N, C, X, Y, 64]`, where known. */
  coefficients?: string;
  /** `[N, C, H, W]`, where known. */
  pixels?: string;
  /** Whether several operators read the image, so that its pixels are needed anyway. */
  isShared?: boolean;
}

const CANCELLED = "the transforms between this operator and the one before it cancel";
const BEFORE = "the inverse transform of the image comes before it";

export function fused({ g, settings, cost, note }: PlanContext): Plan<FeatureMap> {
  const { relu, table } = settings;
  const transforms = new Transforms(g, table, cost);
  const pixels = (x: FeatureMap): string => {
    note("pixels", x.pixels === undefined ? BEFORE : CANCELLED);
    x.pixels ??= planes(x.coefficients as string, x.size);
    return x.pixels;
  };
  // Sums of 64 rounded terms are as exact as a network's own; not for an approximate mask, which rounding can flip.
  const planes = (coefficients: string, size: Planes) =>
    transforms.pixels(coefficients, size, relu.kind === "exact" && isLarge(size));
  const nameOf = (input: Input<FeatureMap> | undefined, pixelsOf = pixels): string => {
    if (input?.kind === "constant") return transforms.parameter(input.name, input.value);
    return input?.kind === "map" ? pixelsOf(input.map) : (input?.name ?? "");
  };
  /** A layer's own node on pixels. */
  const onPixels = (layer: Base, inputs: Inputs<FeatureMap>, pixelsOf = pixels): FeatureMap => ({
    size: layer.output,
    pixels: copyOf(
      g,
      layer,
      inputs.map((input) => nameOf(input, pixelsOf)),
    ),
  });
  return {
    layers: {
      convolution(x, layer) {
        const first = x.pixels === undefined && !x.isShared ? firstConvolution(layer, g.budget) : undefined;
        if (first?.fold) {
          note("coefficients", first.reason);
          return { size: layer.output, pixels: first.fold(transforms, x.coefficients as string) };
        }
        const { name, weight, bias, group, window, output } = layer;
        const inputs = [pixels(x), transforms.parameter(`${name}.weight`, weight)];
        if (bias) inputs.push(transforms.parameter(`${name}.bias`, bias));
        const { kernel, strides, dilations, pads } = window;
        const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
        cost.multiplyAdds += multiplyAdds(layer);
        if (first) note("pixels", first.reason);
        return { size: output, pixels: g.node("Conv", inputs, attributes, name) };
      },
      affine: (_, layer, inputs) => onPixels(layer, inputs),
      sum: (_, layer, inputs) =>
        onPixels(layer, inputs, (x) => repeated(transforms, pixels(x), x.size, layer.output)),
      piecewise(x, layer, inputs) {
        if (relu.kind === "exact") return onPixels(layer, inputs);
        const source = pixels(x);
        const low = lowFrequencies(transforms, relu.n, source, x.size);
        if (relu.kind === "apx") return onPixels(layer, inputs, () => low);
        const y = onPieceOf(g, layer.pieces, { x: source, low }, (i) => nameOf(inputs[i]));
        return { size: layer.output, pixels: y };
      },
      mean(x, { keepsAxes }) {
        const mean =
          x.pixels === undefined && isWholeBlocks(x.size)
            ? transforms.mean(x.coefficients as string, x.size)
            : g.node("GlobalAveragePool", [pixels(x)]);
        return keepsAxes ? mean : g.node("Flatten", [mean]);
      },
      identity: (x) => x,
    },
    enter: (coefficients, size, readers) => ({ size, coefficients, isShared: readers > 1 }),
    planes,
    pixels,
    reenter: (name, size) => ({ size, pixels: name }),
  };
}

/** Whether an image takes long enough to transform to spare a product. */
const isLarge = (planes: Planes): boolean =>
  !isSized(planes) || planes.channels * planes.height * planes.width > 64 * 64;

/**
 * A map of one channel repeated over as many as `size` has, by a 1x1 convolution with ones. `Add` would repeat it too,
 * but only a sum of equal shapes is one that ONNX Runtime carries out within the convolution before it.
 */
function repeated(transforms: Transforms, x: string, from: Size, { channels }: Size): string {
  if (from.channels === channels) return x;
  const ones = transforms.shared(`ones_${channels}`, () => filled(transforms.g, [channels, 1, 1, 1]));
  transforms.count(channels, from);
  return transforms.g.node("Conv", [x, ones], { kernel_shape: [1, 1] }, "repeated");
}
