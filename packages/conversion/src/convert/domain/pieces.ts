/** Piecewise polynomials as nodes. Every plan approximates activations with them. */
import type { GraphBuilder } from "../../onnx/builder.js";
import { isNotNegative } from "./transforms.js";

/** A number, or an input of the node that is a constant: one number, one a channel or one a pixel. */
export type Coefficient = number | { input: number };

/** y = Σ_d c_d x^d where x >= from. */
export interface Piece {
  from: Coefficient;
  /** By rising degree. */
  polynomial: Coefficient[];
}

/** Whether f(0) = 0, for sure. */
export function keepsZero(pieces: readonly Piece[]): boolean {
  const isSure = pieces.every(({ from }) => typeof from === "number");
  const at = pieces.filter(({ from }) => typeof from === "number" && from <= 0).at(-1);
  return isSure && at?.polynomial[0] === 0;
}

/** Whether every piece is 0 at 0, so that ASM keeps zeros whatever piece they are on. */
export const keepsZeros = (pieces: readonly Piece[]): boolean =>
  pieces.every(({ polynomial }) => polynomial[0] === 0);

/**
 * ASM: at each pixel the polynomial of `x` on the piece that `low` is on.
 * @param constant The name of a constant input, in a shape that broadcasts to `x`.
 */
export function onPieceOf(
  g: GraphBuilder,
  pieces: readonly Piece[],
  { x, low }: { x: string; low: string },
  constant: (input: number) => string,
): string {
  const term = (value: Coefficient) =>
    typeof value === "number" ? g.floats([value], []) : constant(value.input);
  const on = ({ polynomial }: Piece): string => {
    const [first = 0, ...rest] = polynomial;
    if (rest.length === 0) return term(first);
    // Horner's scheme, from the highest degree down.
    const sum = rest.reduceRight<string | undefined>((above, c) => {
      if (above === undefined) return c === 1 ? x : g.node("Mul", [x, term(c)]);
      return g.node("Mul", [x, c === 0 ? above : g.node("Add", [above, term(c)])]);
    }, undefined) as string;
    return first === 0 ? sum : g.node("Add", [sum, term(first)]);
  };
  if (isRelu(pieces)) return g.node("Mul", [x, isNotNegative(g, low)]);
  const [first, ...rest] = pieces as [Piece, ...Piece[]];
  return rest.reduce(
    (below, piece) => g.node("Where", [g.node("Less", [low, term(piece.from)]), below, on(piece)]),
    on(first),
  );
}

const isRelu = (pieces: readonly Piece[]): boolean =>
  pieces.map(({ polynomial }) => polynomial.join()).join(" ") === "0 0,1" && pieces[1]?.from === 0;
