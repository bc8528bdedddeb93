/**
 * Arithmetic coded scans: the binary decisions (T.81, D.2), the values that they make up (F.1.4 and F.2.4), and one row of
 * MCUs of each kind of scan (also G.1.3). A bin is one byte: its top bit is the more probable symbol, the other bits are
 * the index into QM_TABLE. ./decode-layout.ts says where the bins lie.
 *
 * A segment that ends early is not damage here: the encoder may have left out zeros at its end. As in libjpeg, only an
 * impossible value or run is damage. The decoder then changes nothing more up to the next restart.
 */
import {
  AC_BINS,
  AC_LIMIT,
  AL,
  BITS,
  BLOCK_RECORD,
  BLOCKS,
  BUFFER,
  CONTEXTS,
  DC_BINS,
  DC_LOWER,
  DC_UPPER,
  EVEN,
  EVEN_BIN,
  INTERVAL,
  MCUS_PER_ROW,
  MCUS_TO_RESTART,
  MEMBER_BYTES,
  MEMBERS,
  NEXT,
  QM_TABLE,
  RESTART_INTERVAL,
  RUN_TOO_LONG,
  SCAN_COMPONENTS,
  SE,
  SEGMENT_END,
  SS,
  STOPPED,
  TOLERANT_AT,
  TRASH,
  VALUE_TOO_LARGE,
} from "./decode-layout";
import { mcusUntilRestart } from "./decode-rows";
import { damaged, load64 } from "./decode-segments";
import { AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL } from "./scan-kinds";

// The state of decoding. The bits of `code` above the lowest `spare` ones are the standard's register Cx.
let code: u64 = 0;
let interval: u32 = 0;
let spare: u32 = 0;
let next: u32 = 0;
let end: u32 = 0;
/** The bin of decisions that are as likely as not. */
let even: u32 = 0;
/** What is wrong with the block; 0 if nothing is. */
let damage: u32 = 0;

/** Resets bins and predictions, and reads the segment's first two bytes (T.81, D.2.7 and F.2.4.4). */
export function beginArithmetic(scan: u32): void {
  for (let member: u32 = 0; member < load<u32>(scan + SCAN_COMPONENTS); member++) {
    const at = scan + MEMBERS + member * MEMBER_BYTES;
    memory.fill(load<u32>(at + 4), 0, DC_BINS);
    memory.fill(load<u32>(at + 8), 0, AC_BINS);
    store<u32>(at + 12, 0);
    store<u32>(at + CONTEXTS, 0);
  }
  store<u8>(scan + EVEN_BIN, u8(EVEN));
  store<u32>(scan + STOPPED, 0);
  resume(scan);
  code = 0;
  spare = 0;
  fill(2);
  spare = 0;
  interval = 0x10000;
  suspend(scan);
}

function resume(scan: u32): void {
  code = load<u64>(scan + BUFFER);
  spare = load<u32>(scan + BITS);
  next = load<u32>(scan + NEXT);
  end = load<u32>(scan + SEGMENT_END);
  interval = load<u32>(scan + INTERVAL);
  even = scan + EVEN_BIN;
}

function suspend(scan: u32): void {
  store<u64>(scan + BUFFER, code);
  store<u32>(scan + BITS, spare);
  store<u32>(scan + NEXT, next);
  store<u32>(scan + INTERVAL, interval);
}

/** Reads bytes into `code`. After the segment's end they are zeros. */
function fill(bytes: u32): void {
  const bits = bytes << 3;
  if (next + 8 <= end) {
    code = (code << u64(bits)) | (load64(next) >> u64(64 - bits));
    next += bytes;
  } else
    for (let i: u32 = 0; i < bytes; i++) {
      code = (code << 8) | (next < end ? u64(load<u8>(next)) : 0);
      // NEXT counts the zeros too: whoever wants the place in the segment counts the unused bytes back from it.
      if (next < end + 8) next++;
    }
  spare += bits;
}

/** One binary decision (T.81, D.2.4 to D.2.6). */
function decide(bin: u32): u32 {
  if (interval < 0x8000) {
    const shift = clz(interval) - 16;
    if (spare < shift) fill((47 - spare) >> 3);
    spare -= shift;
    interval <<= shift;
  }
  const state: u32 = load<u8>(bin);
  const entry = load<u32>(QM_TABLE + ((state & 0x7f) << 2));
  const estimate = entry & 0xffff;
  interval -= estimate;
  const top = u64(interval) << u64(spare);
  let symbol = state >> 7;
  // The upper part belongs to the less probable symbol, unless that part is the larger one.
  if (code >= top) {
    code -= top;
    const exchanged = interval < estimate;
    interval = estimate;
    if (exchanged) store<u8>(bin, u8((state & 0x80) ^ (entry >> 24)));
    else {
      store<u8>(bin, u8((state & 0x80) ^ (entry >> 16)));
      symbol ^= 1;
    }
  } else if (interval < 0x8000) {
    if (interval >= estimate) store<u8>(bin, u8((state & 0x80) ^ (entry >> 24)));
    else {
      store<u8>(bin, u8((state & 0x80) ^ (entry >> 16)));
      symbol ^= 1;
    }
  }
  return symbol;
}

/** Figures F.23 and F.24: a magnitude less 1. Its size is at least `size`; the bins of the size begin at `bin`. */
function magnitude(bin: u32, size: u32): u32 {
  while (decide(bin) != 0) {
    size <<= 1;
    if (size == 0x8000) {
      damage = VALUE_TOO_LARGE;
      return 0;
    }
    bin++;
  }
  let value = size;
  bin += 14;
  for (let bit = size >> 1; bit != 0; bit >>= 1) if (decide(bin) != 0) value |= bit;
  return value;
}

