/**
 * One row of MCUs of a Huffman coded scan: sequential (T.81, F.2.2) or progressive (G.1.2 and G.2).
 *
 * `decodeRow` is inlined once for each kind of scan. There `kind` is a constant, and only that kind's steps remain. Each
 * kind has a function of its own, because one function with all of them is a tenth slower. The bit buffer lives in local
 * variables: ./decode-tables.ts and ./skip-tables.ts explain the entries. biome cannot parse the decorators, and leaves this file out.
 */
import {
  AL,
  BAD_CODE,
  BAD_REFINEMENT,
  BITS,
  BLOCK_ENDS,
  BLOCK_RECORD,
  BLOCKS,
  BUFFER,
  EOB_RUN,
  MCUS_PER_ROW,
  NEXT,
  OUT_OF_DATA,
  RUN_TOO_LONG,
  SAFE,
  SE,
  SKIP_TABLE,
  SS,
  TOLERANT_AT,
  TRASH,
} from "./decode-layout";
import { finish, mcusUntilRestart, passOver, ranOut, save } from "./decode-rows";
import { damaged, load64, nearEnd } from "./decode-segments";
import { LONG, longEntry } from "./decode-tables";
import { nonZero } from "./masks";
import { AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL } from "./scan-kinds";

export function sequentialRow(scan: u32, row: u32, blocks: u32): u32 {
  return decodeRow(scan, row, blocks, SEQUENTIAL, false);
}

/** Decodes only the first coefficients of each block, as many as are needed, and skips the others. */
export function firstCoefficientsRow(scan: u32, row: u32, blocks: u32): u32 {
  return decodeRow(scan, row, blocks, SEQUENTIAL, true);
}

export function dcFirstRow(scan: u32, row: u32, blocks: u32): u32 {
  return decodeRow(scan, row, blocks, DC_FIRST, false);
}

export function dcRefineRow(scan: u32, row: u32, blocks: u32): u32 {
  return decodeRow(scan, row, blocks, DC_REFINE, false);
}

export function acFirstRow(scan: u32, row: u32): u32 {
  return decodeRow(scan, row, 1, AC_FIRST, false);
}

export function acRefineRow(scan: u32, row: u32): u32 {
  return decodeRow(scan, row, 1, AC_REFINE, false);
}

