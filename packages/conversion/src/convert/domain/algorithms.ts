/**
 * Algorithms for a convolution in the coefficient domain. Its operator has three factors: decompress, convolve
 * with w, compress. They may be multiplied out (block-kernel.ts) or applied one after another:
 *
 *   dense      one `Conv` over the grid of blocks with the product K, of 64 C channels. A depthwise convolution stays
 *              one, of blocks: a group for each channel
 *   factored   decompress, `Conv` on the blocks side by side, compress
 *   pointwise  a 1x1 kernel at stride 1 leaves frequencies apart: C Ci = 1, and w alone remains
 *   shared     as dense, for a kernel that all channels have in common, as averages do: channels are images of a batch
 *
 * The one of fewest multiplications is built, among those whose product is not too large.
 */
import { float32, floats, volume } from "../../onnx/graph.js";
import { countOperator } from "../cost.js";
import { blockCount, type Convolution, grid, multiplyAdds } from "../layers.js";
import { blockKernel, gridWindow, reaches, shiftBytes } from "./block-kernel.js";
import { type CoefficientMap, type Coefficients, transformation } from "./coefficients.js";
import { inside, raggedPixels } from "./padding.js";

/** Carries out a convolution, bias included. */
type Convolve = (x: CoefficientMap, layer: Convolution) => CoefficientMap;

interface Algorithm {
  name: string;
  /** Whether it takes and gives pixels, between transforms. */
  onPixels?: boolean;
  /** Its multiplications for one image, without those of the transforms. */
  multiplyAdds(layer: Convolution): number;
  /** Bytes of the product of the factors, where they are multiplied out. */
  productBytes?(layer: Convolution): number;
  /** Carries it out, and counts it and what it needs. */
  convolve: Convolve;
}

/**
 * Bytes. A larger product of the three factors is not built: it has 64 x 64 numbers a block within reach for each pair of
 * channels, which ONNX Runtime makes when it loads the model (measured on MobileNetV2 at 64x64: with products up to
 * 16 MB it takes 5 times as long to load, and no less to run, for 6 % fewer multiplications).
 */
const LARGEST_PRODUCT = 1e6;

/** Bytes. Larger operators of shifts, one for each tap of a kernel, are not put into a file. */
const LARGEST_SHIFTS = 2 ** 24;

/** Carries out a convolution by the cheapest of `algorithms`, and notes which that is. */
const byCheapest =
  (choose: (layer: Convolution) => Algorithm[]): Convolve =>
  (x, layer) => {
    const algorithms = choose(layer);
    const isFitting = ({ productBytes }: Algorithm) =>
      !productBytes || (productBytes(layer) <= LARGEST_PRODUCT && shiftsOf(layer) <= LARGEST_SHIFTS);
    const total = (algorithm: Algorithm): number =>
      algorithm.multiplyAdds(layer) +
      (algorithm.onPixels ? x.decompression + transformation(layer.output) : x.compression);
    const fitting = algorithms.filter(isFitting).sort((a, b) => total(a) - total(b));
    const [best = algorithms[0] as Algorithm, ...others] = fitting;
    const counted = (algorithm: Algorithm) => `${algorithm.name} ${(total(algorithm) / 1e6).toPrecision(3)}`;
    const large = algorithms.filter((one) => !isFitting(one)).map(({ name }) => `${name} too large`);
    const rest = [...others.map(counted), ...large].map((one) => `; ${one}`).join("");
    x.domain.note(`${counted(best)} million multiplications${rest}`);
    return best.convolve(x, layer);
  };

export const convolve = byCheapest((layer) =>
  isPointwise(layer) ? [pointwise, factored] : [factored, dense],
);

/** A depthwise convolution whose channels have one kernel in common. */
export const convolveAlike = byCheapest(() => [factored, shared]);

const isPointwise = ({ window: { kernel, strides, pads } }: Convolution) =>
  [...kernel, ...strides].every((length) => length === 1) && pads.every((pad) => pad === 0);

const pointwise: Algorithm = {
  name: "pointwise",
  multiplyAdds: ({ weight, output }) => weight.data.length * 64 * blockCount(output),
  convolve({ domain, coefficients }, layer) {
    const { g, transforms } = domain;
    const { name, weight, bias, group, input, output } = layer;
    transforms.cost.multiplyAdds += pointwise.multiplyAdds(layer);
    const rows = g.node("Reshape", [coefficients, g.ints([0, input.channels, -1, 64])]);
    const mixed = g.node("Conv", [rows, transforms.parameter(`${name}.weight`, weight)], { group }, name);
    const y = g.node("Reshape", [mixed, domain.shape(output)]);
    return domain.map(bias ? domain.addMeans(y, floats(bias), output) : y, output);
  },
};

