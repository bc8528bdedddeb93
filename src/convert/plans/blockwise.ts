/**
 * The plan `blockwise`: every feature map stays a coefficient tensor, and every operator takes such tensors to such
 * tensors (operators/coefficient-rules.ts). A block sees only the blocks within reach, so operations and memory are
 * linear in the image. Convolutions are carried out in the way that takes fewest multiplications (ways.ts).
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { coefficientRules } from "../operators/coefficient-rules.js";
import type { Settings } from "../options.js";
import type { Cost, Note, Plan } from "../plan.js";
import { type CoefficientMap, Coefficients, coefficientPlan } from "./coefficients.js";
import { Transforms } from "./transforms.js";
import { average, convolve } from "./ways.js";

export function blockwise(
  g: GraphBuilder,
  { relu, table }: Settings,
  cost: Cost,
  note: Note,
): Plan<CoefficientMap> {
  const domain = new Coefficients(new Transforms(g, table, cost), relu, convolve, average, note);
  return {
    ...coefficientPlan(domain),
    wholeBlocks: false,

    rules: coefficientRules(domain),
  };
}
