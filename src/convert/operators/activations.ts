/**
 * Operators that treat each pixel alone: decompress · f · compress, exactly, whatever f is.
 *
 * Piecewise-linear ones can also take their piece from the spatial frequencies alpha + beta <= n. With x a block's
 * pixels, x_n their reconstruction from those frequencies, and f(x) = a_p x + b_p on piece p(x):
 *
 *   exact   y = f(x)
 *   ASM     y = a_p x + b_p,  p = p(x_n)      approximated spatial masking: only the piece is approximate
 *   APX     y = f(x_n)                        the paper's baseline
 *
 * HardSwish is x · HardSigmoid(x), and its ASM that of its second factor. Smooth functions are exact in all three.
 * Source: Ehrlich & Davis, ICCV 2019, section 4.2 (ASM of any piecewise-linear function, shown for ReLU).
 */
import type { GraphBuilder } from "../../onnx/builder.js";
import { floatAttribute, numbers } from "../../onnx/graph.js";
import { isNotNegative } from "../domain/transforms.js";
import type { Size } from "../layers.js";
import {
  besideBlocks,
  type CoefficientCall,
  type CoefficientRule,
  constantOf,
  mapOf,
  outputSize,
  refuse,
  requiredConstant,
} from "./call.js";

/** A number, or the name of a tensor beside the blocks. */
type Value = number | string;

/** y = slope x + offset where x >= from. */
interface Piece {
  from: Value;
  slope: Value;
  offset: Value;
}

interface PiecewiseLinear {
  /** By rising `from`; the first one's is -∞. */
  pieces(call: CoefficientCall, size: Size): Piece[];
  /** Whether the pieces are of a factor of x. */
  gates?: boolean;
}

const line = (from: Value, slope: Value, offset: Value = 0): Piece => ({ from, slope, offset });
const ALL = Number.NEGATIVE_INFINITY;

/** Clipping between `low` and `high`. */
const clipped = (low: number, high: number): Piece[] => [
  ...(low > ALL ? [line(ALL, 0, low)] : []),
  line(low, 1),
  ...(high < Number.POSITIVE_INFINITY ? [line(high, 0, high)] : []),
];

/** clip(alpha x + beta, 0, 1). */
function hardSigmoid(call: CoefficientCall, alpha: number, beta: number): Piece[] {
  if (!(alpha > 0)) refuse(call, `its alpha is ${alpha}, expected a rising line`);
  return [line(ALL, 0), line(-beta / alpha, alpha, beta), line((1 - beta) / alpha, 0, 1)];
}

const alpha = (call: CoefficientCall, otherwise: number) => floatAttribute(call.node, "alpha", otherwise);

/** A bound of `Clip`: an input, or the attribute of older operator sets. */
function bound(call: CoefficientCall, i: number, name: string, otherwise: number): number {
  const given = constantOf(call, i);
  return given ? (numbers(given)[0] as number) : floatAttribute(call.node, name, otherwise);
}

/** The constant beside a feature map in `Max` or `Min`. */
const other = (call: CoefficientCall, size: Size): string =>
  besideBlocks(call, call.operands[0]?.kind === "map" ? 1 : 0, size);

const PIECEWISE_LINEAR: Record<string, PiecewiseLinear> = {
  Relu: { pieces: () => [line(ALL, 0), line(0, 1)] },
  LeakyRelu: { pieces: (call) => [line(ALL, alpha(call, 0.01)), line(0, 1)] },
  PRelu: { pieces: (call, size) => [line(ALL, besideBlocks(call, 1, size)), line(0, 1)] },
  ThresholdedRelu: { pieces: (call) => [line(ALL, 0), line(alpha(call, 1), 1)] },
  Abs: { pieces: () => [line(ALL, -1), line(0, 1)] },
  Clip: {
    pieces: (call) => clipped(bound(call, 1, "min", ALL), bound(call, 2, "max", Number.POSITIVE_INFINITY)),
  },
  HardSigmoid: {
    pieces: (call) => hardSigmoid(call, alpha(call, 0.2), floatAttribute(call.node, "beta", 0.5)),
  },
  HardSwish: { pieces: (call) => hardSigmoid(call, 1 / 6, 1 / 2), gates: true },
  Max: { pieces: (call, size) => [line(ALL, 0, other(call, size)), line(other(call, size), 1)] },
  Min: { pieces: (call, size) => [line(ALL, 1), line(other(call, size), 0, other(call, size))] },
};

/** Whether an operator is one that can be approximated from a block's low frequencies. */
export const isPiecewiseLinear = (op: string): boolean => Object.hasOwn(PIECEWISE_LINEAR, op);