/** Figure F.19: the difference from the block before. `context` holds how large the last one was (F.1.4.4.1.2). */
function dcDifference(bins: u32, context: u32): i32 {
  const first = bins + load<u32>(context);
  if (decide(first) == 0) {
    store<u32>(context, 0);
    return 0;
  }
  const sign = decide(first + 1);
  let size: u32 = 0;
  let value: u32 = 0;
  if (decide(first + 2 + sign) != 0) {
    value = magnitude(bins + 20, 1);
    if (damage != 0) return 0;
    size = 1 << (31 - clz(value));
  }
  const small = ((<u32>1) << load<u8>(bins + DC_LOWER)) >> 1;
  const large = ((<u32>1) << load<u8>(bins + DC_UPPER)) >> 1;
  store<u32>(context, size < small ? 0 : (size > large ? 12 : 4) + (sign << 2));
  return sign != 0 ? -i32(value + 1) : i32(value + 1);
}

function dcBlock(record: u32, block: u32, al: u32): void {
  const member = load<u32>(record + 20);
  const difference = dcDifference(load<u32>(record + 12), member - 12 + CONTEXTS);
  if (damage != 0) return;
  const dc = load<i32>(member) + difference;
  store<i32>(member, dc);
  store<i16>(block, i16(dc << al));
}

/** Figure F.20: coefficients `k` to `se`. */
function acBlock(bins: u32, block: u32, k: u32, se: u32, al: u32): void {
  for (; k <= se; k++) {
    let bin = bins + 3 * (k - 1);
    if (decide(bin) != 0) return; // EOB
    while (decide(bin + 1) == 0) {
      bin += 3;
      k++;
      if (k > se) {
        damage = RUN_TOO_LONG;
        return;
      }
    }
    const sign = decide(even);
    let value: u32 = 0;
    if (decide(bin + 2) != 0) {
      value = 1;
      if (decide(bin + 2) != 0) {
        value = magnitude(bins + (k <= load<u8>(bins + AC_LIMIT) ? 189 : 217), 2);
        if (damage != 0) return;
      }
    }
    store<i16>(block + (k << 1), i16((sign != 0 ? -i32(value + 1) : i32(value + 1)) << al));
  }
}

/** G.1.3.3: one more bit of coefficients `k` to `se`. No EOB can come before the last coefficient that is not zero. */
function acRefineBlock(bins: u32, block: u32, k: u32, se: u32, al: u32): void {
  const one: i32 = 1 << al;
  let last = se;
  while (last > 0 && load<i16>(block + (last << 1)) == 0) last--;
  for (; k <= se; k++) {
    let bin = bins + 3 * (k - 1);
    if (k > last && decide(bin) != 0) return;
    for (;;) {
      const at = block + (k << 1);
      const value = load<i16>(at);
      if (value != 0) {
        if (decide(bin + 2) != 0) store<i16>(at, i16(value < 0 ? value - one : value + one));
        break;
      }
      if (decide(bin + 1) != 0) {
        store<i16>(at, i16(decide(even) != 0 ? -one : one));
        break;
      }
      bin += 3;
      k++;
      if (k > se) {
        damage = RUN_TOO_LONG;
        return;
      }
    }
  }
}

/** Decodes one row of MCUs, whose block records are in place. Returns 0 if it must stop there. */
export function arithmeticRow(scan: u32, mode: u32, row: u32, blocks: u32): u32 {
  const blocksEnd = scan + BLOCKS + blocks * BLOCK_RECORD;
  const columns = load<u32>(scan + MCUS_PER_ROW);
  const sequential = mode == SEQUENTIAL;
  const al = sequential ? 0 : load<u32>(scan + AL);
  const ss = sequential ? 1 : load<u32>(scan + SS);
  const se = sequential ? 63 : load<u32>(scan + SE);
  for (let column: u32 = 0; column < columns; ) {
    const isDue = load<u32>(scan + RESTART_INTERVAL) != 0 && load<u32>(scan + MCUS_TO_RESTART) == 0;
    const count = mcusUntilRestart(scan, row, column);
    if (count == 0) return 0;
    if (isDue) beginArithmetic(scan);
    resume(scan);
    for (const stop = column + count; column < stop; column++) {
      for (let record = scan + BLOCKS; record < blocksEnd; record += BLOCK_RECORD) {
        const address = load<u32>(record);
        store<u32>(record, address + load<u32>(record + 4));
        if (load<u32>(scan + STOPPED) != 0) continue;
        const block = column < load<u32>(record + 8) ? address : TRASH;
        damage = 0;
        if (mode == DC_REFINE) {
          if (decide(even) != 0) store<i16>(block, load<i16>(block) | i16((<u32>1) << al));
        } else if (mode == AC_REFINE) acRefineBlock(load<u32>(record + 16), block, ss, se, al);
        else {
          if (mode != AC_FIRST) dcBlock(record, block, al);
          if (mode != DC_FIRST && damage == 0) acBlock(load<u32>(record + 16), block, ss, se, al);
        }
        if (damage == 0) continue;
        suspend(scan);
        damaged(scan, damage, row, column, (record - scan - BLOCKS) / BLOCK_RECORD);
        store<u32>(scan + STOPPED, 1);
        if (load<u32>(TOLERANT_AT) == 0) return 0;
      }
    }
    suspend(scan);
  }
  return 1;
}
