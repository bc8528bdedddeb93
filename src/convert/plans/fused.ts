/**
 * The plan `fused`: decompress · operator · compress, with neighbouring compress · decompress pairs cancelled.
 *
 * A feature map is known as coefficients, as pixels, or both. An operator asks for the form it works on; the transform
 * between the forms is added to the graph the first time it is asked for, and so never where the next operator would
 * undo it. What is left of it is one inverse transform at the entrance, and the projections of approximate ReLUs.
 */
import { float, type GraphBuilder } from "../../onnx/builder.js";
import { filled } from "../domain/padding.js";
import { isNotNegative, Transforms } from "../domain/transforms.js";
import { isSized, isWholeBlocks, largest, type Planes, type Size } from "../layers.js";
import { multiplyAdds } from "../operators/convolution.js";
import { frequencyVectors } from "../operators/relu.js";
import type { ReluKind, Settings } from "../options.js";
import type { Cost, Note, Plan } from "../plan.js";
import { EXACT } from "../report.js";
import { chooseEntrance } from "./entrance-convolution.js";

interface FeatureMap {
  size: Size;
  /** `[N, C, X, Y, 64]`, where known. */
  coefficients?: string;
  /** `[N, C, H, W]`, where known. */
  pixels?: string;
  /** Whether several operators read the image, so that its pixels are needed anyway. */
  shared?: boolean;
}

const CANCELLED = "the transforms between this operator and the one before it cancel";
const ENTRANCE = "the inverse transform of the image comes before it";

