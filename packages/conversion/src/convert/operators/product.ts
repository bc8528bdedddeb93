/**
 * Products and quotients. With one number a channel they are the same on coefficients as on pixels; of two feature maps, or
 * with one number a pixel, they need the pixels.
 */
import { besideBlocks, besideCoefficients, type Computed, isEven, spread } from "../domain/beside.js";
import type { Base } from "../layers.js";
import type { Family, Read } from "./context.js";
import { areStillPixels, checkOperands } from "./linear.js";

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

export const PRODUCT: Family<Product> = {
  read: { Mul: product("Mul"), Div: product("Div") },
  lower: {
    product({ domain }, { op, node, output }, inputs) {
      const { g, transforms } = domain;
      const [a, b] = inputs;
      const hint = node.outputs[0] as string;
      const isScaled = isEven(b, output) || (op === "Mul" && isEven(a, output));
      if (isScaled && !areStillPixels(inputs, output)) {
        const factors = inputs.map((input) =>
          input?.kind === "constant"
            ? transforms.parameter("factor", spread(input.value))
            : besideCoefficients(domain, input as Computed, output),
        );
        return domain.map(g.node(op, factors, {}, hint), output);
      }
      // A constant divisor is 1 outside the map, where 0 / 0 would be no number.
      const factors = inputs.map((input) => besideBlocks(domain, input, output, op === "Mul" ? 0 : 1));
      const isZeroOutside = op === "Mul" || isScaled || b?.kind === "constant";
      return domain.ofSingle(g.node(op, factors, {}, hint), output, isZeroOutside);
    },
  },
};
