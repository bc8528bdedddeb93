/**
 * The derivatives of a convolution. For one image, output channel o, input channel i, output position q, tap k:
 *
 *   Y_oq = Σ_ik W_oik·X_i(sq+dk-p) + B_o        stride s, dilation d, padding p; X is 0 outside the image
 *
 *   dB_o   = Σ_q dY_oq
 *   dX_iu  = Σ_ok W_oik·dY_oq over q, k with sq + dk - p = u: a transposed convolution; with s = 1 an ordinary one,
 *            of dY with W'_iok = W_oi(K-1-k) and padding d(K-1) - p
 *   dW_oik = Σ_q dY_oq·X_i(sq+dk-p): a matrix product, dY times the transposed columns of X, summed over images
 *
 * The columns X_(ik)q = X_i(sq+dk-p) come from a convolution of each channel with the constant one-hot kernels
 * e_k. They hold K times the input. With s = 1 in two dimensions the shifts can be shared out instead, by
 * substituting rows u = q_1 + d_1·k_1 - p_1 for q_1: the columns of X take the horizontal shifts only, dY the
 * vertical ones,
 *
 *   dW_oi(k_1,k_2) = Σ_u,q_2 dY_o(u-d_1·k_1+p_1, q_2)·X_i(u, q_2+d_2·k_2-p_2)
 *
 * and one product of two narrow matrices gives all taps. Of the two the one that writes fewer elements is taken.
 * Groups only add an axis to the matrices.
 */
import { describe, float32, intAttribute, volume } from "../onnx/graph.js";
import { readWindow, type Window } from "../onnx/window.js";
import { transposed } from "./matrix.js";
import { type Derivative, known, reduceSum, reshape, type Site, spatial } from "./rule.js";

export const convolution: Derivative = (site, dy) => {
  const at = geometry(site);
  const dX = () => (isPlain(at) ? inputByConvolution(site, at, dy) : inputByTransposition(site, at, dy));
  const dW = () => (splitIsSmaller(at) ? weightBySplitShifts(site, at, dy) : weightByColumns(site, at, dy));
  const dB = () => reduceSum(site.g, dy, [0, ...at.size.map((_, axis) => axis + 2)]);
  return [dX, dW, dB].map((gradient, i) => (site.wants(i) ? gradient() : undefined));
};

/** The lengths of all the indices above. */
interface Geometry extends Window {
  group: number;
  /** Channels in all, of X and of Y. */
  inChannels: number;
  outChannels: number;
  size: number[];
  outSize: number[];
}

function geometry(site: Site): Geometry {
  const [x = [], w = []] = site.xShapes;
  const size = spatial(site, x);
  const kernel = w.slice(2).map((k) => known(site, k, "its kernel"));
  return {
    ...readWindow(site.node, kernel, size),
    group: intAttribute(site.node, "group", 1),
    inChannels: known(site, x[1], "its channel count"),
    outChannels: known(site, w[0], "its channel count"),
    size,
    outSize: spatial(site, site.yShape),
  };
}

/** How far a kernel reaches beyond its first tap along `axis`: d(K-1). */
const reach = ({ kernel, dilations }: Window, axis: number) =>
  (dilations[axis] as number) * ((kernel[axis] as number) - 1);

const unitStride = ({ strides }: Window) => strides.every((stride) => stride === 1);
/** Padding that a convolution over dY needs to undo the padding of the forward one. */
const outerPads = (at: Window) => at.pads.map((pad, i) => reach(at, i % at.kernel.length) - pad);
const isPlain = (at: Geometry) => unitStride(at) && outerPads(at).every((pad) => pad >= 0);

