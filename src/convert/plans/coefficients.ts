/**
 * What the plans `blockwise` and `exploded` share: every feature map is a coefficient tensor `[N, C, X, Y, 64]`, and
 * all operators but the convolution work on it block by block.
 */
import { float32 } from "../../onnx/graph.js";
import { affine } from "../operators/batch-normalization.js";
import type { Convolution } from "../operators/convolution.js";
import type { ReluKind } from "../options.js";
import { largest, type Plan, type Size } from "../plan.js";
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
    enter: (name, size) => ({ name, size }),
    convolution: (x, layer) => ({ name: convolve(transforms, x.name, layer), size: layer.output }),
    batchNormalization(x, layer) {
      const { scale, shift } = affine(layer);
      const factor = transforms.parameter("scale", float32(scale, [scale.length, 1, 1, 1]));
      return { size: x.size, name: addMeans(transforms, g.node("Mul", [x.name, factor]), shift) };
    },
    relu(x) {
      transforms.count(relu.kind === "asm" ? 192 : 128, x.size);
      const low = g.node("MatMul", [x.name, transforms.decompression(relu.n)], {}, "pixels");
      const y =
        relu.kind === "asm"
          ? g.node("Mul", [g.node("MatMul", [x.name, transforms.decompression()]), isNotNegative(g, low)])
          : g.node("Relu", [low]);
      return { size: x.size, name: g.node("MatMul", [y, transforms.compression()], {}, relu.kind) };
    },
    add: (a, b) => ({ size: largest(a.size, b.size), name: g.node("Add", [a.name, b.name]) }),
    globalAverage: (x) => transforms.mean(x.name),
    pixels: (x) => transforms.pixels(x.name, x.size),
  };
}

/** Adds to each channel a constant image of value `shift[c]`: only k = 0 sees it. */
export function addMeans(transforms: Transforms, x: string, shift: ArrayLike<number>): string {
  const values = new Float32Array(64 * shift.length);
  for (let c = 0; c < shift.length; c++) values[64 * c] = (shift[c] as number) * transforms.unit;
  const term = transforms.parameter("shift", float32(values, [shift.length, 1, 1, 64]));
  return transforms.g.node("Add", [x, term]);
}
