/**
 * Huffman coding of blocks: counts the symbols that a scan needs, and writes the scan. T.81, F.1.2 (sequential) and G.1.2
 * (progressive). ./encode-layout.ts says where everything lies.
 *
 * A scan comes in batches of MCUs. The host copies the blocks of a batch to INPUT, says with `place` where each
 * component's blocks are, and calls `gather` (counts, into COUNTS) or `emit` (bytes, into OUTPUT, by the codes in CODES).
 * DC predictions, pending bits and the run of end-of-bands stay here between batches, from `begin` to `finishGather` or
 * `finishEmit`.
 *
 * `gather` and `emit` are the same code. Every function that they share is inlined, so `emitting` is a constant in each.
 * That is 1.3 to 1.8 times as fast. biome cannot parse the decorators, and leaves this file out.
 */

import {
  AC_TABLE,
  AT,
  BLOCKS_HIGH,
  BLOCKS_WIDE,
  CODES,
  COMPONENT_BYTES,
  COMPONENTS,
  CORRECTIONS,
  COUNTS,
  DC_TABLE,
  INPUT,
  MAX_CORRECTIONS,
  OUTPUT,
  PADDING,
  PREDICTION,
  REAL_COLUMNS,
  REAL_ROWS,
  STRIDE,
  TABLE_BYTES,
} from "./encode-layout";
import { atLeast, nonZero } from "./masks";
import { AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL } from "./scan-kinds";

/** The most bits of a DC difference and of an AC value, for samples of 8 bits. T.81, tables F.1 and F.2 */
const MAX_DC_SIZE: i32 = 11;
const MAX_AC_SIZE: i32 = 10;

const ZERO_RUN: i32 = 0xf0;
const MAX_EOB_RUN: i32 = 0x7fff;

let mode: u32 = 0;
let components: i32 = 0;
let low: i32 = 0;
let band: u64 = 0;
let last: i32 = 0;
let restartInterval: i32 = 0;
let restartsToGo: i32 = 0;
let restartNumber: i32 = 0;

let eobRun: i32 = 0;
let corrections: u32 = 0;

let pending: u64 = 0;
let pendingBits: i32 = 0;
let out: u32 = 0;

/** The address of the first block that cannot be coded; 0 if there is none. */
let failed: u32 = 0;

/**
 * Begins a pass over a scan of the coefficients `start` to `end`, whose values are shifted by `al`.
 * `interval`: MCUs between restart markers, 0 for none.
 */
export function begin(kind: u32, count: i32, start: i32, end: i32, al: i32, interval: i32): void {
  mode = kind;
  components = count;
  low = al;
  last = end;
  band = (~(<u64>0) >> (63 - end)) & (~(<u64>0) << max(start, 1));
  restartInterval = interval;
  restartsToGo = interval;
  restartNumber = 0;
  eobRun = 0;
  corrections = 0;
  pending = 0;
  pendingBits = 0;
  failed = 0;
  for (let c = 0; c < 4; c++) store<i32>(componentAt(c) + PREDICTION, 0);
}

/** Says which DC and AC table the scan's component `c` uses, 0 or 1. */
export function assign(c: i32, dc: i32, ac: i32): void {
  const component = componentAt(c);
  store<i32>(component + DC_TABLE, dc);
  store<i32>(component + AC_TABLE, 2 + ac);
}

/**
 * Says where the batch's blocks of component `c` lie: from block `at` of INPUT on, in rows of `stride` blocks. An MCU has
 * `wide * high` of them. The batch has `columns * rows` real ones; the rest is padding.
 */
export function place(c: i32, at: i32, wide: i32, high: i32, columns: i32, rows: i32, stride: i32): void {
  const component = componentAt(c);
  store<i32>(component + AT, at);
  store<i32>(component + BLOCKS_WIDE, wide);
  store<i32>(component + BLOCKS_HIGH, high);
  store<i32>(component + REAL_COLUMNS, columns);
  store<i32>(component + REAL_ROWS, rows);
  store<i32>(component + STRIDE, stride);
}

/** Counts the symbols of a batch. */
export function gather(mcus: i32): void {
  walk(mcus, false);
}

/** Which block of the last batch has a value that is too large to code; -1 if none has. */
export function failure(): i32 {
  return failed === 0 ? -1 : <i32>((failed - INPUT) >> 7);
}

/** Counts what is still pending at the end of a scan. */
export function finishGather(): void {
  endOfBands(false);
}

/** Writes a batch. Returns how many bytes are at OUTPUT. */
export function emit(mcus: i32): i32 {
  out = OUTPUT;
  walk(mcus, true);
  return <i32>(out - OUTPUT);
}

/** Writes what is still pending at the end of a scan. Returns how many bytes are at OUTPUT. */
export function finishEmit(): i32 {
  out = OUTPUT;
  endOfBands(true);
  flush();
  return <i32>(out - OUTPUT);
}

