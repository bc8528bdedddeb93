/**
 * The plan `blockwise`: each convolution as a convolution over the grid of blocks, with 64 C channels. A block sees only
 * the blocks within the kernel's reach, so operations and memory are linear in the image, and constants do not depend
 * on its size. Every feature map stays a coefficient tensor.
 *
 * The kernel of that convolution (block-kernel.ts) has three factors: decompress the window, convolve with w, compress.
 * They may be multiplied out or applied one after another; whichever takes fewer multiplications is built, per layer:
 *
 *   dense      one `Conv` with the product K
 *   factored   decompress, `Conv` over the grid of blocks from a block's 64 pixels to the window's, `Conv` of each
 *              window with w, compress: fewer as soon as a few channels are mixed
 *   pointwise  a 1x1 kernel at stride 1 leaves frequencies apart: C Ci = 1, and w alone remains
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { floats } from "../../onnx/graph.js";
import { blockCount, type Convolution } from "../layers.js";
import { multiplyAdds } from "../operators/convolution.js";
import type { Settings } from "../options.js";
import { type Cost, countOperator, type Plan } from "../plan.js";
import { blockKernel, gridWindow, reaches, windowKernel } from "./block-kernel.js";
import { addMeans, type CoefficientMap, type Convolve, coefficientPlan } from "./coefficients.js";
import { Transforms } from "./transforms.js";

export const blockwise = (g: GraphBuilder, { relu, table }: Settings, cost: Cost): Plan<CoefficientMap> =>
  coefficientPlan(new Transforms(g, table, cost), relu, (transforms, x, layer) => {
    const ways = isPointwise(layer) ? [pointwise] : [dense, factored];
    const [best] = ways.sort((a, b) => a.multiplyAdds(layer) - b.multiplyAdds(layer)) as [Way];
    cost.multiplyAdds += best.multiplyAdds(layer);
    return best.convolve(transforms, x, layer);
  });

/** One way to carry out a convolution, with its multiplications for one image. */
interface Way {
  multiplyAdds(layer: Convolution): number;
  convolve: Convolve;
}

const isPointwise = ({ window: { kernel, strides, pads } }: Convolution) =>
  [...kernel, ...strides].every((length) => length === 1) && pads.every((pad) => pad === 0);

const pointwise: Way = {
  multiplyAdds,
  convolve(transforms, x, { name, weight, bias, group, input, output }) {
    const { g } = transforms;
    const rows = g.node("Reshape", [x, g.ints([0, input.channels, -1, 64])]);
    const mixed = g.node("Conv", [rows, transforms.parameter(`${name}.weight`, weight)], { group }, name);
    const y = g.node("Reshape", [
      mixed,
      g.ints([0, output.channels, output.height / 8, output.width / 8, 64]),
    ]);
    return bias ? addMeans(transforms, y, floats(bias)) : y;
  },
};

const dense: Way = {
  multiplyAdds(layer) {
    const [down, across] = reaches(layer);
    return blockCount(layer.output) * 64 * 64 * mixing(layer) * down.blocks * across.blocks;
  },
  convolve(transforms, x, layer) {
    const { g, cost } = transforms;
    const { name, weight, bias, group, input, output } = layer;
    const [down, across] = reaches(layer);
    const [m, perGroup] = weight.dims as [number, number];
    const kernel = blockKernel(transforms, layer, weight);
    const split = g.node("Reshape", [kernel, g.ints([m, perGroup, 64, down.blocks, across.blocks, 64])]);
    const ordered = g.node("Transpose", [split], { perm: [0, 5, 1, 2, 3, 4] });
    const shape = g.ints([64 * m, 64 * perGroup, down.blocks, across.blocks]);
    const operator = g.node("Reshape", [ordered, shape], {}, `${name}.operator`);
    countOperator(cost, 64 * 64 * mixing(layer) * down.blocks * across.blocks);

    const grid = g.node("Transpose", [x], { perm: [0, 1, 4, 2, 3] });
    const channels = g.node("Reshape", [
      grid,
      g.ints([0, 64 * input.channels, input.height / 8, input.width / 8]),
    ]);
    const product = g.node("Conv", [channels, operator], { ...gridWindow(layer), group }, name);
    const y = g.node("Reshape", [
      product,
      g.ints([0, output.channels, 64, output.height / 8, output.width / 8]),
    ]);
    const back = g.node("Transpose", [y], { perm: [0, 1, 3, 4, 2] });
    return bias ? addMeans(transforms, back, floats(bias)) : back;
  },
};

const factored: Way = {
  multiplyAdds(layer) {
    const [down, across] = reaches(layer);
    const { input, output } = layer;
    const gather = 64 * down.blocks * across.blocks * down.length * across.length * input.channels;
    const transform = 2 * 64 * 64;
    const perBlock = blockCount(output) * (gather + transform * output.channels);
    return perBlock + blockCount(input) * transform * input.channels + multiplyAdds(layer);
  },
  convolve(transforms, x, layer) {
    const { g } = transforms;
    const { name, weight, bias, group, window, input, output } = layer;
    const [down, across] = reaches(layer);
    const [rows, columns, pixels] = [input.height / 8, input.width / 8, down.length * across.length];

    // Pixels, channel by channel: [N C, 64, X, Y] → windows [N X' Y', C, rows, columns].
    const grid = g.node("Transpose", [transforms.decompress(x)], { perm: [0, 1, 4, 2, 3] });
    const planes = g.node("Reshape", [grid, g.ints([-1, 64, rows, columns])]);
    const gathered = g.node(
      "Conv",
      [planes, windowKernel(transforms, layer)],
      gridWindow(layer),
      `${name}.windows`,
    );
    const apart = g.node("Reshape", [gathered, g.ints([-1, input.channels, pixels, blockCount(output)])]);
    const perBlock = g.node("Transpose", [apart], { perm: [0, 3, 1, 2] });
    const windows = g.node("Reshape", [perBlock, g.ints([-1, input.channels, down.length, across.length])]);

    // w, then C: [N X' Y', M, 8, 8] → [N, M, X', Y', 64].
    const parameters = [transforms.parameter(`${name}.weight`, weight)];
    if (bias) parameters.push(transforms.parameter(`${name}.bias`, bias));
    const { strides, dilations } = window;
    const convolved = g.node("Conv", [windows, ...parameters], { strides, dilations, group }, name);
    const flat = g.node("Reshape", [convolved, g.ints([-1, blockCount(output), output.channels, 64])]);
    const byChannel = g.node("Transpose", [flat], { perm: [0, 2, 1, 3] });
    return g.node("Reshape", [
      transforms.compress(byChannel),
      g.ints([0, 0, output.height / 8, output.width / 8, 64]),
    ]);
  },
};

/** Pairs of an input and an output channel. */
const mixing = ({ weight: { dims } }: Convolution) => (dims[0] as number) * (dims[1] as number);
