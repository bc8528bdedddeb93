/**
 * The plan `fused`: decompress · operator · compress, with neighbouring compress · decompress pairs cancelled.
 *
 * A feature map is known as coefficients, as pixels, or both. An operator asks for the form it works on; the transform
 * between the forms is added to the graph the first time it is asked for, and so never where the next operator would
 * undo it. What is left of it is one inverse transform at the entrance, and the projections of approximate ReLUs.
 */
import { float, type GraphBuilder } from "../../onnx/builder.js";
import { multiplyAdds } from "../operators/convolution.js";
import { projection } from "../operators/relu.js";
import type { ReluKind, Settings } from "../options.js";
import { type Cost, largest, type Plan, type Size } from "../plan.js";
import { isNotNegative, Transforms } from "./transforms.js";

interface FeatureMap {
  size: Size;
  /** `[N, C, X, Y, 64]`, where known. */
  coefficients?: string;
  /** `[N, C, H, W]`, where known. */
  pixels?: string;
}

export function fused(g: GraphBuilder, { relu, table }: Settings, cost: Cost): Plan<FeatureMap> {
  const transforms = new Transforms(g, table, cost);
  const pixels = (x: FeatureMap): string => {
    x.pixels ??= transforms.pixels(x.coefficients as string, x.size);
    return x.pixels;
  };
  return {
    enter: (coefficients, size) => ({ size, coefficients }),
    convolution(x, layer) {
      const { name, weight, bias, group, window, output } = layer;
      const inputs = [pixels(x), transforms.parameter(`${name}.weight`, weight)];
      if (bias) inputs.push(transforms.parameter(`${name}.bias`, bias));
      const { kernel, strides, dilations, pads } = window;
      const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
      cost.multiplyAdds += multiplyAdds(layer);
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
    relu: (x) => ({ size: x.size, pixels: activate(transforms, relu, pixels(x), x.size) }),
    add: (a, b) => ({ size: largest(a.size, b.size), pixels: g.node("Add", [pixels(a), pixels(b)]) }),
    globalAverage: (x) =>
      x.pixels === undefined
        ? transforms.mean(x.coefficients as string)
        : g.node("GlobalAveragePool", [x.pixels]),
    pixels,
  };
}

/** ReLU on pixels `[N, C, H, W]`: exact, or with the projection of each block onto its low spatial frequencies. */
function activate(transforms: Transforms, relu: ReluKind, x: string, size: Size): string {
  const { g } = transforms;
  if (relu.kind === "exact") return g.node("Relu", [x]);
  const { vectors } = projection(relu.n);
  const blocksWide = size.width / 8;
  const inStrips = 2 * vectors.length * blocksWide <= TRANSPOSE_COST;
  const lined = inStrips
    ? g.node("Reshape", [x, g.ints([-1, 64 * blocksWide])])
    : g.node("Reshape", [swapBlocks(g, x, size), g.ints([-1, 64])]);
  const low = project(transforms, lined, relu.n, inStrips ? blocksWide : 1, size);
  const y = relu.kind === "asm" ? g.node("Mul", [lined, isNotNegative(g, low)]) : g.node("Relu", [low]);
  const shape = g.ints([-1, size.channels, size.height, size.width]);
  if (inStrips) return g.node("Reshape", [y, shape], {}, relu.kind);
  const blocks = g.node("Reshape", [y, g.ints([-1, (size.channels * size.height) / 8, blocksWide, 8, 8])]);
  return g.node("Reshape", [g.node("Transpose", [blocks], { perm: [0, 1, 3, 2, 4] }), shape], {}, relu.kind);
}

/**
 * A block's pixels lie 8 to a row of the image, between those of its neighbours. Either they are brought together,
 * which takes two transpositions, or a whole strip of 8 rows is projected as one vector, with one copy of the vectors
 * per block and zeros between. The zeros cost a multiplication each, per pixel 2 · vectors · blocks; a pair of
 * transpositions takes as long as about this many (measured: equal at 160 to 220).
 */
const TRANSPOSE_COST = 160;

/** `[N, C, H, W]` → `[N, C H/8, W/8, 8, 8]`. */
function swapBlocks(g: GraphBuilder, x: string, { channels, height, width }: Size): string {
  const split = g.node("Reshape", [x, g.ints([-1, (channels * height) / 8, 8, width / 8, 8])]);
  return g.node("Transpose", [split], { perm: [0, 1, 3, 2, 4] });
}

/** x_n of rows of `blocks` blocks each, 8 pixel rows high: `[-1, 64 blocks]` → the same. */
function project(transforms: Transforms, x: string, n: number, blocks: number, size: Size): string {
  const { g } = transforms;
  const { vectors, complement } = projection(n);
  const [pixels, rank] = [64 * blocks, vectors.length * blocks];
  const entry = (pixel: number, vector: number) => {
    const [i, rest] = [Math.floor(pixel / (8 * blocks)), pixel % (8 * blocks)];
    const [block, f] = [Math.floor(vector / vectors.length), vector % vectors.length];
    return Math.floor(rest / 8) === block ? ((vectors[f] as number[])[8 * i + (rest % 8)] as number) : 0;
  };
  const analysis = transforms.constant(`analyse_${n}_${blocks}`, [pixels, rank], () =>
    Float32Array.from({ length: pixels * rank }, (_, at) => entry(Math.floor(at / rank), at % rank)),
  );
  const sign = complement ? -1 : 1;
  const synthesis = transforms.constant(`synthesise_${n}_${blocks}`, [rank, pixels], () =>
    Float32Array.from(
      { length: pixels * rank },
      (_, at) => sign * entry(at % pixels, Math.floor(at / pixels)),
    ),
  );
  transforms.count(2 * rank, size);
  const frequencies = g.node("MatMul", [x, analysis]);
  return complement
    ? g.node("Gemm", [frequencies, synthesis, x])
    : g.node("MatMul", [frequencies, synthesis]);
}