function inputByConvolution(site: Site, at: Geometry, dy: string): string {
  const { g, x } = site;
  const { group, inChannels, outChannels, kernel, dilations } = at;
  const taps = volume(kernel);
  const grouped = reshape(g, x[1] as string, [group, outChannels / group, inChannels / group, taps]);
  const swapped = g.node("Transpose", [grouped], { perm: [0, 2, 1, 3] });
  // Flipping by a product with the exchange matrix: exact, and faster than Gather on rows this short.
  site.g.budget.take(12 * taps * taps, `${describe(site.node)}: the order of its ${taps} taps`, site.node);
  const exchange = Array.from({ length: taps * taps }, (_, i) =>
    Math.floor(i / taps) + (i % taps) === taps - 1 ? 1 : 0,
  );
  const flipped = taps === 1 ? swapped : g.node("MatMul", [swapped, g.floats(exchange, [taps, taps])]);
  const weight = reshape(g, flipped, [inChannels, outChannels / group, ...kernel]);
  return g.node("Conv", [dy, weight], { group, kernel_shape: kernel, dilations, pads: outerPads(at) }, "dX");
}

function inputByTransposition({ g, x }: Site, at: Geometry, dy: string): string {
  const { group, kernel, dilations, strides, pads, size, outSize } = at;
  const output_padding = inputPadding(at, size, outSize);
  const attributes = { group, kernel_shape: kernel, dilations, strides, pads, output_padding };
  return g.node("ConvTranspose", [dy, x[1] as string], attributes, "dX");
}

/** The rows and columns at the far end that no window reached, for `output_padding`. */
export function inputPadding(window: Window, size: number[], outSize: number[]): number[] {
  const { pads, strides } = window;
  return size.map((length, i) => {
    const padded = length + (pads[i] as number) + (pads[i + size.length] as number);
    return padded - ((outSize[i] as number) - 1) * (strides[i] as number) - reach(window, i) - 1;
  });
}

function weightByColumns(site: Site, at: Geometry, dy: string): string {
  const { inChannels, outChannels, kernel, dilations, strides, pads } = at;
  const taps = volume(kernel);
  const x = site.x[0] as string;
  const trivial = taps === 1 && unitStride(at) && pads.every((pad) => pad === 0);
  const columns = trivial ? x : shifts(site, x, inChannels, kernel, false, { dilations, strides, pads });
  return weightFromShifts(site, at, [dy, outChannels], [columns, inChannels * taps]);
}

const splitIsSmaller = (at: Geometry) => {
  const [rows = 1, columns = 1] = at.kernel;
  const split = at.inChannels * columns + at.outChannels * rows;
  return at.kernel.length === 2 && isPlain(at) && split < at.inChannels * rows * columns;
};

function weightBySplitShifts(site: Site, at: Geometry, dy: string): string {
  const { inChannels, outChannels, kernel, dilations, pads } = at;
  const [rows, columns] = kernel as [number, number];
  const [dRow, dColumn] = dilations as [number, number];
  const [, left, , right] = pads as [number, number, number, number];
  const [outTop, , outBottom] = outerPads(at) as [number, number, number, number];
  const x = shifts(site, site.x[0] as string, inChannels, [1, columns], false, {
    dilations: [1, dColumn],
    strides: [1, 1],
    pads: [0, left, 0, right],
  });
  const y = shifts(site, dy, outChannels, [rows, 1], true, {
    dilations: [dRow, 1],
    strides: [1, 1],
    pads: [outTop, 0, outBottom, 0],
  });
  return weightFromShifts(site, at, [y, outChannels * rows], [x, inChannels * columns]);
}

/** [N, C, …] → [N, C·K, …], channel (c, k) being channel c seen through tap k, or K-1-k if `reversed`. */
function shifts(
  { g, node }: Site,
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
 * Σ_n Y_n·X_nᵀ for each group, from `[N, O·a, P]` and `[N, I·b, P]`, as the gradient of the weight `[O, I, a·b]`:
 * all the taps are on one side, or the vertical ones (a) on the left and the horizontal ones (b) on the right.
 */
function weightFromShifts(
  { g }: Site,
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
