/**
 * Products and quotients. With one number a channel they are the same on coefficients as on pixels; of two feature maps, or
 * with one number a pixel, they need the pixels.
 */
import { besideBlocks, spread, spreadOf, tensorBlocks } from "../domain/beside.js";
import type { CoefficientMap } from "../domain/coefficients.js";
import type { Base, Operand } from "../layers.js";
import type { Family, Read } from "./context.js";
import { areStillPixels, checkOperands, repeated } from "./linear.js";

export interface Product extends Base {
  kind: "product";
  op: "Mul" | "Div";
}

const product =
  (op: "Mul" | "Div"): Read<Product> =>
  (context) => {
    const base = context.base;
    if (context.operands.length !== 2)
      context.refuse(`it has ${context.operands.length} operands, expected 2`);
    checkOperands(context, base.output);
    return { kind: "product", ...base, op };
  };

/** Whether an operand has the same number for all pixels of a channel. */
const isEven = (operand: Operand | undefined): boolean =>
  operand?.kind === "constant"
    ? spreadOf(operand.value.dims) !== "pixels"
    : operand?.kind === "tensor" && spreadOf(operand.shape) !== "pixels";

export const PRODUCT: Family<Product> = {
  read: { Mul: product("Mul"), Div: product("Div") },
  lower: {
    product({ domain }, layer, given) {
      const { g, transforms } = domain;
      const { op, node, output } = layer;
      const [inputs, base] = repeated(given, layer);
      const [a, b] = base.operands;
      const hint = node.outputs[0] as string;
      const isScaled = isEven(b) || (op === "Mul" && isEven(a));
      if (isScaled && !areStillPixels(inputs)) {
        const factors = inputs.map((input, i) => {
          const operand = base.operands[i];
          if (operand?.kind === "tensor") return tensorBlocks(domain, input as string, operand.shape);
          return operand?.kind === "constant"
            ? transforms.parameter("factor", spread(domain, operand.value, output))
            : (input as CoefficientMap).coefficients;
        });
        return domain.map(g.node(op, factors, {}, hint), output);
      }
      // A constant divisor is 1 outside the map, where 0 / 0 would be no number.
      const factors = inputs.map((_, i) => besideBlocks(domain, base, inputs, i, op === "Mul" ? 0 : 1));
      const isZeroOutside = op === "Mul" || isScaled || b?.kind === "constant";
      return domain.ofSingle(g.node(op, factors, {}, hint), output, isZeroOutside);
    },
  },
};
