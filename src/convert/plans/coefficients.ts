/**
 * What the plans `blockwise` and `exploded` share: every feature map is a coefficient tensor `[N, C, X, Y, 64]`, and
 * all operators but the convolution work on it block by block.
 */
import { float32 } from "../../onnx/graph.js";
import { type Convolution, largest, type Size } from "../layers.js";
import { affine } from "../operators/batch-normalization.js";
import type { ReluKind } from "../options.js";
import type { Plan } from "../plan.js";
import { isNotNegative, type Transforms } from "./transforms.js";

export interface CoefficientMap {
  size: Size;
  /** `[N, C, X, Y, 64]`. */
  name: string;
}

/** Carries out a convolution on a coefficient tensor, bias included. */
export type Convolve = (transforms: Transforms, x: string, layer: Convolution) => string;

export function coefficientPlan(
  transforms: Transforms,
  relu: ReluKind,
  convolve: Convolve,
): Plan<CoefficientMap> {
  const { g } = transforms;
  return {
    wholeBlocks: true,
    enter: (name, size) => ({ name, size }),
    planes: (coefficients, planes) => transforms.pixels(coefficients, planes),
    convolution: (x, layer) => ({ name: convolve(transforms, x.name, layer), size: layer.output }),
    batchNormalization(x, layer) {
      const { scale, shift } = affine(layer);
      const factor = transforms.parameter("scale", float32(scale, [scale.length, 1, 1, 1]));
      return { size: x.size, name: addMeans(transforms, g.node("Mul", [x.name, factor]), shift) };
    },
    relu: (x) => ({ size: x.size, name: activate(transforms, relu, x) }),
    add: (a, b) => ({ size: largest(a.size, b.size), name: g.node("Add", [a.name, b.name]) }),
    globalAverage: (x) => transforms.mean(x.name),
    pixels: (x) => transforms.pixels(x.name, x.size),
  };
}

/** Decompress, ReLU or its mask, compress: with the mask, the notebook's harmonic mixing tensor `Hm`. */
function activate(transforms: Transforms, { kind, n }: ReluKind, { name, size }: CoefficientMap): string {
  const { g } = transforms;
  const pixels = transforms.decompress(name);
  transforms.count(kind === "exact" ? 256 : 320, size);
  if (kind === "exact") return transforms.compress(g.node("Relu", [pixels]), "relu");
  const low = g.node("Sub", [pixels, transforms.high(name, n)], {}, "low");
  const y = kind === "asm" ? g.node("Mul", [pixels, isNotNegative(g, low)]) : g.node("Relu", [low]);
  return transforms.compress(y, kind);
}

/** Adds to each channel a constant image of value `shift[c]`: only k = 0 sees it. */
export function addMeans(transforms: Transforms, x: string, shift: ArrayLike<number>): string {
  const values = new Float32Array(64 * shift.length);
  for (let c = 0; c < shift.length; c++) values[64 * c] = (shift[c] as number) * transforms.unit;
  const term = transforms.parameter("shift", float32(values, [shift.length, 1, 1, 64]));
  return transforms.g.node("Add", [x, term]);
}
