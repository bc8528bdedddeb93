/** Smooth functions of each pixel alone: decompress · f · compress, whatever f is. They have no pieces to approximate. */
import { numbers } from "../../onnx/graph.js";
import { besideBlocks, copyOf } from "../domain/beside.js";
import type { Base } from "../layers.js";
import type { Family, NodeContext, Read } from "./context.js";

export interface Smooth extends Base {
  kind: "smooth";
  /** Whether f(0) = 0, and close to 0 where x is but rounding. */
  keepsZero: boolean;
}

/** Those that networks have as activations. */
const ACTIVATIONS_AT_ZERO: Record<string, boolean> = {
  ...{ Tanh: true, Erf: true, Softsign: true, Elu: true, Selu: true, Celu: true, Gelu: true, Mish: true },
  ...{ Swish: true, Sigmoid: false, Softplus: false },
};

const OTHERS_AT_ZERO: Record<string, boolean> = {
  ...{ Sin: true, Tan: true, Asin: true, Atan: true, Sinh: true, Asinh: true, Atanh: true },
  ...{ Exp: false, Log: false, Sqrt: false, Reciprocal: false, Cos: false, Cosh: false },
};

/** Whether an operator is an activation without pieces, which is exact whatever is asked for. */
export const isSmoothActivation = (op: string): boolean => Object.hasOwn(ACTIVATIONS_AT_ZERO, op);

const smooth =
  (keepsZero: (context: NodeContext) => boolean): Read<Smooth> =>
  (context) => {
    context.map();
    for (const i of context.operands.keys()) context.beside(i);
    return { kind: "smooth", ...context.base, keepsZero: keepsZero(context) };
  };

const isWholeAndPositive = (exponent: number) => Number.isInteger(exponent) && exponent > 0;

export const FUNCTIONS: Family<Smooth> = {
  read: {
    ...Object.fromEntries(
      Object.entries({ ...ACTIVATIONS_AT_ZERO, ...OTHERS_AT_ZERO }).map(([op, keepsZero]) => [
        op,
        smooth(() => keepsZero),
      ]),
    ),
    Pow: smooth((context) => numbers(context.required(1)).every(isWholeAndPositive)),
  },
  lower: {
    smooth(x, layer, inputs) {
      const { domain } = x;
      const blocks = inputs.map((input) => besideBlocks(domain, input, layer.output));
      const y = copyOf(domain.g, layer, blocks, `${layer.node.outputs[0]}.blocks`);
      return domain.ofSingle(y, layer.output, layer.keepsZero, layer.node.op);
    },
  },
};