const dense: Algorithm = {
  name: "dense",
  multiplyAdds: (layer) => (64 * blockCount(layer.output) * denseBytes(layer)) / 256 + cutting(layer),
  productBytes: denseBytes,
  convolve(x, layer) {
    x.domain.transforms.cost.multiplyAdds += dense.multiplyAdds(layer) - cutting(layer);
    return overGrid(x, layer, layer.input.channels, 0);
  },
};

/**
 * A convolution over the grid of blocks, with K as weight and `channels` of the map at a time.
 * @param batch Of the grids: 0 leaves it, -1 takes each channel for an image of its own.
 */
function overGrid(x: CoefficientMap, layer: Convolution, channels: number, batch: 0 | -1): CoefficientMap {
  const { domain, coefficients } = x;
  const { g, transforms } = domain;
  const { name, bias, group, input, output } = layer;
  const operator = denseOperator(domain, layer);
  const byFrequency = g.node("Transpose", [coefficients], { perm: [0, 1, 4, 2, 3] });
  const grids = g.node("Reshape", [byFrequency, g.ints([batch, 64 * channels, ...grid(input)])]);
  const product = g.node("Conv", [grids, operator], { ...gridWindow(layer), group }, name);
  const y = g.node("Reshape", [product, g.ints([batch, output.channels, 64, ...grid(output)])]);
  const back = g.node("Transpose", [y], { perm: [0, 1, 3, 4, 2] });
  const kept = inside(transforms, back, output);
  return domain.map(bias ? domain.addMeans(kept, floats(bias), output) : kept, output);
}

/** K as the weight of a convolution over the grid of blocks, `[64 M, 64 N / group, down, across]`. */
function denseOperator({ g, transforms }: Coefficients, layer: Convolution): string {
  const [down, across] = reaches(layer);
  const [m, perGroup] = layer.weight.dims as [number, number];
  const kernel = blockKernel(transforms, layer, layer.weight);
  const split = g.node("Reshape", [kernel, g.ints([m, perGroup, 64, down.blocks, across.blocks, 64])]);
  const ordered = g.node("Transpose", [split], { perm: [0, 5, 1, 2, 3, 4] });
  const shape = g.ints([64 * m, 64 * perGroup, down.blocks, across.blocks]);
  countOperator(transforms.cost, denseBytes(layer) / 4);
  return g.node("Reshape", [ordered, shape], {}, `${layer.name}.operator`);
}

const factored: Algorithm = {
  name: "factored",
  onPixels: true,
  multiplyAdds,
  convolve(x, layer) {
    const { g, transforms } = x.domain;
    const { name, weight, bias, group, window, output } = layer;
    const inputs = [x.pixels, transforms.parameter(`${name}.weight`, weight)];
    if (bias) inputs.push(transforms.parameter(`${name}.bias`, bias));
    const { kernel, strides, dilations, pads } = window;
    transforms.cost.multiplyAdds += multiplyAdds(layer);
    const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
    return x.domain.ofPixels(g.node("Conv", inputs, attributes, name), output);
  },
};

const shared: Algorithm = {
  name: "shared",
  multiplyAdds: (layer) =>
    layer.input.channels * blockCount(layer.output) * 64 * 64 * blocksWithinReach(layer) + cutting(layer),
  productBytes: (layer) => 4 * 64 * 64 * blocksWithinReach(layer),
  convolve(x, layer) {
    x.domain.transforms.cost.multiplyAdds += shared.multiplyAdds(layer) - cutting(layer);
    const [, , ...kernel] = layer.weight.dims;
    const weight = float32(floats(layer.weight).subarray(0, volume(kernel)), [1, 1, ...kernel]);
    return overGrid(x, { ...layer, weight, group: 1 }, 1, -1);
  },
};

/** Multiplications to cut off what a convolution over the grid of blocks makes outside the map. */
const cutting = ({ output }: Convolution) => 64 * raggedPixels(output) * output.channels;

/** Bytes of K: 64 x 64 numbers a block within reach for each pair of an input and an output channel. */
function denseBytes(layer: Convolution): number {
  const [m, perGroup] = layer.weight.dims as [number, number];
  return 4 * 64 * 64 * m * perGroup * blocksWithinReach(layer);
}

/** Bytes of the shifts that K is made of. */
const shiftsOf = (layer: Convolution) => shiftBytes(volume(layer.window.kernel), blocksWithinReach(layer));

const blocksWithinReach = (layer: Convolution) => reaches(layer).reduce((all, { blocks }) => all * blocks, 1);
