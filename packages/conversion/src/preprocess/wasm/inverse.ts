/** The basis for assembly/inverse.ts. */
import { BASES } from "../basis.js";

/** Even frequencies, then odd ones. */
const ORDER = [0, 2, 4, 6, 1, 3, 5, 7];

/** For each number of points, `a(i, α)` in Q15: (a0, a2), (a4, a6), (a1, a3), (a5, a7) for each i of the first half. */
export const BASES_Q15: readonly Int16Array[] = BASES.map((basis) =>
  Int16Array.from(
    basis
      .slice(0, Math.ceil(basis.length / 2))
      .flatMap((row) => ORDER.map((alpha) => Math.round((row[alpha] ?? 0) * 2 ** 15))),
  ),
);
