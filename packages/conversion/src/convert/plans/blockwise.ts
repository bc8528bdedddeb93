/**
 * The plan `blockwise`: every feature map is a coefficient tensor as far as operators are layers, and a layer takes such
 * tensors to such tensors (operators/). A block sees only the blocks within reach, so operations and memory are linear in
 * the image. Convolutions go by the algorithm of fewest multiplications (domain/algorithms.ts).
 *
 * Any other operator, as MaxPool, works on pixels. What it makes re-enters where a layer reads it that gains from
 * coefficients, if the result is read on coefficients too: a convolution between two such operators stays with them.
 */
import { type CoefficientMap, Coefficients } from "../domain/coefficients.js";
import { inside } from "../domain/padding.js";
import { Transforms } from "../domain/transforms.js";
import { pixelCount } from "../layers.js";
import { ON_COEFFICIENTS } from "../operators/table.js";
import type { Plan, PlanContext } from "../plan.js";

export function blockwise({ g, settings: { relu, table }, cost, note }: PlanContext): Plan<CoefficientMap> {
  const transforms = new Transforms(g, table, cost);
  const domain = new Coefficients(transforms, relu, (choice) => note("coefficients", choice));
  return {
    ...onCoefficients(domain),
    pixels: ({ planes }) => planes,
    // One number a channel, as a gate is, is no image to transform.
    reenter: (pixels, size) => (pixelCount(size) > 1 ? domain.fromOutside(pixels, size) : undefined),
    // Operators that treat each pixel alone are as good on pixels, unless they are to be approximated from frequencies.
    reentersFor: ({ kind }, isRead) =>
      (kind === "piecewise" && relu.kind !== "exact") ||
      (isRead && (kind === "convolution" || kind === "average" || kind === "unevenAverage")),
  };
}

/** The coefficient domain as a plan. */
export const onCoefficients = (domain: Coefficients): Plan<CoefficientMap> => ({
  layers: ON_COEFFICIENTS,
  planes: (coefficients, planes) => domain.transforms.pixels(coefficients, planes),
  enter: (coefficients, size) => domain.map(inside(domain.transforms, coefficients, size), size),
  pixels: ({ pixels }) => pixels,
});
