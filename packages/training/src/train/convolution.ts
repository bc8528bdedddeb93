/**
 * The derivatives of a convolution. For one image, output channel o, input channel i, output position q, tap k:
 *
 *   Y_oq = Σ_ik W_oik·X_i(sq+dk-p) + B_o        stride s, dilation d, padding p; X is 0 outside the image
 *
 *   dB_o   = Σ_q dY_oq
 *   dX_iu  = Σ_ok W_oik·dY_oq over q, k with sq + dk - p = u: a transposed convolution; with s = 1 an ordinary
 *            convolution of dY with W'_iok = W_oi(K-1-k) and padding d(K-1) - p
 *   dW_oik = Σ_q dY_oq·X_i(sq+dk-p): a matrix product, dY times the transposed columns of X, summed over images
 *
 * The columns X_(ik)q = X_i(sq+dk-p) come from a convolution of each channel with the constant one-hot kernels e_k. They
 * are K times as large as the input. With s = 1 in two dimensions the shifts can be split instead, by substituting rows
 * u = q_1 + d_1·k_1 - p_1 for q_1: the columns of X take only the horizontal shifts, dY the vertical ones,
 *
 *   dW_oi(k_1,k_2) = Σ_u,q_2 dY_o(u-d_1·k_1+p_1, q_2)·X_i(u, q_2+d_2·k_2-p_2)
 *
 * and one product of two narrow matrices gives all taps. The form that writes fewer elements is taken. Groups only add an
 * axis to the matrices.
 */
import { describe, intAttribute, readWindow, volume, type Window } from "@jpeg-domain/conversion/internal";
import { float32 } from "@jpeg-domain/conversion/onnx";
import { transposed } from "./matrix.js";
import { type Derivative, known, type NodeContext, reduceSum, reshape, spatial } from "./rule.js";

export const convolution: Derivative = (context, dy) => {
  const at = geometry(context);
  const dX = () =>
    isPlain(at) ? inputByConvolution(context, at, dy) : inputByTransposition(context, at, dy);
  const dW = () =>
    splitIsSmaller(at) ? weightBySplitShifts(context, at, dy) : weightByColumns(context, at, dy);
  const dB = () => reduceSum(context.g, dy, [0, ...at.size.map((_, axis) => axis + 2)]);
  return [dX, dW, dB].map((gradient, i) => (context.needsGradient(i) ? gradient() : undefined));
};

/** The ranges of the indices above. */
interface Geometry extends Window {
  group: number;
  /** All channels of X and of Y, over all groups. */
  inChannels: number;
  outChannels: number;
  size: number[];
  outSize: number[];
}

function geometry(context: NodeContext): Geometry {
  const [x = [], w = []] = context.xShapes;
  const size = spatial(context, x);
  const kernel = w.slice(2).map((k) => known(context, k, "its kernel"));
  return {
    ...readWindow(context.node, kernel, size),
    group: intAttribute(context.node, "group", 1),
    inChannels: known(context, x[1], "its channel count"),
    outChannels: known(context, w[0], "its channel count"),
    size,
    outSize: spatial(context, context.yShape),
  };
}

/** How far a kernel reaches beyond its first tap along `axis`: d(K-1). */
const reach = ({ kernel, dilations }: Window, axis: number) =>
  (dilations[axis] as number) * ((kernel[axis] as number) - 1);

const unitStride = ({ strides }: Window) => strides.every((stride) => stride === 1);
/** The padding with which a convolution over dY undoes the padding of the forward convolution. */
const outerPads = (at: Window) => at.pads.map((pad, i) => reach(at, i % at.kernel.length) - pad);
const isPlain = (at: Geometry) => unitStride(at) && outerPads(at).every((pad) => pad >= 0);

function inputByConvolution(context: NodeContext, at: Geometry, dy: string): string {
  const { g, x } = context;
  const { group, inChannels, outChannels, kernel, dilations } = at;
  const taps = volume(kernel);
  const grouped = reshape(g, x[1] as string, [group, outChannels / group, inChannels / group, taps]);
  const swapped = g.node("Transpose", [grouped], { perm: [0, 2, 1, 3] });
  // Flips by a product with the exchange matrix: exact, and faster than Gather on such short rows.
  context.g.budget.take(
    12 * taps * taps,
    `${describe(context.node)}: the order of its ${taps} taps`,
    context.node,
  );
  const exchange = Array.from({ length: taps * taps }, (_, i) =>
    Math.floor(i / taps) + (i % taps) === taps - 1 ? 1 : 0,
  );
  const flipped = taps === 1 ? swapped : g.node("MatMul", [swapped, g.floats(exchange, [taps, taps])]);
  const weight = reshape(g, flipped, [inChannels, outChannels / group, ...kernel]);
  return g.node("Conv", [dy, weight], { group, kernel_shape: kernel, dilations, pads: outerPads(at) }, "dX");
}