export function fused(g: GraphBuilder, { relu, table }: Settings, cost: Cost, note: Note): Plan<FeatureMap> {
  const transforms = new Transforms(g, table, cost);
  const pixels = (x: FeatureMap): string => {
    note("pixels", x.pixels === undefined ? ENTRANCE : CANCELLED);
    x.pixels ??= planes(x.coefficients as string, x.size);
    return x.pixels;
  };
  // Sums of 64 rounded terms are as exact as a network's own; not for an approximate mask, which rounding can flip.
  const planes = (coefficients: string, size: Planes) =>
    relu.kind === "exact" && isLarge(size)
      ? transforms.pixelsAtOnce(coefficients, size)
      : transforms.pixels(coefficients, size);
  return {
    wholeBlocks: false,
    enter: (coefficients, size, readers) => ({ size, coefficients, shared: readers > 1 }),
    planes,
    lift: (name, size) => ({ size, pixels: name }),
    convolution(x, layer) {
      const entrance = x.pixels === undefined && !x.shared ? chooseEntrance(layer, g.budget) : undefined;
      if (entrance?.folded) {
        note("coefficients", entrance.reason);
        return { size: layer.output, pixels: entrance.fold(transforms, x.coefficients as string) };
      }
      const { name, weight, bias, group, window, output } = layer;
      const inputs = [pixels(x), transforms.parameter(`${name}.weight`, weight)];
      if (bias) inputs.push(transforms.parameter(`${name}.bias`, bias));
      const { kernel, strides, dilations, pads } = window;
      const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
      cost.multiplyAdds += multiplyAdds(layer);
      if (entrance) note("pixels", entrance.reason);
      return { size: output, pixels: g.node("Conv", inputs, attributes, name) };
    },
    batchNormalization(x, { gamma, beta, mean, variance, epsilon }) {
      const parameters = { gamma, beta, mean, variance };
      const inputs = Object.entries(parameters).map(([name, value]) => transforms.parameter(name, value));
      return {
        size: x.size,
        pixels: g.node("BatchNormalization", [pixels(x), ...inputs], { epsilon: float(epsilon) }),
      };
    },
    relu(x) {
      const source = pixels(x);
      if (relu.kind === "exact" || isWholeBlocks(x.size))
        return { size: x.size, pixels: activate(transforms, relu, source, x.size) };
      const { height, width } = x.size;
      note("pixels", `${EXACT}its feature map of ${height}x${width} is not whole 8x8 blocks`);
      return { size: x.size, pixels: g.node("Relu", [source]) };
    },
    add(a, b) {
      const size = largest(a.size, b.size);
      const terms = [a, b].map((x) => repeated(transforms, pixels(x), x.size, size));
      return { size, pixels: g.node("Add", terms) };
    },
    globalAverage: (x) =>
      x.pixels === undefined && isWholeBlocks(x.size)
        ? transforms.mean(x.coefficients as string)
        : g.node("GlobalAveragePool", [pixels(x)]),
    pixels,
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

/** ReLU on pixels `[N, C, H, W]`: exact, or with the projection of each block onto its low spatial frequencies. */
function activate(transforms: Transforms, relu: ReluKind, x: string, size: Size): string {
  const { g } = transforms;
  if (relu.kind === "exact") return g.node("Relu", [x]);
  const blocksWide = size.width / 8;
  const inStrips = projectionCost(relu.n) * blocksWide <= TRANSPOSE_COST;
  const strips = [-1, (size.channels * size.height) / 8];
  const lines = inStrips ? x : transforms.swapRuns(x, strips, [8, blocksWide]);
  const blocks = inStrips ? blocksWide : 1;
  const flat = g.node("Reshape", [lines, g.ints([-1, 64 * blocks])]);
  transforms.count(projectionCost(relu.n) * blocks, size);
  const low = project(transforms, flat, relu.n, blocks);
  const y = relu.kind === "asm" ? g.node("Mul", [flat, isNotNegative(g, low)]) : g.node("Relu", [low]);
  const back = inStrips ? y : transforms.swapRuns(y, strips, [blocksWide, 8]);
  return g.node("Reshape", [back, g.ints([-1, size.channels, size.height, size.width])], {}, relu.kind);
}

/**
 * A block's pixels lie 8 to a row of the image, between those of its neighbours. Either they are brought together,
 * which takes two transpositions, or a whole strip of 8 rows is projected as one vector, with a matrix that is zero
 * between blocks. Each zero costs a multiplication; a pair of transpositions takes as long as about this many
 * multiplications for each pixel (measured: equal at 80 to 110).
 */
const TRANSPOSE_COST = 100;

/**
 * x_n is what remains of x without the dropped frequencies, or, where those are almost all, P_n x. Measured on the
 * first layer's outputs, the error of the first form falls from 2e-7 at n = 0 to 3e-8 at n = 10, that of the second
 * rises from 0.8e-7 to 1.5e-7; they cross at n = 4. Both matter where a value stands at the mask's threshold.
 */
const takesAway = (n: number) => n >= 4;

/** Multiplications a pixel to project one block. */
const projectionCost = (n: number) => (takesAway(n) ? 2 * frequencyVectors(n).dropped.length : 64);

/** x_n of rows of `blocks` blocks each, their pixels row by row: `[-1, 64 blocks]` → the same. */
function project(transforms: Transforms, x: string, n: number, blocks: number): string {
  const { g } = transforms;
  const { kept, dropped } = frequencyVectors(n);
  if (!takesAway(n)) {
    const entry = (p: number, q: number) =>
      kept.reduce((sum, v) => sum + (v[p] as number) * (v[q] as number), 0);
    const matrix = transforms.matrix(`P_${n}`, [64, 64], entry);
    const wide = alongStrip(g, matrix, blocks, [8, 1, 8, 8, 1, 8], [64 * blocks, 64 * blocks]);
    return g.node("MatMul", [x, wide], {}, "low");
  }
  const rank = dropped.length;
  const vectors = transforms.matrix(
    `V_${n}`,
    [64, rank],
    (pixel, f) => (dropped[f] as number[])[pixel] as number,
  );
  const wide = alongStrip(g, vectors, blocks, [8, 1, 8, 1, rank], [64 * blocks, rank * blocks]);
  const high = g.node("MatMul", [x, wide], {}, "high");
  return g.node("Gemm", [high, wide, x], { alpha: float(-1), transB: 1 }, "low");
}

/**
 * A block's matrix repeated for each block of a strip, zero between blocks. `axes` is the matrix's shape taken apart; the
 * second and the last but one count blocks, and there the graph multiplies by the identity, once, when ONNX Runtime
 * loads the model.
 */
function alongStrip(
  g: GraphBuilder,
  matrix: string,
  blocks: number,
  axes: number[],
  shape: number[],
): string {
  if (blocks === 1) return matrix;
  const identity = Array.from({ length: blocks * blocks }, (_, at) => Number(at % (blocks + 1) === 0));
  const counted = axes.map((_, axis) => (axis === 1 || axis === axes.length - 2 ? blocks : 1));
  const spread = g.node("Reshape", [matrix, g.ints(axes)]);
  return g.node("Reshape", [g.node("Mul", [spread, g.floats(identity, counted)]), g.ints(shape)]);
}
