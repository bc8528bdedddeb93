/**
 * Skip tables, for AC coefficients that nobody needs. The next SKIP_BITS bits of the stream are the index of an entry, which
 * stands for all whole symbols in these bits, each with its code and its value:
 *
 *   bits 0-5    their length
 *        8-14   the coefficients that they pass, and 1 more if the block ends (EOB) with them
 *        15     whether the block ends
 *
 * An entry without a whole symbol passes more coefficients than a block has, and so is never taken.
 */
import { BLOCK_ENDS, LOOKUP_BITS, SKIP_BITS, SKIP_STAGING } from "./decode-layout";
import { LONG } from "./decode-tables";

const PASSED: u16 = 127 << 8;
const NEVER: u32 = PASSED;

/** Where the table for `bits` bits is, as it is built. It has 0 for no whole symbol. */
function level(bits: u32): u32 {
  return SKIP_STAGING + (2 << bits);
}

/** Builds the skip table at `skips` of the AC table at `table`. */
export function buildSkips(table: u32, skips: u32): void {
  for (let bits: u32 = 0; bits <= SKIP_BITS; bits++) {
    let target = bits == SKIP_BITS ? skips : level(bits);
    const none = bits == SKIP_BITS ? NEVER : 0;
    for (let value: u32 = 0; value < 1 << bits; ) {
      const index = bits < LOOKUP_BITS ? value << (LOOKUP_BITS - bits) : value >> (bits - LOOKUP_BITS);
      const skip = symbolSkip(load<u32>(table + (index << 2)));
      const length = skip & 63;
      if (skip == 0 || length > bits) {
        store<u16>(target, <u16>none);
        target += 2;
        value++;
        continue;
      }
      // Behind this symbol come those of the bits left, which are known already.
      const left = bits - length;
      const bytes: u32 = 2 << left;
      if ((skip & BLOCK_ENDS) != 0) fill(target, bytes, skip);
      else append(target, bytes, skip, level(left));
      target += bytes;
      value += 1 << left;
    }
  }
}

function fill(target: u32, bytes: u32, skip: u32): void {
  for (let at: u32 = 0; at < bytes; at += 2) store<u16>(target + at, <u16>skip);
}

/** Puts `skip` before each entry of `rest`, or instead of it if a block has not so many coefficients. */
function append(target: u32, bytes: u32, skip: u32, rest: u32): void {
  let at: u32 = 0;
  const skips = i16x8.splat(i16(skip));
  for (; at + 16 <= bytes; at += 16) {
    const both = i16x8.add(v128.load(rest + at), skips);
    const passed = v128.and(both, i16x8.splat(PASSED));
    v128.store(target + at, v128.bitselect(skips, both, i16x8.ge_s(passed, i16x8.splat(64 << 8))));
  }
  for (; at < bytes; at += 2) {
    const both = <u32>load<u16>(rest + at) + skip;
    store<u16>(target + at, <u16>((both & PASSED) < 64 << 8 ? both : skip));
  }
}

/** The skip of one symbol by its entry in the AC table; 0 if the entry has no symbol. */
function symbolSkip(entry: u32): u32 {
  if (entry >= LONG) return 0;
  const length = entry & 63;
  if (i32(entry) >= 0) return ((entry >> 24) << 8) | length;
  // ZRL passes 16 coefficients. Every other run without a value ends the block.
  return ((entry >> 16) & 15) == 15 ? (16 << 8) | length : BLOCK_ENDS | (1 << 8) | length;
}
