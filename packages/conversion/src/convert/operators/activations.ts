/**
 * Activations of pieces: y = f(x), with a polynomial f_p on each piece p(x).
 *
 * The piece can be taken from the spatial frequencies alpha + beta <= n. With x a block's pixels and x_n their
 * reconstruction from those frequencies:
 *
 *   exact   y = f(x)
 *   ASM     y = f_p(x),  p = p(x_n)      approximated spatial masking: only the piece is approximate
 *   APX     y = f(x_n)                   the paper's baseline
 *
 * Source: Ehrlich & Davis, ICCV 2019, section 4.2 (ASM of any piecewise-linear function, shown for ReLU).
 */
import { besideBlocks, copyOf } from "../domain/beside.js";
import { type Coefficient, keepsZero, keepsZeros, onPieceOf, type Piece } from "../domain/pieces.js";
import { type Base, sameSides } from "../layers.js";
import type { Family, NodeContext, Read } from "./context.js";

export interface Piecewise extends Base {
  kind: "piecewise";
  /** By rising `from`; the first one's is -∞. */
  pieces: Piece[];
}

const ALL = Number.NEGATIVE_INFINITY;
const piece = (from: Coefficient, ...polynomial: Coefficient[]): Piece => ({ from, polynomial });
const zero = piece(ALL, 0);
const identityFrom = (from: Coefficient) => piece(from, 0, 1);

/** Clipping between `low` and `high`, which wins. */
function clipped(low: number, high: number): Piece[] {
  const from = Math.min(low, high);
  const below = from > ALL ? [piece(ALL, from)] : [];
  const above = high < Number.POSITIVE_INFINITY ? [piece(high, high)] : [];
  return [...below, identityFrom(from), ...above];
}

/** clip(alpha x + beta, 0, 1) times x to the power `degree`. */
function hardGate(context: NodeContext, alpha: number, beta: number, degree = 0): Piece[] {
  if (!(alpha > 0)) context.refuse(`its alpha is ${alpha}, expected a rising line`);
  const powers = new Array<number>(degree).fill(0);
  return [zero, piece(-beta / alpha, ...powers, beta, alpha), piece((1 - beta) / alpha, ...powers, 1)];
}

const alpha = (context: NodeContext, otherwise: number) => context.float("alpha", otherwise);

/** A bound of `Clip`: an input, or the attribute of older operator sets. */
const bound = (context: NodeContext, i: number, name: string, otherwise: number): number => {
  const given = context.constant(i);
  return given ? Number(given.data[0]) : context.float(name, otherwise);
};

/** The constant that an input is. */
function constant(context: NodeContext, input: number): Coefficient {
  context.required(input);
  return { input };
}

/** The constant beside the feature map in `Max` and `Min`. */
const other = (context: NodeContext) => constant(context, context.operands[0]?.kind === "map" ? 1 : 0);

const PIECES: Record<string, (context: NodeContext) => Piece[]> = {
  Relu: () => [zero, identityFrom(0)],
  LeakyRelu: (context) => [piece(ALL, 0, alpha(context, 0.01)), identityFrom(0)],
  PRelu: (context) => [piece(ALL, 0, constant(context, 1)), identityFrom(0)],
  ThresholdedRelu: (context) => [zero, identityFrom(alpha(context, 1))],
  Abs: () => [piece(ALL, 0, -1), identityFrom(0)],
  Clip: (context) =>
    clipped(bound(context, 1, "min", ALL), bound(context, 2, "max", Number.POSITIVE_INFINITY)),
  HardSigmoid: (context) => hardGate(context, alpha(context, 0.2), context.float("beta", 0.5)),
  HardSwish: (context) => hardGate(context, 1 / 6, 1 / 2, 1),
  Shrink(context) {
    const [lambda, bias] = [context.float("lambd", 0.5), context.float("bias", 0)];
    return [piece(ALL, bias, 1), piece(-lambda, 0), piece(lambda, -bias, 1)];
  },
  Max: (context) => [piece(ALL, other(context)), identityFrom(other(context))],
  Min: (context) => [piece(ALL, 0, 1), piece(other(context), other(context))],
};

/** Whether an operator is one that can be approximated from a block's low frequencies. */
export const isPiecewise = (op: string): boolean => Object.hasOwn(PIECES, op);

const read =
  (piecesOf: (context: NodeContext) => Piece[]): Read<Piecewise> =>
  (context) => {
    const { operands } = context;
    if (operands.filter((operand) => operand?.kind === "map").length !== 1 || operands.length > 3)
      context.refuse(`it compares ${operands.length} operands, expected a feature map and a constant`);
    const base = context.base;
    for (const [i, operand] of operands.entries()) {
      if (operand?.kind === "map" && !sameSides(operand.size, base.output))
        context.refuse(
          `it repeats a map of ${operand.size.height}x${operand.size.width}, expected equal sizes`,
        );
      context.beside(i);
    }
    return { kind: "piecewise", ...base, pieces: piecesOf(context) };
  };

export const ACTIVATIONS: Family<Piecewise> = {
  read: Object.fromEntries(Object.entries(PIECES).map(([op, pieces]) => [op, read(pieces)])),
  lower: {
    piecewise(x, layer, inputs) {
      const { domain } = x;
      const { kind, n } = domain.approximation;
      const { pieces, output, node } = layer;
      const applied = (blocks: string) =>
        copyOf(
          domain.g,
          layer,
          inputs.map((input) => (input?.kind === "map" ? blocks : besideBlocks(domain, input, output))),
        );
      if (kind === "exact") return domain.ofSingle(applied(x.single), output, keepsZero(pieces), node.op);
      const low = x.low(n);
      // x_n is not zero outside the map, even where x is.
      if (kind === "apx") return domain.ofSingle(applied(low), output, false, kind);
      const y = onPieceOf(domain.g, pieces, { x: x.single, low }, (input) =>
        besideBlocks(domain, inputs[input], output),
      );
      return domain.ofSingle(y, output, keepsZeros(pieces), kind);
    },
  },
};