/** Decodes one row of MCUs, whose block records are in place. Returns 0 if it must stop there. */
@inline
function decodeRow(scan: u32, row: u32, blocks: u32, kind: u32, skips: bool): u32 {
  // T.81, A.2.2: a scan of AC coefficients has one component, and a block is an MCU.
  const isAc = kind == AC_FIRST || kind == AC_REFINE;
  const isSequential = kind == SEQUENTIAL;
  const blocksEnd = scan + BLOCKS + blocks * BLOCK_RECORD;
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const al: u32 = isSequential ? 0 : load<u32>(scan + AL);
  const one: i32 = 1 << al;
  const ss: u32 = isAc ? load<u32>(scan + SS) : 1;
  const se: u32 = isAc ? load<u32>(scan + SE) : 63;
  // The scan's coefficients, as bits.
  const band = (~u64(0) << u64(ss)) & (~u64(0) >> u64(63 - se));
  for (let column: u32 = 0; column < columns; ) {
    const count = mcusUntilRestart(scan, row, column);
    if (count == 0) return 0;
    const end = column + count;
    let buffer = load<u64>(scan + BUFFER);
    let bits = load<u32>(scan + BITS);
    let next = load<u32>(scan + NEXT);
    let safe = load<u32>(scan + SAFE);
    // The bytes at NEXT, loaded before they are needed.
    let ahead = load64(next);
    let run: u32 = isAc ? load<u32>(scan + EOB_RUN) : 0;
    for (; column < end && load<u32>(scan + OUT_OF_DATA) == 0; column++) {
      if (kind == AC_FIRST && run > 0) {
        const skipped = min(run, end - column);
        run -= skipped;
        passOver(scan, blocksEnd, skipped);
        column += skipped - 1;
        continue;
      }
      for (let record = scan + BLOCKS; record < blocksEnd; record += BLOCK_RECORD) {
        if (next > safe) {
          save(scan, buffer, bits, next);
          if (nearEnd(scan) != 0 && load<u32>(scan + OUT_OF_DATA) == 0) {
            const isFirst = record == scan + BLOCKS;
            // Before the first block of an MCU, the MCU before it had too few bits. AC scans name the block at hand.
            const place = isFirst && !isAc ? column - 1 : column;
            if (ranOut(scan, row, place, (record - scan - BLOCKS) / BLOCK_RECORD)) return 0;
            if (isFirst) {
              // This MCU is left as it is.
              column--;
              break;
            }
          }
          buffer = load<u64>(scan + BUFFER);
          bits = load<u32>(scan + BITS);
          next = load<u32>(scan + NEXT);
          safe = load<u32>(scan + SAFE);
          ahead = load64(next);
        }
        const address = load<u32>(record);
        const block = isAc || column < load<u32>(record + 8) ? address : TRASH;
        store<u32>(record, address + load<u32>(record + 4));
        let damage: u32 = 0;

        if (!isAc) {
          if (isSequential || bits < 32) {
            buffer |= ahead >> u64(bits);
            next += (63 - bits) >> 3;
            bits |= 56;
            ahead = load64(next);
          }
          if (kind == DC_REFINE) {
            store<i16>(block, load<i16>(block) | i16(u32(buffer >> 63) << al));
            buffer <<= 1;
            bits--;
          } else {
            // The difference from the component's block before.
            const table = load<u32>(record + 12);
            let entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
            if (i32(entry) < 0) {
              entry = longEntry(table, buffer, 1);
              if (((entry >> 8) & 63) == 17) damage = BAD_CODE;
            }
            const value = buffer << u64(entry >> 8);
            buffer <<= u64(entry);
            bits -= entry & 63;
            const sign = <u64>~(<i64>value >> 63);
            const member = load<u32>(record + 20);
            const dc = load<i32>(member) + i32(((((value ^ sign) >> 1) >> u64(entry >> 16)) ^ sign) - sign);
            store<i32>(member, dc);
            store<i16>(block, i16(dc << al));
          }
        }

        if (isAc || isSequential) {
          const table = load<u32>(record + 16);
          const skipTable: u32 = skips ? load<u32>(table + SKIP_TABLE) : 0;
          const last: u32 = skips ? load<u32>(record + 24) : 63;
          // Refinement: the coefficients after k that were not zero before this scan, as bits.
          let old: u64 = kind == AC_REFINE ? nonZero(block) & band : 0;
          let k = ss - 1;
          do {
            // The distance to the next coefficient; in a run of end-of-bands, beyond the block's end.
            let step: u32 = 64;
            let value: i32 = 0;
            if (kind != AC_REFINE || run == 0) {
              if (bits < 32) {
                buffer |= ahead >> u64(bits);
                next += (63 - bits) >> 3;
                bits |= 56;
                ahead = load64(next);
              }
              if (skips && k >= last) {
                const skip = <u32>load<u16>(skipTable + (u32(buffer >> 50) & 0x3ffe));
                const to = k + ((skip >> 8) & 127);
                if (to < 64) {
                  buffer <<= u64(skip);
                  bits -= skip & 63;
                  k = to + (skip & BLOCK_ENDS);
                  continue;
                }
              }
              let entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
              if (i32(entry) < 0) {
                if (entry >= LONG) {
                  entry = longEntry(table, buffer, 0);
                  if (((entry >> 8) & 63) == 17) damage = BAD_CODE;
                }
                if (i32(entry) < 0) {
                  buffer <<= u64(entry);
                  bits -= entry & 63;
                  const size = (entry >> 16) & 15;
                  if (size == 15) {
                    step = 16; // ZRL
                    if (kind != AC_REFINE) {
                      k += 16;
                      continue;
                    }
                  } else {
                    if (isSequential) break; // EOB
                    // EOBn: this block and so many more end here.
                    run = (1 << size) + u32((buffer >> 1) >> u64(63 - size));
                    buffer <<= u64(size);
                    bits -= size;
                    if (kind == AC_FIRST) break;
                  }
                }
              }
              if (kind != AC_REFINE) {
                k += entry >> 24;
                const coded = buffer << u64(entry >> 8);
                buffer <<= u64(entry);
                bits -= entry & 63;
                const sign = <u64>~(<i64>coded >> 63);
                if (k > se) {
                  // As in libjpeg, whose zigzag table ends with 16 more entries for the last coefficient.
                  damage = RUN_TOO_LONG;
                  k = min(k, 63);
                }
                const target = !skips || k <= last ? block : TRASH;
                store<i16>(target + (k << 1), i16(u32((((coded ^ sign) >> u64(entry >> 16)) ^ sign) - sign) << al));
              } else if (i32(entry) >= 0) {
                step = entry >> 24;
                const length = (entry >> 8) & 63;
                buffer <<= u64(length);
                bits -= length + 1;
                if ((entry & 63) - length != 1) damage = BAD_REFINEMENT;
                const sign = i32(buffer >> 63) - 1;
                value = (one ^ sign) - sign;
                buffer <<= 1;
              }
            }
            if (kind == AC_REFINE) {
              // A run counts only zeros. Each other coefficient on the way has a correction bit.
              while (old != 0) {
                const at = u32(ctz(old));
                if (step < at - k) break;
                step -= at - k - 1;
                if (bits == 0) {
                  buffer |= ahead;
                  next += 7;
                  bits = 56;
                  ahead = load64(next);
                }
                correct(block + (at << 1), u32(buffer >> 63), one);
                buffer <<= 1;
                bits--;
                old &= old - 1;
                k = at;
              }
              k = min(k + step, se + 1);
              if (value != 0) {
                if (k > se) damage = RUN_TOO_LONG;
                store<i16>(block + (min(k, 63) << 1), i16(value));
              }
            }
          } while (k < se);
          if (!isSequential && run > 0) run--;
        }

        if (damage != 0) {
          save(scan, buffer, bits, next);
          damaged(scan, damage, row, column, (record - scan - BLOCKS) / BLOCK_RECORD);
          if (load<u32>(TOLERANT_AT) == 0) return 0;
        }
        if (isAc) break; // The only block. The compiler can drop the loop.
      }
    }
    save(scan, buffer, bits, next);
    if (isAc) store<u32>(scan + EOB_RUN, run);
    if (finish(scan, row, column - 1, (blocksEnd - scan - BLOCKS) / BLOCK_RECORD - 1)) return 0;
    passOver(scan, blocksEnd, end - column);
    column = end;
  }
  return 1;
}

/**
 * A correction bit of 1 makes the coefficient's magnitude larger by `one`. The bit is as good as random, so a branch would
 * cost more than the arithmetic.
 */
@inline
function correct(address: u32, bit: u32, one: i32): void {
  const value: i32 = load<i16>(address);
  const sign = value >> 31;
  const more = -i32(bit & u32((value & one) == 0)) & one;
  store<i16>(address, i16(value + ((more ^ sign) - sign)));
}
