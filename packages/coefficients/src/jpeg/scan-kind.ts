import { AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL } from "./assembly/scan-kinds.js";

/** What a scan codes, as the programs number it: assembly/scan-kinds.ts. */
export function scanKind(
  progressive: boolean,
  { spectralStart, approximationHigh }: { spectralStart: number; approximationHigh: number },
): number {
  if (!progressive) return SEQUENTIAL;
  const isFirst = approximationHigh === 0;
  if (spectralStart === 0) return isFirst ? DC_FIRST : DC_REFINE;
  return isFirst ? AC_FIRST : AC_REFINE;
}
