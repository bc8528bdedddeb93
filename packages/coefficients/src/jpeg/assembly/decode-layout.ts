/**
 * Where everything lies in the decoder's memory. There is no allocator: the host fills in the structures below. It imports
 * this file too (../decode.ts), so the file may hold nothing but constants.
 *
 *   0          COMPONENTS: up to 4 of COMPONENT_BYTES
 *   TRASH      a block nobody reads, where the padding blocks of an MCU go
 *   STAGING    the Huffman table to build next: 16 counts, 256 symbols
 *   SCANS      up to 64 of SCAN_BYTES: one for each scan that is being decoded
 *   TABLES     TABLE_BYTES each: a Huffman table, or the bins of a scan that is arithmetic coded
 *   QM_TABLE   the estimates of arithmetic coding: a word for each state
 *   SKIP_AREA  SKIP_BYTES each: the skip tables
 *   …          the band: some rows of blocks of each component; then the file's bytes
 */

/** Base address in the band, blocksWide, blocksHigh, horizontal and vertical sampling, last coefficient needed: u32 each. */
export const COMPONENTS: u32 = 0;
export const COMPONENT_BYTES: u32 = 32;
export const TRASH: u32 = 128;
export const STAGING: u32 = 256;
/** Bytes from one block of the band to the next: 128, or 2 for each coefficient that is kept, if no scan needs others. */
export const BLOCK_BYTES_AT: u32 = 640;
/** Not 0: decoding goes on after damage, as libjpeg does. */
export const TOLERANT_AT: u32 = 644;
/** Of the host's search for restart markers. */
export const RESTARTS_PASSED: u32 = 648;
export const SCANS: u32 = 1024;
export const MAX_SCANS: u32 = 64;

// One scan.
export const MODE: u32 = 0;
export const SS: u32 = 4;
export const SE: u32 = 8;
export const AL: u32 = 12;
export const SCAN_COMPONENTS: u32 = 16;
export const MCUS_PER_ROW: u32 = 20;
export const RESTART_INTERVAL: u32 = 24;
export const MCUS_TO_RESTART: u32 = 28;
/** The bit buffer: its top BITS bits are what comes next. NEXT is the address of the byte that follows them. */
export const BUFFER: u32 = 32;
export const BITS: u32 = 40;
export const NEXT: u32 = 44;
/** Beyond this address a block might run over the segment's end. */
export const SAFE: u32 = 48;
/** The segment: the entropy-coded bytes between two markers, without byte stuffing. */
export const SEGMENT: u32 = 52;
export const SEGMENT_END: u32 = 56;
/** Where the segment begins in the raw bytes. */
export const SEGMENT_RAW: u32 = 60;
/** The raw bytes that follow the marker after this segment, and their end. */
export const RAW: u32 = 64;
export const RAW_END: u32 = 68;
/** The marker after this segment, not yet consumed; END_MARKER for the one that ends the scan. */
export const MARKER: u32 = 72;
export const NEXT_RESTART: u32 = 76;
export const EOB_RUN: u32 = 80;
/** Not 0 once the segment's bits have run out. MCUs up to the next restart are left as they are. */
export const OUT_OF_DATA: u32 = 84;
/** Not 0 while reading the segment's last bytes from TAIL, where zeros follow them. */
export const IN_TAIL: u32 = 88;
/** The scan's first damage: kind, block row, block column, component of the scan, byte in segment. */
export const DAMAGE: u32 = 92;
export const DAMAGE_ROW: u32 = 96;
export const DAMAGE_COLUMN: u32 = 100;
export const DAMAGE_COMPONENT: u32 = 104;
export const DAMAGE_BYTE: u32 = 108;
export const DAMAGE_RAW: u32 = 112;
export const DAMAGE_COUNT: u32 = 116;
/** The row in which the segment's bits ran out last. */
export const END_ROW: u32 = 120;
/** Not 0: the coefficients that are not kept are skipped. Each AC table then has a skip table. */
export const SKIPS: u32 = 124;
/** Each component of the scan: index, DC table, AC table, DC prediction. */
export const MEMBERS: u32 = 128;
export const MEMBER_BYTES: u32 = 16;
/**
 * Each block of an MCU: address, bytes to the next MCU's, MCUs with a real block there, DC table, AC table, prediction, last
 * coefficient needed.
 */
