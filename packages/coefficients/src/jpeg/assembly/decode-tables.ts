/**
 * Huffman tables (T.81, annex C and F.2.2.3). An entry holds the length of the code and of the value after it.
 *
 * AC entry: bits 0-5  length of code and value    8-13  length of the code
 *               16-21 64 - length of the value    24-30 zeros before the coefficient, plus 1
 *   Without a value (EOB, ZRL, EOBn), bit 31 is set and bits 16-19 are the run. LONG: the code is longer than the index.
 * DC entry: the same, with 63 - length of the value in bits 16-21, so that a length of 0 gives 0.
 */
import { LIMITS, LOOKUP_BITS, OFFSETS, STAGING, SYMBOLS } from "./decode-layout";

export const LONG: u32 = 0xff000000;

function acEntry(symbol: u32, length: u32): u32 {
  const run = symbol >> 4;
  const size = symbol & 15;
  if (size == 0) return 0x80000000 | (run << 16) | (length << 8) | length;
  return ((run + 1) << 24) | ((64 - size) << 16) | (length << 8) | (length + size);
}

function dcEntry(symbol: u32, length: u32): u32 {
  return ((63 - symbol) << 16) | (length << 8) | (length + symbol);
}

function entry(symbol: u32, length: u32, dc: u32): u32 {
  return dc != 0 ? dcEntry(symbol, length) : acEntry(symbol, length);
}

/** Builds the table at `table` from the counts and symbols in STAGING. The host has checked that they are a legal code. */
export function buildTable(table: u32, dc: u32): void {
  memory.copy(table + SYMBOLS, STAGING + 16, 256);
  let code: u32 = 0;
  let symbol: u32 = 0;
  let index = table;
  for (let length: u32 = 1; length <= 16; length++) {
    const count: u32 = load<u8>(STAGING + length - 1);
    store<u32>(table + OFFSETS + (length << 2), symbol - code);
    if (length <= LOOKUP_BITS) {
      const repeat: u32 = 4 << (LOOKUP_BITS - length);
      for (let i: u32 = 0; i < count; i++) {
        const value = entry(load<u8>(table + SYMBOLS + symbol + i), length, dc);
        const end = index + repeat;
        if (repeat >= 16) {
          const four = i32x4.splat(value);
          for (; index < end; index += 16) v128.store(index, four);
        } else for (; index < end; index += 4) store<u32>(index, value);
      }
    }
    symbol += count;
    code += count;
    store<u32>(table + LIMITS + (length << 2), code << (16 - length));
    code <<= 1;
  }
  for (const end = table + (4 << LOOKUP_BITS); index < end; index += 4) store<u32>(index, LONG);
}

/**
 * The entry of a code longer than LOOKUP_BITS. Bits that are no code count as symbol 0 of 17 bits, as in libjpeg. The
 * caller knows them by that length.
 */
export function longEntry(table: u32, buffer: u64, dc: u32): u32 {
  const bits = u32(buffer >> 48);
  for (let length = LOOKUP_BITS + 1; length <= 16; length++)
    if (bits < load<u32>(table + LIMITS + (length << 2))) {
      const symbol = (bits >> (16 - length)) + load<u32>(table + OFFSETS + (length << 2));
      return entry(load<u8>(table + SYMBOLS + (symbol & 255)), length, dc);
    }
  return entry(0, 17, dc);
}
