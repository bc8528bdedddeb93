/** The entropy decoder's functions for the host (../engine.ts). */

import { arithmeticRow, beginArithmetic } from "./decode-arithmetic";
import {
  acFirstRow,
  acRefineRow,
  dcFirstRow,
  dcRefineRow,
  firstCoefficientsRow,
  sequentialRow,
} from "./decode-huffman";
import {
  ARITHMETIC,
  BLOCK_BYTES_AT,
  BLOCK_RECORD,
  BLOCKS,
  COMPONENT_BYTES,
  COMPONENTS,
  DAMAGE_COUNT,
  EOB_RUN,
  EXTRA_BYTES,
  MARKER,
  MCUS_PER_ROW,
  MCUS_TO_RESTART,
  MEMBER_BYTES,
  MEMBERS,
  MODE,
  NEXT_RESTART,
  OUT_OF_DATA,
  RESTART_INTERVAL,
  SCAN_COMPONENTS,
  SKIPS,
} from "./decode-layout";
import { damaged, hasBytesLeft, nextSegment, restart } from "./decode-segments";
import { AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE } from "./scan-kinds";

export { findScanEnd, passRestarts } from "./decode-segments";
export { buildTable } from "./decode-tables";
export { buildSkips } from "./skip-tables";

/** Begins the scan at `scan`. The host has filled in what comes before MCUS_TO_RESTART, RAW, RAW_END and MEMBERS. */
export function beginScan(scan: u32): void {
  store<u32>(scan + MCUS_TO_RESTART, load<u32>(scan + RESTART_INTERVAL));
  store<u32>(scan + NEXT_RESTART, 0);
  store<u32>(scan + EOB_RUN, 0);
  store<u32>(scan + OUT_OF_DATA, 0);
  store<u32>(scan + DAMAGE_COUNT, 0);
  nextSegment(scan);
  if ((load<u32>(scan + MODE) & ARITHMETIC) != 0) beginArithmetic(scan);
}

/** Decodes the scan's part of a band: rows `from` to `to` of whole MCUs. Returns 0 if decoding stops. */
export function decodeBand(scan: u32, from: u32, to: u32): u32 {
  const members = load<u32>(scan + SCAN_COMPONENTS);
  const mode = load<u32>(scan + MODE);
  const blockBytes = load<u32>(BLOCK_BYTES_AT);
  if (members == 1) {
    // T.81, A.2.2: in a scan of one component, a block is an MCU, and there are no padding blocks.
    const component = COMPONENTS + load<u32>(scan + MEMBERS) * COMPONENT_BYTES;
    const wide = load<u32>(component + 4);
    const vertical = load<u32>(component + 16);
    const first = from * vertical;
    const last = min(to * vertical, load<u32>(component + 8));
    for (let row = first; row < last; row++) {
      record(scan, 0, 0, load<u32>(component) + (row - first) * wide * blockBytes, blockBytes, wide);
      if (decodeRow(scan, mode, row, 1) == 0) return 0;
    }
    return 1;
  }
  for (let row = from; row < to; row++) {
    // T.81, A.2.3: interleaved.
    let blocks: u32 = 0;
    for (let member: u32 = 0; member < members; member++) {
      const component = COMPONENTS + load<u32>(scan + MEMBERS + member * MEMBER_BYTES) * COMPONENT_BYTES;
      const wide = load<u32>(component + 4);
      const high = load<u32>(component + 8);
      const horizontal = load<u32>(component + 12);
      const vertical = load<u32>(component + 16);
      for (let y: u32 = 0; y < vertical; y++)
        for (let x: u32 = 0; x < horizontal; x++) {
          const local = (row - from) * vertical + y;
          const real = row * vertical + y < high && x < wide ? (wide - x + horizontal - 1) / horizontal : 0;
          record(
            scan,
            blocks++,
            member,
            load<u32>(component) + (local * wide + x) * blockBytes,
            horizontal * blockBytes,
            real,
          );
        }
    }
    if (decodeRow(scan, mode, row, blocks) == 0) return 0;
  }
  return 1;
}

function record(scan: u32, block: u32, member: u32, address: u32, step: u32, real: u32): void {
  const at = scan + BLOCKS + block * BLOCK_RECORD;
  const from = scan + MEMBERS + member * MEMBER_BYTES;
  store<u32>(at, address);
  store<u32>(at + 4, step);
  store<u32>(at + 8, real);
  store<u32>(at + 12, load<u32>(from + 4));
  store<u32>(at + 16, load<u32>(from + 8));
  store<u32>(at + 20, from + 12);
  store<u32>(at + 24, load<u32>(COMPONENTS + load<u32>(from) * COMPONENT_BYTES + 20));
}

function decodeRow(scan: u32, mode: u32, row: u32, blocks: u32): u32 {
  if ((mode & ARITHMETIC) != 0) return arithmeticRow(scan, mode & ~ARITHMETIC, row, blocks);
  if (mode == DC_FIRST) return dcFirstRow(scan, row, blocks);
  if (mode == DC_REFINE) return dcRefineRow(scan, row, blocks);
  if (mode == AC_FIRST) return acFirstRow(scan, row);
  if (mode == AC_REFINE) return acRefineRow(scan, row);
  if (load<u32>(scan + SKIPS) != 0) return firstCoefficientsRow(scan, row, blocks);
  return sequentialRow(scan, row, blocks);
}

/** Called after the last row of a part of the image, if the scan goes on. An interval that ends there must be whole. */
export function endPart(scan: u32, row: u32): void {
  if (load<u32>(scan + MCUS_TO_RESTART) == 0) restart(scan, row, 0);
}

/** Called after the last row. Bytes of the scan that no block needed are damage too. */
export function endScan(scan: u32, rows: u32): void {
  if (load<u32>(scan + OUT_OF_DATA) == 0 && hasBytesLeft(scan, true)) {
    damaged(scan, EXTRA_BYTES, rows, load<u32>(scan + MCUS_PER_ROW), 0);
    return;
  }
  // A restart marker after the last interval does no harm: libjpeg skips it. Data after that is damage.
  for (let passed = 0; load<u32>(scan + MARKER) < 0x100; passed++) {
    const marker = load<u32>(scan + MARKER);
    nextSegment(scan);
    if (hasBytesLeft(scan, false) || (marker & 0xf8) != 0xd0 || passed == 1) {
      damaged(scan, EXTRA_BYTES, rows, load<u32>(scan + MCUS_PER_ROW), 0);
      return;
    }
  }
}

/**
 * Moves the first `kept` coefficients of each of `blocks` blocks at `band` together. It copies whole vectors; the next
 * block overwrites what is too much.
 */
export function compact(band: u32, blocks: u32, kept: u32): void {
  const bytes = kept << 1;
  let to = band;
  for (let from = band, end = band + (blocks << 7); from < end; from += 128, to += bytes)
    for (let at: u32 = 0; at < bytes; at += 16) v128.store(to + at, v128.load(from + at));
}

/** How many of `count` coefficients are zero. */
export function countZeros(from: u32, count: u32): u32 {
  const end = from + (count << 1);
  let zeros: u32 = 0;
  for (; from + 16 <= end; from += 16)
    zeros += popcnt(i16x8.bitmask(i16x8.eq(v128.load(from), i16x8.splat(0))));
  for (; from < end; from += 2) if (load<i16>(from) == 0) zeros++;
  return zeros;
}

export function clear(from: u32, bytes: u32): void {
  memory.fill(from, 0, bytes);
}