export const BLOCKS: u32 = 192;
export const BLOCK_RECORD: u32 = 28;
export const TAIL: u32 = 480;
/** More than the bits of any block: 64 codes of 16 bits with 15 more each, and two loads of the bit buffer. */
export const TAIL_BYTES: u32 = 272;
export const SCAN_BYTES: u32 = 480 + 2 * 272 + 32;

// Arithmetic coding uses the tail's place for: each member's context, at this distance from the member; the bin of even
// decisions; the register A; and whether damage was found since the last restart.
export const CONTEXTS: u32 = TAIL - MEMBERS;
export const EVEN_BIN: u32 = TAIL + 64;
export const INTERVAL: u32 = TAIL + 68;
export const STOPPED: u32 = TAIL + 72;

export const END_MARKER: u32 = 0x100;

/** Added to a scan's kind (./scan-kinds.ts) where it is arithmetic coded. */
export const ARITHMETIC: u32 = 8;

export const BAD_CODE: u32 = 1;
export const RUN_TOO_LONG: u32 = 2;
export const DATA_ENDS: u32 = 3;
export const WRONG_RESTART: u32 = 4;
export const EXTRA_BYTES: u32 = 5;
export const BAD_REFINEMENT: u32 = 6;
export const VALUE_TOO_LARGE: u32 = 7;

/**
 * The most unused bytes after a segment's last Huffman code that are not damage. libjpeg reads 64 bits ahead, and does not
 * report whole bytes that it has read and does not need.
 */
export const SPARE_BYTES: u32 = 7;

// One Huffman table. The first LOOKUP_BITS of the stream are the index of an entry. Longer codes are searched by length.
export const LOOKUP_BITS: u32 = 10;
export const LIMITS: u32 = 4096;
export const OFFSETS: u32 = 4096 + 80;
export const SYMBOLS: u32 = 4096 + 160;
/** The address of the AC table's skip table. */
export const SKIP_TABLE: u32 = 4096 + 416;
export const TABLE_BYTES: u32 = 4096 + 512;

// Skip tables: ./skip-tables.ts.
export const SKIP_BITS: u32 = 13;
export const MAX_SKIP_TABLES: u32 = 4;
export const SKIP_BYTES: u32 = 2 << SKIP_BITS;
export const BLOCK_ENDS: u32 = 0x8000;

// The bins of one scan: for each slot in use the DC bins (T.81, table F.4), then the AC bins (table F.5), with the
// conditioning values of DAC behind them.
export const DC_BINS: u32 = 56;
export const DC_LOWER: u32 = 56;
export const DC_UPPER: u32 = 57;
export const DC_AREA: u32 = 64;
export const AC_BINS: u32 = 248;
export const AC_LIMIT: u32 = 248;
export const AC_AREA: u32 = 256;

export const TABLES: u32 = SCANS + MAX_SCANS * SCAN_BYTES;
export const MAX_TABLES: u32 = 96;
export const QM_TABLE: u32 = TABLES + MAX_TABLES * TABLE_BYTES;
/** The state for even decisions, the table's last one. */
export const EVEN: u32 = 113;
export const SKIP_AREA: u32 = QM_TABLE + 512;
/** Where a skip table is built. */
export const SKIP_STAGING: u32 = SKIP_AREA + MAX_SKIP_TABLES * SKIP_BYTES;
export const BAND: u32 = SKIP_STAGING + SKIP_BYTES;
/** How many bytes beyond the file's may be read. */
export const SLACK: u32 = 64;