function inputByTransposition({ g, x }: NodeContext, at: Geometry, dy: string): string {
  const { group, kernel, dilations, strides, pads, size, outSize } = at;
  const output_padding = inputPadding(at, size, outSize);
  const attributes = { group, kernel_shape: kernel, dilations, strides, pads, output_padding };
  return g.node("ConvTranspose", [dy, x[1] as string], attributes, "dX");
}

/** The rows and columns at the end that no window reached, for `output_padding`. */
export function inputPadding(window: Window, size: number[], outSize: number[]): number[] {
  const { pads, strides } = window;
  return size.map((length, i) => {
    const padded = length + (pads[i] as number) + (pads[i + size.length] as number);
    return padded - ((outSize[i] as number) - 1) * (strides[i] as number) - reach(window, i) - 1;
  });
}

function weightByColumns(context: NodeContext, at: Geometry, dy: string): string {
  const { inChannels, outChannels, kernel, dilations, strides, pads } = at;
  const taps = volume(kernel);
  const x = context.x[0] as string;
  const trivial = taps === 1 && unitStride(at) && pads.every((pad) => pad === 0);
  const columns = trivial ? x : shifts(context, x, inChannels, kernel, false, { dilations, strides, pads });
  return weightFromShifts(context, at, [dy, outChannels], [columns, inChannels * taps]);
}

const splitIsSmaller = (at: Geometry) => {
  const [rows = 1, columns = 1] = at.kernel;
  const split = at.inChannels * columns + at.outChannels * rows;
  return at.kernel.length === 2 && isPlain(at) && split < at.inChannels * rows * columns;
};

function weightBySplitShifts(context: NodeContext, at: Geometry, dy: string): string {
  const { inChannels, outChannels, kernel, dilations, pads } = at;
  const [rows, columns] = kernel as [number, number];
  const [dRow, dColumn] = dilations as [number, number];
  const [, left, , right] = pads as [number, number, number, number];
  const [outTop, , outBottom] = outerPads(at) as [number, number, number, number];
  const x = shifts(context, context.x[0] as string, inChannels, [1, columns], false, {
    dilations: [1, dColumn],
    strides: [1, 1],
    pads: [0, left, 0, right],
  });
  const y = shifts(context, dy, outChannels, [rows, 1], true, {
    dilations: [dRow, 1],
    strides: [1, 1],
    pads: [outTop, 0, outBottom, 0],
  });
  return weightFromShifts(context, at, [y, outChannels * rows], [x, inChannels * columns]);
}

/** [N, C, …] → [N, C·K, …]. Channel (c, k) is channel c shifted by tap k, or by K-1-k if `reversed`. */
function shifts(
  { g, node }: NodeContext,
  x: string,
  channels: number,
  kernel: number[],
  reversed: boolean,
  window: Omit<Window, "kernel">,
): string {
  const taps = volume(kernel);
  g.budget.take(4 * channels * taps * taps, `${describe(node)}: its ${taps} taps apart`, node);
  const oneHot = new Float32Array(channels * taps * taps);
  for (let row = 0; row < channels * taps; row++) {
    const tap = row % taps;
    oneHot[row * taps + (reversed ? taps - 1 - tap : tap)] = 1;
  }
  const weight = g.constant("one-hot", float32(oneHot, [channels * taps, 1, ...kernel]));
  return g.node("Conv", [x, weight], { group: channels, kernel_shape: kernel, ...window }, "shifts");
}

/**
 * Σ_n Y_n·X_nᵀ for each group, from `[N, O·a, P]` and `[N, I·b, P]`: the gradient of the weight `[O, I, a·b]`. Either all
 * taps are on one side, or the vertical ones (a) are on the left and the horizontal ones (b) on the right.
 */
function weightFromShifts(
  { g }: NodeContext,
  at: Geometry,
  [y, yChannels]: [string, number],
  [x, xChannels]: [string, number],
): string {
  const { group, inChannels, outChannels, kernel } = at;
  const matrix = (value: string, channels: number) => reshape(g, value, [0, group, channels / group, -1]);
  const columns = transposed(g, matrix(x, xChannels), 4);
  const perImage = g.node("MatMul", [matrix(y, yChannels), columns]);
  const sum = reduceSum(g, perImage, [0]);
  const [a, b] = [yChannels / outChannels, xChannels / inChannels];
  const split = reshape(g, sum, [outChannels, a, inChannels / group, b]);
  const ordered = a === 1 ? split : g.node("Transpose", [split], { perm: [0, 2, 1, 3] });
  return reshape(g, ordered, [outChannels, inChannels / group, ...kernel]);
}