@inline
function componentAt(c: i32): u32 {
  return COMPONENTS + <u32>c * COMPONENT_BYTES;
}

@inline
function value(at: u32): i32 {
  return load<i16>(at);
}

@inline
function walk(mcus: i32, emitting: bool): void {
  if (mode === AC_FIRST) walkBlocks(mcus, emitting, false);
  else if (mode === AC_REFINE) walkBlocks(mcus, emitting, true);
  else if (mode === SEQUENTIAL) walkMcus(mcus, emitting, SEQUENTIAL);
  else if (mode === DC_FIRST) walkMcus(mcus, emitting, DC_FIRST);
  else walkMcus(mcus, emitting, DC_REFINE);
}

/** An AC scan: it has one component, a block is an MCU, and there is no padding. */
@inline
function walkBlocks(mcus: i32, emitting: bool, refining: bool): void {
  const first = INPUT + (load<i32>(COMPONENTS + AT) << 7);
  const table = tableOffset(COMPONENTS, AC_TABLE);
  for (let m = 0; m < mcus; m++) {
    restartIfDue(emitting);
    const block = first + (m << 7);
    if (refining) acRefine(block, table, emitting);
    else acFirst(block, table, emitting);
  }
}

@inline
function walkMcus(mcus: i32, emitting: bool, kind: u32): void {
  for (let m = 0; m < mcus; m++) {
    restartIfDue(emitting);
    for (let c = 0; c < components; c++) {
      const component = componentAt(c);
      const wide = load<i32>(component + BLOCKS_WIDE);
      const high = load<i32>(component + BLOCKS_HIGH);
      const columns = load<i32>(component + REAL_COLUMNS);
      const rows = load<i32>(component + REAL_ROWS);
      const stride = load<i32>(component + STRIDE);
      const first = load<i32>(component + AT);
      const dc = tableOffset(component, DC_TABLE);
      const ac = tableOffset(component, AC_TABLE);
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < wide; x++) {
          const column = m * wide + x;
          let block = PADDING;
          if (y < rows && column < columns) {
            block = INPUT + ((first + y * stride + column) << 7);
            store<i16>(PADDING, <i16>value(block));
          }
          if (kind === DC_REFINE) {
            if (emitting) put((value(block) >> low) & 1, 1);
          } else if (kind === DC_FIRST) {
            dcValue(block, value(block) >> low, component, dc, emitting);
          } else {
            dcValue(block, value(block), component, dc, emitting);
            acSequential(block, ac, emitting);
          }
        }
      }
    }
  }
}

@inline
function tableOffset(component: u32, which: u32): u32 {
  return <u32>load<i32>(component + which) * TABLE_BYTES;
}

/** How many bits the absolute value has. */
@inline
function sizeOf(value: i32): i32 {
  return 32 - clz(abs(value));
}

/** T.81, F.1.2.1: the difference from the component's DC before. */
@inline
function dcValue(block: u32, value: i32, component: u32, table: u32, emitting: bool): void {
  const difference = value - load<i32>(component + PREDICTION);
  store<i32>(component + PREDICTION, value);
  const size = sizeOf(difference);
  if (size > MAX_DC_SIZE) fail(block);
  symbol(table, size, emitting);
  if (emitting) put((difference + (difference >> 31)) & ((1 << size) - 1), size);
}

/** T.81, F.1.2.2: runs of zeros, then a value. */
@inline
function acSequential(block: u32, table: u32, emitting: bool): void {
  let mask = nonZero(block) & ~(<u64>1);
  let before = 0;
  while (mask !== 0) {
    const k = <i32>ctz(mask);
    mask &= mask - 1;
    runAndValue(block, table, k - before - 1, value(block + (k << 1)), emitting);
    before = k;
  }
  if (before < 63) symbol(table, 0, emitting);
}

/** T.81, G.1.2.2. */
@inline
function acFirst(block: u32, table: u32, emitting: bool): void {
  let mask = (low === 0 ? nonZero(block) : atLeast(block, low)) & band;
  if (mask !== 0 && eobRun > 0) endOfBands(emitting);
  let before = <i32>ctz(band) - 1;
  while (mask !== 0) {
    const k = <i32>ctz(mask);
    mask &= mask - 1;
    const coefficient = value(block + (k << 1));
    // The point transform rounds towards zero. T.81, A.4
    runAndValue(block, table, k - before - 1, coefficient < 0 ? -(-coefficient >> low) : coefficient >> low, emitting);
    before = k;
  }
  if (before < last && ++eobRun === MAX_EOB_RUN) endOfBands(emitting);
}

@inline
function runAndValue(block: u32, table: u32, run: i32, value: i32, emitting: bool): void {
  for (; run > 15; run -= 16) symbol(table, ZERO_RUN, emitting);
  const size = sizeOf(value);
  if (size > MAX_AC_SIZE) fail(block);
  if (emitting) {
    const code = load<u32>(CODES + table + (((run << 4) + size) << 2));
    const bits = (value + (value >> 31)) & ((1 << size) - 1);
    put(((code & 0xffff) << size) | bits, <i32>(code >> 16) + size);
  } else if (size <= MAX_AC_SIZE) symbol(table, (run << 4) + size, false);
}

