/**
 * Where everything lies in the encoder's memory. There is no allocator. The host imports this file too
 * (../entropy-encoder.ts), so it may hold nothing but constants.
 *
 *   COMPONENTS   up to 4 of COMPONENT_BYTES: what `assign` and `place` say of each component of the scan
 *   PADDING      the block that fills up an MCU at the image's edge: no AC, the DC of the block before
 *   CORRECTIONS  one bit, in a byte each, of every coefficient that was already known not to be zero
 *   COUNTS       how often each symbol occurs, u32: 256 each of the tables DC 0, DC 1, AC 0, AC 1
 *   CODES        `code | length << 16` of each symbol, u32, of the same tables
 *   INPUT        the blocks of a batch
 *   OUTPUT       the bytes of a batch
 */

/** The most blocks in a batch. */
export const CAPACITY: u32 = 1024;
/** The most correction bits that are kept back, as in libjpeg. */
export const MAX_CORRECTIONS: u32 = 1000;

/**
 * The most bytes a block can take: 64 codes of 16 bits with 16-bit values (too many, but `failure` is asked only after a
 * batch), every byte stuffed, and a restart marker before it.
 */
const WORST_BLOCK: u32 = 2 * ((64 * 32) / 8) + 8;
/** The most bytes of a run of end-of-bands from the batch before. */
const WORST_PENDING: u32 = 512;

export const COMPONENTS: u32 = 64;
export const COMPONENT_BYTES: u32 = 64;
export const AT: u32 = 0;
export const BLOCKS_WIDE: u32 = 4;
export const BLOCKS_HIGH: u32 = 8;
export const REAL_COLUMNS: u32 = 12;
export const REAL_ROWS: u32 = 16;
export const STRIDE: u32 = 20;
export const DC_TABLE: u32 = 24;
export const AC_TABLE: u32 = 28;
export const PREDICTION: u32 = 32;

export const PADDING: u32 = COMPONENTS + 4 * COMPONENT_BYTES;
export const CORRECTIONS: u32 = PADDING + 128;

export const TABLES: u32 = 4;
export const SYMBOLS: u32 = 256;
export const TABLE_BYTES: u32 = SYMBOLS * 4;
export const COUNTS: u32 = 2048;
export const CODES: u32 = COUNTS + TABLES * TABLE_BYTES;
export const INPUT: u32 = CODES + TABLES * TABLE_BYTES;
export const OUTPUT: u32 = INPUT + CAPACITY * 128;
export const MEMORY_BYTES: u32 = OUTPUT + CAPACITY * WORST_BLOCK + WORST_PENDING;
