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
  /** A start at or after `endRow`; undefined for the end of the scan. */
  to: RowStart | undefined;
}

/** The file goes through the engine's memory in pieces of this size. */
const PIECE = 2 ** 18;

/**
 * Yields all such rows of a file's only scan, from row 0 on. Stops early at a restart marker with a wrong number, and at
 * the end of the file.
 */
export function* rowStarts(
  { bytes, restartInterval }: Headers,
  { components, width, height, maxHorizontal, maxVertical }: Frame,
  { members, offset }: ScanHeader,
): Generator<RowStart, void> {
  yield { row: 0, offset, interval: 0 };
  const rows = Math.ceil(height / (8 * maxVertical));
  const [only] = components;
  const mcusInRow =
    members.length === 1 && only
      ? only.blocksWide * only.verticalSampling
      : Math.ceil(width / (8 * maxHorizontal));
  const step = restartInterval / greatestDivisor(mcusInRow, restartInterval);
  if (step >= rows) return;
  const engine = decoder.take();
  try {
    reserve(engine, BAND + PIECE + SLACK);
    const { u8, u32, exports } = engine;
    const passed = RESTARTS_PASSED / 4;
    u32[passed] = 0;
    let row = step;
    // The last byte of a piece may be the 0xff of a marker, and comes again in the next piece.
    for (let from = offset; from + 1 < bytes.length; from += PIECE - 1) {
      const piece = bytes.subarray(from, from + PIECE);
      const end = BAND + piece.length;
      u8.set(piece, BAND);
      for (let at = BAND; at < end; row += step) {
        const interval = (row * mcusInRow) / restartInterval;
        at = exports.passRestarts(at, end, interval) >>> 0;
        if (u32[passed] !== interval) {
          if (at < end) return;
          break;
        }
        yield { row, offset: from + at - BAND, interval };
        if (row + step >= rows) return;
      }
    }
  } finally {
    decoder.giveBack(engine);
  }
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