/** Smooth functions, and whether f(0) = 0, and close to 0 where x is but rounding. */
const SMOOTH: Record<string, (call: CoefficientCall) => boolean> = {
  ...Object.fromEntries(
    ["Tanh", "Erf", "Softsign", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish", "Sin", "Tan"]
      .concat(["Asin", "Atan", "Sinh", "Asinh", "Atanh"])
      .map((op) => [op, () => true]),
  ),
  ...Object.fromEntries(
    ["Sigmoid", "Exp", "Log", "Sqrt", "Softplus", "Reciprocal", "Cos", "Cosh"].map((op) => [op, () => false]),
  ),
  Pow: (call) =>
    numbers(requiredConstant(call, 1)).every((exponent) => Number.isInteger(exponent) && exponent > 0),
};

/** The node's own operator on blocks of pixels, `x` in the place of its feature map. */
function applied(call: CoefficientCall, x: string, size: Size): string {
  const { node, domain, operands } = call;
  const inputs = node.inputs.map((_, i) => {
    const operand = operands[i];
    if (operand === undefined) return "";
    return operand.kind === "map" ? x : besideBlocks(call, i, size);
  });
  const name = domain.g.unique(`${node.outputs[0]}.blocks`);
  domain.g.copy(node, inputs, [name]);
  return name;
}

/** The piece of `x` that `low` is on. */
function chosen(g: GraphBuilder, pieces: Piece[], x: string, low: string): string {
  const named = (value: Value) => (typeof value === "string" ? value : g.floats([value], []));
  const on = ({ slope, offset }: Piece): string => {
    if (slope === 0) return named(offset);
    const product = slope === 1 ? x : g.node("Mul", [x, named(slope)]);
    return offset === 0 ? product : g.node("Add", [product, named(offset)]);
  };
  const [first, ...rest] = pieces as [Piece, ...Piece[]];
  if (rest.length === 1 && first.slope === 0 && first.offset === 0 && rest[0]?.from === 0)
    return g.node("Mul", [on(rest[0]), isNotNegative(g, low)]);
  return rest.reduce(
    (below, piece) => g.node("Where", [g.node("Less", [low, named(piece.from)]), below, on(piece)]),
    on(first),
  );
}

/** Whether f(0) = 0, for sure. */
function keepsZero({ gates }: PiecewiseLinear, pieces: Piece[]): boolean {
  const at = pieces.filter(({ from }) => typeof from === "number" && from <= 0).at(-1);
  const sure = pieces.every(({ from }) => typeof from === "number");
  return gates === true || (sure && at?.offset === 0);
}

const piecewiseLinear =
  (f: PiecewiseLinear): CoefficientRule =>
  (call) => {
    const { node, domain } = call;
    const { kind, n } = domain.relu;
    const maps = call.operands.filter((operand) => operand?.kind === "map").length;
    if (maps !== 1 || call.operands.length > 3)
      refuse(call, `it compares ${call.operands.length} operands, expected a feature map and a constant`);
    const x = mapOf(call, call.operands[0]?.kind === "map" ? 0 : 1);
    const size = outputSize(call);
    if (x.size.height !== size.height || x.size.width !== size.width)
      refuse(call, `it repeats a map of ${x.size.height}x${x.size.width}, expected equal sizes`);
    const pieces = f.pieces(call, size);
    const zero = keepsZero(f, pieces);
    if (kind === "exact")
      return [domain.ofSingle(applied(call, domain.single(x), size), size, zero, node.op)];
    const low = domain.low(x, n);
    // x_n is not zero outside the map, even where x is.
    if (kind === "apx") return [domain.ofSingle(applied(call, low, size), size, false, kind)];
    const piece = chosen(domain.g, pieces, domain.single(x), low);
    const y = f.gates ? domain.g.node("Mul", [domain.single(x), piece]) : piece;
    return [domain.ofSingle(y, size, pieces.every(({ offset }) => offset === 0) || f.gates === true, kind)];
  };

const smooth =
  (zero: (call: CoefficientCall) => boolean): CoefficientRule =>
  (call) => {
    const x = mapOf(call);
    const size = outputSize(call);
    const y = applied(call, call.domain.single(x), size);
    return [call.domain.ofSingle(y, size, zero(call), call.node.op)];
  };

const rules = <T>(table: Record<string, T>, rule: (entry: T) => CoefficientRule) =>
  Object.fromEntries(Object.entries(table).map(([op, entry]) => [op, rule(entry)]));

export const ACTIVATIONS: Record<string, CoefficientRule> = {
  ...rules(PIECEWISE_LINEAR, piecewiseLinear),
  ...rules(SMOOTH, smooth),
};