/**
 * T.81, G.1.2.3: a value that becomes 1 or -1 is coded as in a first scan. A value that was already there needs a
 * correction bit. It follows the next code of its block, or waits for the code of the block's end-of-band.
 */
@inline
function acRefine(block: u32, table: u32, emitting: bool): void {
  let mask = atLeast(block, low) & band;
  const fresh = mask & ~atLeast(block, low + 1);
  const lastFresh = fresh === 0 ? 0 : 63 - <i32>clz(fresh);
  let own = CORRECTIONS + corrections;
  let ownCount: u32 = 0;
  let run = 0;
  let before = <i32>ctz(band) - 1;
  while (mask !== 0) {
    const k = <i32>ctz(mask);
    mask &= mask - 1;
    run += k - before - 1;
    before = k;
    // Zeros after the last fresh value belong to the end-of-band.
    while (run > 15 && k <= lastFresh) {
      endOfBands(emitting);
      symbol(table, ZERO_RUN, emitting);
      run -= 16;
      putCorrections(own, ownCount, emitting);
      own = CORRECTIONS;
      ownCount = 0;
    }
    const coefficient = value(block + (k << 1));
    if (((fresh >> k) & 1) === 0) {
      store<u8>(own + ownCount++, (abs(coefficient) >> low) & 1);
      continue;
    }
    endOfBands(emitting);
    symbol(table, (run << 4) + 1, emitting);
    if (emitting) put(coefficient < 0 ? 0 : 1, 1);
    putCorrections(own, ownCount, emitting);
    own = CORRECTIONS;
    ownCount = 0;
    run = 0;
  }
  if (run > 0 || before < last || ownCount > 0) {
    eobRun++;
    corrections += ownCount;
    if (eobRun === MAX_EOB_RUN || corrections > MAX_CORRECTIONS - 63) endOfBands(emitting);
  }
}

/** Codes the run of end-of-bands so far, and the corrections that wait for it. T.81, table G.1 */
function endOfBands(emitting: bool): void {
  if (eobRun === 0) return;
  const size = 31 - clz(eobRun);
  symbol(tableOffset(COMPONENTS, AC_TABLE), size << 4, emitting);
  if (emitting && size > 0) put(eobRun & ((1 << size) - 1), size);
  eobRun = 0;
  putCorrections(CORRECTIONS, corrections, emitting);
  corrections = 0;
}

function putCorrections(at: u32, count: u32, emitting: bool): void {
  if (emitting) for (let i: u32 = 0; i < count; i++) put(load<u8>(at + i), 1);
}

@inline
function restartIfDue(emitting: bool): void {
  if (restartInterval === 0) return;
  if (restartsToGo === 0) restart(emitting);
  restartsToGo--;
}

function restart(emitting: bool): void {
  endOfBands(emitting);
  if (emitting) {
    flush();
    store<u8>(out++, 0xff);
    store<u8>(out++, 0xd0 + restartNumber);
  }
  restartNumber = (restartNumber + 1) & 7;
  restartsToGo = restartInterval;
  for (let c = 0; c < 4; c++) store<i32>(componentAt(c) + PREDICTION, 0);
}

function fail(block: u32): void {
  if (failed === 0) failed = block;
}

@inline
function symbol(table: u32, value: i32, emitting: bool): void {
  if (emitting) {
    const code = load<u32>(CODES + table + (value << 2));
    put(code & 0xffff, <i32>(code >> 16));
  } else {
    const at = COUNTS + table + (value << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
}

/** Appends the low `size` bits of `value`, at most 32. The higher ones must be 0. */
@inline
function put(value: u32, size: i32): void {
  pending = (pending << size) | value;
  pendingBits += size;
  if (pendingBits >= 32) drain();
}

/** Writes 32 bits, with a 0 byte after each byte of 255. T.81, F.1.2.3 */
function drain(): void {
  pendingBits -= 32;
  const word = <u32>(pending >> pendingBits);
  // Only a byte of 255 loses its top bit when 1 is added.
  if ((word & 0x80808080 & ~(word + 0x01010101)) === 0) {
    store<u32>(out, bswap(word));
    out += 4;
    return;
  }
  for (let shift = 24; shift >= 0; shift -= 8) putByte((word >> shift) & 0xff);
}

function putByte(byte: u32): void {
  store<u8>(out++, byte);
  if (byte === 0xff) store<u8>(out++, 0);
}

/** Fills the last byte with ones. */
function flush(): void {
  put(0x7f, 7);
  for (; pendingBits >= 8; pendingBits -= 8) putByte(<u32>(pending >> (pendingBits - 8)) & 0xff);
  pending = 0;
  pendingBits = 0;
}
