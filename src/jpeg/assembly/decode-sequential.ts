/** Sequential scans (T.81, F.2.2). The bit buffer lives in local variables; ./decode-tables.ts explains the entries. */
import {
  BAD_CODE,
  BITS,
  BLOCK_BYTES_AT,
  BLOCK_RECORD,
  BLOCKS,
  BUFFER,
  MCUS_PER_ROW,
  NEXT,
  OUT_OF_DATA,
  RUN_TOO_LONG,
  SAFE,
  TOLERANT_AT,
  TRASH,
} from "./decode-layout";
import { finish, passOver, ranOut, save, stretch } from "./decode-rows";
import { damaged, load64, nearEnd } from "./decode-segments";
import { LONG, longEntry } from "./decode-tables";

/** Decodes one row of MCUs, whose block records are in place. Returns 0 if it must stop there. */
export function sequentialRow(scan: u32, row: u32, blocks: u32): u32 {
  const blocksEnd = scan + BLOCKS + blocks * BLOCK_RECORD;
  const columns = load<u32>(scan + MCUS_PER_ROW);
  // Where only DC coefficients are kept, blocks are 2 bytes, and the others go where nobody reads them.
  const keepsAc = load<u32>(BLOCK_BYTES_AT) != 2;
  for (let column: u32 = 0; column < columns; ) {
    const count = stretch(scan, row, column);
    if (count == 0) return 0;
    const end = column + count;
    let buffer = load<u64>(scan + BUFFER);
    let bits = load<u32>(scan + BITS);
    let next = load<u32>(scan + NEXT);
    let safe = load<u32>(scan + SAFE);
    // What NEXT points to, loaded before it is needed.
    let ahead = load64(next);
    for (; column < end && load<u32>(scan + OUT_OF_DATA) == 0; column++) {
      for (let record = scan + BLOCKS; record < blocksEnd; record += BLOCK_RECORD) {
        if (next > safe) {
          save(scan, buffer, bits, next);
          if (nearEnd(scan) != 0 && load<u32>(scan + OUT_OF_DATA) == 0) {
            const first = record == scan + BLOCKS;
            if (ranOut(scan, row, first ? column - 1 : column, (record - scan - BLOCKS) / BLOCK_RECORD))
              return 0;
            if (first) {
              // It was the MCU before that had too few bits: this one is left as it is.
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
        const block = column < load<u32>(record + 8) ? address : TRASH;
        const others = keepsAc ? block : TRASH;
        store<u32>(record, address + load<u32>(record + 4));
        let damage: u32 = 0;

        // DC: the difference to the component's block before.
        buffer |= ahead >> u64(bits);
        next += (63 - bits) >> 3;
        bits |= 56;
        ahead = load64(next);
        let table = load<u32>(record + 12);
        let entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
        if (i32(entry) < 0) {
          entry = longEntry(table, buffer, 1);
          if (((entry >> 8) & 63) == 17) damage = BAD_CODE;
        }
        let value = buffer << u64(entry >> 8);
        buffer <<= u64(entry);
        bits -= entry & 63;
        let sign = <u64>~(<i64>value >> 63);
        const member = load<u32>(record + 20);
        const dc = load<i32>(member) + i32(((((value ^ sign) >> 1) >> u64(entry >> 16)) ^ sign) - sign);
        store<i32>(member, dc);
        store<i16>(block, i16(dc));

        // AC: runs of zeros, each with the coefficient after it.
        table = load<u32>(record + 16);
        let k: u32 = 0;
        do {
          if (bits < 32) {
            buffer |= ahead >> u64(bits);
            next += (63 - bits) >> 3;
            bits |= 56;
            ahead = load64(next);
          }
          entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
          if (i32(entry) < 0) {
            if (entry >= LONG) {
              entry = longEntry(table, buffer, 0);
              if (((entry >> 8) & 63) == 17) damage = BAD_CODE;
            }
            if (i32(entry) < 0) {
              buffer <<= u64(entry);
              bits -= entry & 63;
              if (((entry >> 16) & 15) != 15) break; // EOB
              k += 16; // ZRL
              continue;
            }
          }
          k += entry >> 24;
          value = buffer << u64(entry >> 8);
          buffer <<= u64(entry);
          bits -= entry & 63;
          sign = <u64>~(<i64>value >> 63);
          if (k > 63) {
            // As in libjpeg, whose order of coefficients has 16 more entries, all of them the last coefficient.
            k = 63;
            damage = RUN_TOO_LONG;
          }
          store<i16>(others + (k << 1), i16((((value ^ sign) >> u64(entry >> 16)) ^ sign) - sign));
        } while (k < 63);

        if (damage != 0) {
          save(scan, buffer, bits, next);
          damaged(scan, damage, row, column, (record - scan - BLOCKS) / BLOCK_RECORD);
          if (load<u32>(TOLERANT_AT) == 0) return 0;
        }
      }
    }
    save(scan, buffer, bits, next);
    if (finish(scan, row, column - 1, (blocksEnd - scan - BLOCKS) / BLOCK_RECORD - 1)) return 0;
    passOver(scan, blocksEnd, end - column);
    column = end;
  }
  return 1;
}
