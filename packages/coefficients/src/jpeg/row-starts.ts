/** Where decoding can begin within a scan: at a restart interval (T.81, E.1.4) that begins with a row of whole MCUs. */
import { BAND, RESTARTS_PASSED, SLACK } from "./assembly/decode-layout.js";
import { decoder } from "./engine.js";
import type { Frame, Headers, ScanHeader } from "./headers.js";
import { reserve } from "./program.js";

/** The beginning of a row of whole MCUs that is the beginning of a restart interval too. */
export interface RowStart {
  row: number;
  /** The interval's first byte in the file. */
  offset: number;
  /** How many intervals come before it. */
  interval: number;
}

/** Rows of whole MCUs, and the bytes they are in. */
export interface RowRange {
  from: RowStart;
  /** The row after the last. */
  endRow: number;
  /** At or after `endRow`. */
  to: RowStart;
}

/** The file goes through the engine's memory in pieces of this size. */
const PIECE = 2 ** 18;

/**
 * Finds all such rows of a file's only scan, and its end. The numbers of its restart markers are checked.
 * @returns undefined if a number is wrong, or row 0 is the only such row
 */
export function passRestarts(
  { bytes, restartInterval }: Headers,
  { components, width, height, maxHorizontal, maxVertical }: Frame,
  { members, offset }: ScanHeader,
): RowStart[] | undefined {
  const rows = Math.ceil(height / (8 * maxVertical));
  const [only] = components;
  const mcusInRow =
    members.length === 1 && only
      ? only.blocksWide * only.verticalSampling
      : Math.ceil(width / (8 * maxHorizontal));
  const step = restartInterval / greatestDivisor(mcusInRow, restartInterval);
  if (step >= rows) return undefined;
  const engine = decoder.take();
  reserve(engine, BAND + PIECE + SLACK);
  const { u8, u32, exports } = engine;
  const passed = RESTARTS_PASSED / 4;
  u32[passed] = 0;
  const starts: RowStart[] = [{ row: 0, offset, interval: 0 }];
  const intervals = (row: number) => (row * mcusInRow) / restartInterval;
  let end = -1;
  for (let from = offset; end < 0 && from < bytes.length; ) {
    const piece = bytes.subarray(from, from + PIECE);
    const pieceEnd = BAND + piece.length;
    u8.set(piece, BAND);
    let at = BAND;
    for (;;) {
      const row = starts.length * step;
      const until = row < rows ? intervals(row) : 2 ** 32 - 1;
      at = exports.passRestarts(at, pieceEnd, until) >>> 0;
      if (u32[passed] === until) starts.push({ row, offset: from + at - BAND, interval: until });
      else break;
    }
    if (at < pieceEnd) end = from + at - BAND;
    // The last byte may be the 0xff of a marker.
    else from += piece.length > 1 && from + piece.length < bytes.length ? piece.length - 1 : piece.length;
  }
  const interval = u32[passed] as number;
  decoder.giveBack(engine);
  const isRestart = ((bytes[end + 1] as number) & 0xf8) === 0xd0;
  if (end < 0 || isRestart || starts.length * step < rows) return undefined;
  return [...starts, { row: rows, offset: end, interval }];
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
