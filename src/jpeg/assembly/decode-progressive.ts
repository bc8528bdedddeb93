/** Progressive scans (T.81, G.1.2 and G.2), one function for each kind. */
import {
  AL,
  BAD_CODE,
  BAD_REFINEMENT,
  BITS,
  BLOCK_BYTES_AT,
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
  SS,
  TOLERANT_AT,
  TRASH,
} from "./decode-layout";
import { finish, passOver, ranOut, save, stretch } from "./decode-rows";
import { damaged, load64, nearEnd } from "./decode-segments";
import { LONG, longEntry } from "./decode-tables";

export function dcFirstRow(scan: u32, row: u32, blocks: u32): u32 {
  const blocksEnd = scan + BLOCKS + blocks * BLOCK_RECORD;
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const al = load<u32>(scan + AL);
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
        store<u32>(record, address + load<u32>(record + 4));
        if (bits < 32) {
          buffer |= ahead >> u64(bits);
          next += (63 - bits) >> 3;
          bits |= 56;
          ahead = load64(next);
        }
        const table = load<u32>(record + 12);
        let entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
        let bad = false;
        if (i32(entry) < 0) {
          entry = longEntry(table, buffer, 1);
          bad = ((entry >> 8) & 63) == 17;
        }
        const value = buffer << u64(entry >> 8);
        buffer <<= u64(entry);
        bits -= entry & 63;
        const sign = <u64>~(<i64>value >> 63);
        const member = load<u32>(record + 20);
        const dc = load<i32>(member) + i32(((((value ^ sign) >> 1) >> u64(entry >> 16)) ^ sign) - sign);
        store<i32>(member, dc);
        store<i16>(block, i16(dc << al));
        if (bad) {
          save(scan, buffer, bits, next);
          damaged(scan, BAD_CODE, row, column, (record - scan - BLOCKS) / BLOCK_RECORD);
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

export function dcRefineRow(scan: u32, row: u32, blocks: u32): u32 {
  const blocksEnd = scan + BLOCKS + blocks * BLOCK_RECORD;
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const al = load<u32>(scan + AL);
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
        store<u32>(record, address + load<u32>(record + 4));
        if (bits < 32) {
          buffer |= ahead >> u64(bits);
          next += (63 - bits) >> 3;
          bits |= 56;
          ahead = load64(next);
        }
        store<i16>(block, load<i16>(block) | i16(u32(buffer >> 63) << al));
        buffer <<= 1;
        bits--;
      }
    }
    save(scan, buffer, bits, next);
    if (finish(scan, row, column - 1, (blocksEnd - scan - BLOCKS) / BLOCK_RECORD - 1)) return 0;
    passOver(scan, blocksEnd, end - column);
    column = end;
  }
  return 1;
}

export function acFirstRow(scan: u32, row: u32): u32 {
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const al = load<u32>(scan + AL);
  const first = load<u32>(scan + SS) - 1;
  const se = load<u32>(scan + SE);
  const table = load<u32>(scan + BLOCKS + 16);
  const step = load<u32>(BLOCK_BYTES_AT);
  let block = load<u32>(scan + BLOCKS);
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
    let run = load<u32>(scan + EOB_RUN);
    let out = load<u32>(scan + OUT_OF_DATA) != 0;
    while (column < end && !out) {
      if (run > 0) {
        const taken = min(run, end - column);
        run -= taken;
        column += taken;
        block += taken * step;
        continue;
      }
      if (next > safe) {
        save(scan, buffer, bits, next);
        if (nearEnd(scan) != 0) {
          if (ranOut(scan, row, column, 0)) return 0;
          out = true;
          break;
        }
        buffer = load<u64>(scan + BUFFER);
        bits = load<u32>(scan + BITS);
        next = load<u32>(scan + NEXT);
        safe = load<u32>(scan + SAFE);
        ahead = load64(next);
      }
      let damage: u32 = 0;
      let k = first;
      do {
        if (bits < 32) {
          buffer |= ahead >> u64(bits);
          next += (63 - bits) >> 3;
          bits |= 56;
          ahead = load64(next);
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
              k += 16;
              continue;
            }
            // EOBn: this block and so many more end here.
            run = (1 << size) + u32((buffer >> 1) >> u64(63 - size));
            buffer <<= u64(size);
            bits -= size;
            break;
          }
        }
        k += entry >> 24;
        const value = buffer << u64(entry >> 8);
        buffer <<= u64(entry);
        bits -= entry & 63;
        const sign = <u64>~(<i64>value >> 63);
        if (k > se) {
          damage = RUN_TOO_LONG;
          k = min(k, 63);
        }
        store<i16>(block + (k << 1), i16(u32((((value ^ sign) >> u64(entry >> 16)) ^ sign) - sign) << al));
      } while (k < se);
      if (run > 0) run--;
      if (damage != 0) {
        save(scan, buffer, bits, next);
        damaged(scan, damage, row, column, 0);
        if (load<u32>(TOLERANT_AT) == 0) return 0;
      }
      column++;
      block += step;
    }
    if (!out) {
      save(scan, buffer, bits, next);
      store<u32>(scan + EOB_RUN, run);
      if (finish(scan, row, column - 1, 0)) return 0;
    }
    block += (end - column) * step;
    column = end;
  }
  return 1;
}

