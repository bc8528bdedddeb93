/**
 * The plan `blockwise`: every feature map is a coefficient tensor as far as operators have rules, and a rule takes such
 * tensors to such tensors (operators/coefficient-rules.ts). A block sees only the blocks within reach, so operations and
 * memory are linear in the image. Convolutions are carried out in the way that takes fewest multiplications (ways.ts).
 *
 * An operator without a rule, as MaxPool, works on pixels. What it makes is taken back where an operator reads it that
 * coefficients are for, if the result is read on coefficients too: a convolution between two operators without rule
 * stays with them.
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Node, ruleFor } from "../../onnx/graph.js";
import { type CoefficientMap, Coefficients, coefficientPlan } from "../domain/coefficients.js";
import { Transforms } from "../domain/transforms.js";
import { pixelCount } from "../layers.js";
import { isPiecewiseLinear } from "../operators/activations.js";
import { coefficientRules } from "../operators/coefficient-rules.js";
import type { Settings } from "../options.js";
import type { Cost, Note } from "../plan.js";
import type { PlanWithRules } from "../rule.js";
import { average, convolve } from "./ways.js";

export function blockwise(
  g: GraphBuilder,
  { relu, table }: Settings,
  cost: Cost,
  note: Note,
): PlanWithRules<CoefficientMap> {
  const domain = new Coefficients(new Transforms(g, table, cost), relu, convolve, average, note);
  const rules = coefficientRules(domain);
  const hasRule = (node: Node) => ruleFor(rules, node) !== undefined;
  // Operators that treat each pixel alone are as good on pixels, unless they are to be approximated from frequencies.
  const isForCoefficients = ({ op }: Node) =>
    op === "Conv" || op === "AveragePool" || (relu.kind !== "exact" && isPiecewiseLinear(op));
  return {
    ...coefficientPlan(domain),
    wholeBlocks: false,
    pixels: domain.toOutside,
    // One number a channel, as a gate is, is no image to transform.
    lift: (pixels, size) => (pixelCount(size) > 1 ? domain.fromOutside(pixels, size) : undefined),
    rules,
    reenters: (node, readers) => hasRule(node) && isForCoefficients(node) && readers.some(hasRule),
  };
}
