/** A file's planes in parts that threads make side by side, each from its own restart intervals. */
import type { RowRange, RowStart } from "@jpeg-domain/coefficients/internal";
import type { Program } from "./wasm/program.js";

/** Some lines of the crop, and the rows that are decoded for them. Plain data, so that it can be sent to a thread. */
export interface PlanePart {
  line: number;
  /** The line after the last. */
  endLine: number;
  rows: RowRange;
}

/** Beside its bytes, the work for a row of pixels of each block, counted in bytes (measured at scale 1/8). */
const BYTES_PER_BLOCK = 4;

/** With a larger share in one part, threads are not worth it. */
const MOST_SHARE = 0.8;

/**
 * Splits a crop into up to `most` parts of about the same work.
 *
 * Each part goes on to where the next one begins, so together they decode every row of the file, from the first to the
 * last, as one thread does. If none of them finds damage, there is none.
 *
 * @param found - the rows of the file at which decoding can begin; as many are taken as are needed
 * @param length - of the file
 * @returns undefined if these rows are too few
 */
export function partsOf(
  program: Program,
  found: Iterator<RowStart, void>,
  length: number,
  most: number,
): PlanePart[] | undefined {
  const starts: RowStart[] = [];
  /** The first start for which `isMet`; undefined if there is none. */
  const firstStart = (isMet: (start: RowStart) => boolean): RowStart | undefined => {
    const known = starts.find(isMet);
    if (known) return known;
    for (let next = found.next(); !next.done; next = found.next()) {
      starts.push(next.value);
      if (isMet(next.value)) return next.value;
    }
    return undefined;
  };
  const lines = program.job.rows.first.length;
  const begin = firstStart(() => true) as RowStart;
  const end = { row: program.rows, offset: length };
  const perRow = BYTES_PER_BLOCK * blocksInRow(program);
  const work = (from: Place, to: Place) => to.offset - from.offset + (to.row - from.row) * perRow;
  const all = work(begin, end);
  const firsts: { line: number; from: RowStart }[] = [{ line: 0, from: begin }];
  for (let part = 1; part < most; part++) {
    const wanted = firstStart((start) => work(begin, start) >= (all * part) / most);
    if (wanted === undefined) break;
    const line = lineAt(program, wanted.row);
    if (line <= (firsts.at(-1)?.line ?? 0) || line >= lines) continue;
    const [row] = program.rowsFor(line, lines);
    firsts.push({ line, from: starts.findLast((start) => start.row <= row) as RowStart });
  }
  const parts = firsts.map(({ line, from }, index): PlanePart => {
    const next = firsts[index + 1];
    if (next === undefined) return { line, endLine: lines, rows: { from, endRow: end.row, to: undefined } };
    const endRow = Math.max(next.from.row, program.rowsFor(line, next.line)[1]);
    return { line, endLine: next.line, rows: { from, endRow, to: firstStart(({ row }) => row >= endRow) } };
  });
  const largest = Math.max(...parts.map(({ rows }) => work(rows.from, rows.to ?? end)));
  return parts.length > 1 && largest <= MOST_SHARE * all ? parts : undefined;
}

type Place = Pick<RowStart, "row" | "offset">;

const blocksInRow = ({ parts }: Program): number =>
  parts.reduce((sum, { blocksWide, verticalSampling }) => sum + blocksWide * verticalSampling, 0);

/** The first line of the crop that needs no row before `row`. */
function lineAt(program: Program, row: number): number {
  const lines = program.job.rows.first.length;
  let [from, to] = [0, lines];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (program.rowsFor(middle, lines)[0] < row) from = middle + 1;
    else to = middle;
  }
  return from;
}
