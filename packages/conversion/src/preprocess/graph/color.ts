/** Colours as nodes: ../reference/color.ts for grayscale, YCbCr and RGB. */
import { FROM_YCBCR, LUMA, ORDERS } from "../colors.js";
import type { Preprocess } from "../preprocess.js";
import type { Arithmetic } from "./arithmetic.js";

/** From the components' pixels to those of the network's channels `[C, pixels]`, both bytes less 128. */
export function colors(m: Arithmetic, planes: string[], isRgb: string, { channels }: Preprocess): string {
  const { g } = m;
  const isGray = channels === "grayscale";
  const order = isGray ? [0] : ORDERS[channels];
  const matrix = (rows: readonly (readonly number[])[]) =>
    g.floats(
      order.flatMap((c) => [...(rows[c] as number[])]),
      [order.length, 3],
    );
  const identity = [0, 1, 2].map((row) => [0, 1, 2].map((column) => Number(row === column)));
  const fromRgb = matrix(isGray ? [LUMA] : identity);
  const fromYcbcr = matrix(isGray ? identity : FROM_YCBCR);
  const mixing = m.real.where(isRgb, fromRgb, fromYcbcr);
  return m.toBytes(g.node("MatMul", [mixing, m.toReal(m.list(...planes))]));
}