/** Bit k is set where coefficient k is not zero. */
function nonZero(block: u32): u64 {
  const zero = i16x8.splat(0);
  const a = i8x16.narrow_i16x8_s(i16x8.eq(v128.load(block), zero), i16x8.eq(v128.load(block, 16), zero));
  const b = i8x16.narrow_i16x8_s(i16x8.eq(v128.load(block, 32), zero), i16x8.eq(v128.load(block, 48), zero));
  const c = i8x16.narrow_i16x8_s(i16x8.eq(v128.load(block, 64), zero), i16x8.eq(v128.load(block, 80), zero));
  const d = i8x16.narrow_i16x8_s(i16x8.eq(v128.load(block, 96), zero), i16x8.eq(v128.load(block, 112), zero));
  return ~(
    u64(i8x16.bitmask(a)) |
    (u64(i8x16.bitmask(b)) << 16) |
    (u64(i8x16.bitmask(c)) << 32) |
    (u64(i8x16.bitmask(d)) << 48)
  );
}

/** A correction bit of 1 makes the coefficient's magnitude larger by `one`. */
function correct(address: u32, bit: u32, one: i32): void {
  const value = load<i16>(address);
  if (bit != 0 && (value & one) == 0) store<i16>(address, i16(value >= 0 ? value + one : value - one));
}

export function acRefineRow(scan: u32, row: u32): u32 {
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const one: i32 = 1 << load<u32>(scan + AL);
  const ss = load<u32>(scan + SS);
  const se = load<u32>(scan + SE);
  // The band's coefficients, as bits.
  const band = (~u64(0) << u64(ss)) & (~u64(0) >> u64(63 - se));
  const table = load<u32>(scan + BLOCKS + 16);
  const step = load<u32>(BLOCK_BYTES_AT);
  let block = load<u32>(scan + BLOCKS);
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
    let run = load<u32>(scan + EOB_RUN);
    let out = load<u32>(scan + OUT_OF_DATA) != 0;
    while (column < end && !out) {
      if (next > safe) {
        save(scan, buffer, bits, next);
        if (nearEnd(scan) != 0) {
          if (ranOut(scan, row, column, 0)) return 0;
          out = true;
          break;
        }
        buffer = load<u64>(scan + BUFFER);
        bits = load<u32>(scan + BITS);
        next = load<u32>(scan + NEXT);
        safe = load<u32>(scan + SAFE);
        ahead = load64(next);
      }
      // What was not zero before this block began, and lies at or after the place reached.
      let old = nonZero(block) & band;
      let damage: u32 = 0;
      if (run == 0) {
        let k = ss;
        do {
          if (bits < 32) {
            buffer |= ahead >> u64(bits);
            next += (63 - bits) >> 3;
            bits |= 56;
            ahead = load64(next);
          }
          let entry = load<u32>(table + (u32(buffer >> 52) & 0xffc));
          if (entry >= LONG) {
            entry = longEntry(table, buffer, 0);
            if (((entry >> 8) & 63) == 17) damage = BAD_CODE;
          }
          const length = (entry >> 8) & 63;
          buffer <<= u64(length);
          bits -= length;
          let value: i32 = 0;
          let zeros: u32;
          if (i32(entry) < 0) {
            zeros = (entry >> 16) & 15;
            if (zeros != 15) {
              run = (1 << zeros) + u32((buffer >> 1) >> u64(63 - zeros));
              buffer <<= u64(zeros);
              bits -= zeros;
              break;
            }
          } else {
            zeros = (entry >> 24) - 1;
            if ((entry & 63) - length != 1) damage = BAD_REFINEMENT;
            value = i64(buffer) < 0 ? one : -one;
            buffer <<= 1;
            bits--;
          }
          // Go on to the zero after `zeros` zeros, correcting what is not zero on the way.
          while (old != 0) {
            const at = u32(ctz(old));
            const between = at - k;
            if (zeros < between) break;
            zeros -= between;
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
            k = at + 1;
          }
          k = min(k + zeros, se + 1);
          if (value != 0) {
            if (k > se) damage = RUN_TOO_LONG;
            store<i16>(block + (min(k, 63) << 1), i16(value));
          }
          k++;
        } while (k <= se);
      }
      if (run > 0) {
        run--;
        while (old != 0) {
          if (bits == 0) {
            buffer |= ahead;
            next += 7;
            bits = 56;
            ahead = load64(next);
          }
          correct(block + (u32(ctz(old)) << 1), u32(buffer >> 63), one);
          buffer <<= 1;
          bits--;
          old &= old - 1;
        }
      }
      if (damage != 0) {
        save(scan, buffer, bits, next);
        damaged(scan, damage, row, column, 0);
        if (load<u32>(TOLERANT_AT) == 0) return 0;
      }
      column++;
      block += step;
    }
    if (!out) {
      save(scan, buffer, bits, next);
      store<u32>(scan + EOB_RUN, run);
      if (finish(scan, row, column - 1, 0)) return 0;
    }
    block += (end - column) * step;
    column = end;
  }
  return 1;
}
