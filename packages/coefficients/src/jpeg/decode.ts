import {
  AC_AREA,
  AC_LIMIT,
  ARITHMETIC,
  BAND,
  BLOCK_BYTES_AT,
  COMPONENT_BYTES,
  DAMAGE_COUNT,
  DC_AREA,
  DC_LOWER,
  DC_UPPER,
  END_ROW,
  MAX_SCANS,
  MAX_SKIP_TABLES,
  MAX_TABLES,
  MCUS_PER_ROW,
  MEMBER_BYTES,
  MEMBERS,
  NEXT_RESTART,
  OUT_OF_DATA,
  QM_TABLE,
  RAW,
  SCAN_BYTES,
  SCANS,
  SKIP_AREA,
  SKIP_BYTES,
  SKIP_TABLE,
  SKIPS,
  STAGING,
  TABLE_BYTES,
  TABLES,
  TOLERANT_AT,
} from "./assembly/decode-layout.js";
import { DC_FIRST, DC_REFINE, SEQUENTIAL } from "./assembly/scan-kinds.js";
import { type DamageList, note } from "./damage.js";
import { countZeros, type Engine } from "./engine.js";
import { JpegError } from "./errors.js";
import type { Frame, ScanHeader } from "./headers.js";
import type { JpegImage, JpegUnfinished } from "./image.js";
import { probabilityTable } from "./probability.js";
import type { RowRange } from "./row-starts.js";
import { scanDamage } from "./scan-damage.js";
import type { ScanFinder } from "./scan-finder.js";
import type { Scan } from "./scans.js";
import type { Conditioning } from "./table-segments.js";
import type { HuffmanTable } from "./tables.js";

/** A file whose scans are known, and how to decode it. */
export interface Decoding {
  bytes: Uint8Array;
  frame: Frame;
  scans: Scan[];
  finder: ScanFinder;
  kept: number;
  /** How many coefficients of each component's blocks are needed, at most `kept`. */
  needed: readonly number[];
  tolerant: boolean;
  damage: DamageList;
  /** Gets the row in which the last scan's data ended. */
  unfinished: JpegUnfinished | undefined;
  /** Arrays that may be overwritten. */
  reuse: Int16Array[];
  /** The image whose bands are yielded, if no result arrays are wanted. */
  streamed: JpegImage | undefined;
  /** The rows to decode, if not all. There is one scan then. */
  range: RowRange | undefined;
  /** Rows of whole MCUs from here on are not needed. */
  endRow: number;
}

/** Some rows of an image's blocks. */
export interface Band {
  /** The image without coefficients. Its damage is known after the last band. */
  image: JpegImage;
  /** Rows of whole MCUs: the first one, and the one after the last. */
  from: number;
  to: number;
  /** Each component's rows of blocks, `[rows, blocksWide, kept]`. The next band overwrites them. */
  parts: readonly Int16Array[];
  /** How many coefficients each block has. */
  kept: number;
  /** How many coefficients of a part are zero. */
  countZeros(part: Int16Array): number;
}

/**
 * Decodes the scans, and returns each component's coefficients, `[blocksHigh, blocksWide, kept]`.
 *
 * The image is decoded band by band: all scans of some rows of blocks, then all scans of the next rows. Each scan keeps
 * its place in the file. So the coefficients stay in the cache while a progressive file's scans build them up, and memory
 * holds no more than the result, the file and one band. If bands are yielded, the returned arrays are empty. A file with
 * too many scans to decode side by side yields all rows as one band.
 */
export function* decodeScans(engine: Engine, decoding: Decoding): Generator<Band, Int16Array[]> {
  const { frame, scans, kept, tolerant, streamed, range } = decoding;
  const groups = groupScans(scans);
  const streams = streamed !== undefined && groups.length === 1;
  // The next group goes on from all coefficients of the one before.
  const held = groups.length > 1 ? 64 : kept;
  const results: (Int16Array | undefined)[] = frame.components.map(({ blocksWide, blocksHigh }, index) => {
    const old = decoding.reuse[index];
    return old?.length === blocksWide * blocksHigh * held ? old : undefined;
  });
  const { u32 } = engine;
  u32[TOLERANT_AT / 4] = tolerant ? 1 : 0;
  const layout = layoutOf(decoding, held);
  u32[BLOCK_BYTES_AT / 4] = layout.blockBytes;
  const { rowsInBand } = decoding.finder;
  const end = endRowOf(decoding, streams);
  for (const group of groups) {
    const before = group === groups[0] ? undefined : results;
    const decodeRows = groupDecoder(engine, decoding, group, before, layout);
    for (let row = range?.from.row ?? 0; row < end; row += rowsInBand) {
      const to = Math.min(end, row + rowsInBand);
      const parts = decodeRows(row, to);
      if (streams) yield bandOf(engine, streamed, row, to, parts, held);
      else store(results, parts, frame, row, held);
    }
    endGroup(engine, decoding, group, end);
  }
  if (streams) return results.map(() => new Int16Array(0));
  const whole = results as Int16Array[];
  if (streamed) yield bandOf(engine, streamed, 0, end, whole, held);
  return held === kept ? whole : whole.map((result) => truncate(result, kept));
}

/** How the blocks lie in the band. */
interface BandLayout {
  /** How many coefficients of each block are wanted. */
  held: number;
  /** From one block to the next: only what is held, if the scans need nothing else. */
  blockBytes: number;
  /** Whether the scans skip the other coefficients. */
  skips: boolean;
}

function layoutOf({ bytes, scans, needed }: Decoding, held: number): BandLayout {
  const tables = new Set(scans.flatMap(({ members }) => members.map(({ ac }) => ac)));
  const isSequential = scans.every(({ mode, conditioning }) => mode === SEQUENTIAL && !conditioning);
  // In shorter files skip tables cost more time than they save (measured with 1, 5 and 25 coefficients).
  const isWorth = bytes.length >= 2048 * (Math.min(...needed) + 1);
  const skips =
    isSequential && needed.some((count) => count < 64) && isWorth && tables.size <= MAX_SKIP_TABLES;
  const isDc = scans.every(({ mode }) => mode === DC_FIRST || mode === DC_REFINE);
  return { held, blockBytes: skips || (isDc && held === 1) ? 2 * held : 128, skips };
}

const bandOf = (
  engine: Engine,
  image: JpegImage,
  from: number,
  to: number,
  parts: readonly Int16Array[],
  kept: number,
): Band => ({ image, from, to, parts, kept, countZeros: (part) => countZeros(engine, part) });

/**
 * The row of whole MCUs after the last that is decoded. The strict reader checks the whole file; smoothing needs to know where
 * the data ends.
 */
function endRowOf({ range, endRow, finder, tolerant, unfinished }: Decoding, streams: boolean): number {
  if (range) return range.endRow;
  return streams && tolerant && !unfinished ? Math.min(finder.rows, endRow) : finder.rows;
}

/** Splits the scans into groups that are decoded side by side: as many as there is room for, and for their tables. */
function groupScans(scans: readonly Scan[]): Scan[][] {
  const groups: Scan[][] = [];
  let group: Scan[] = [];
  let tables = new Set<object>();
  for (const scan of scans) {
    const needed = scan.conditioning
      ? [scan.conditioning]
      : scan.members.flatMap(({ dc, ac }) => [dc, ac].filter((table) => table !== undefined));
    if (group.length === MAX_SCANS || tables.size + needed.length > MAX_TABLES) {
      groups.push(group);
      group = [];
      tables = new Set();
    }
    group.push(scan);
    for (const table of needed) tables.add(table);
  }
  groups.push(group);
  return groups;
}

/**
 * Begins a group of scans.
 * @param before - what the groups before it decoded; undefined for the first
 * @returns a function that decodes rows `from` to `to` of whole MCUs, and gives each component's part of them
 */
function groupDecoder(
  engine: Engine,
  decoding: Decoding,
  group: readonly Scan[],
  before: readonly (Int16Array | undefined)[] | undefined,
  { held, blockBytes, skips }: BandLayout,
): (from: number, to: number) => Int16Array[] {
  const { frame } = decoding;
  const { exports } = engine;
  beginScans(engine, decoding, group, skips);
  const { i16 } = engine;
  const components = frame.components.map((component, index) => {
    const { blocksWide, blocksHigh, horizontalSampling, verticalSampling } = component;
    const at = (index * COMPONENT_BYTES) / 4;
    const last = (decoding.needed[index] as number) - 1;
    engine.u32.set([0, blocksWide, blocksHigh, horizontalSampling, verticalSampling, last], at);
    return { at, blocksWide, blocksHigh, verticalSampling, index };
  });
  const scanOffset = decoding.scans.indexOf(group[0] as Scan);
  return (row, to) => {
    let address = BAND;
    for (const { at, blocksWide, verticalSampling } of components) {
      engine.u32[at] = address;
      address += blocksWide * verticalSampling * (to - row) * blockBytes;
    }
    if (before === undefined) exports.clear(BAND, address - BAND);
    else
      for (const { at, blocksWide, blocksHigh, verticalSampling, index } of components) {
        const result = before[index] as Int16Array;
        const from = row * verticalSampling * blocksWide * 64;
        const end = Math.min(to * verticalSampling, blocksHigh) * blocksWide * 64;
        if (from < end) i16.set(result.subarray(from, end), (engine.u32[at] as number) / 2);
      }
    for (let index = 0; index < group.length; index++) {
      const scan = SCANS + index * SCAN_BYTES;
      if (exports.decodeBand(scan, row, to) === 0)
        throw scanDamage(engine, decoding, group, index, scanOffset).error;
    }
    return components.map(({ at, blocksWide, blocksHigh, verticalSampling }) => {
      const first = row * verticalSampling * blocksWide;
      const blocks = Math.max(0, Math.min(to * verticalSampling, blocksHigh) * blocksWide - first);
      const band = engine.u32[at] as number;
      if (held < 64 && blockBytes === 128) exports.compact(band, blocks, held);
      return i16.subarray(band / 2, band / 2 + blocks * held);
    });
  };
}

/** Puts the parts of a band that begins with `row` into the result arrays. */
function store(
  results: (Int16Array | undefined)[],
  parts: readonly Int16Array[],
  { components }: Frame,
  row: number,
  held: number,
): void {
  components.forEach(({ blocksWide, blocksHigh, verticalSampling }, index) => {
    const part = parts[index] as Int16Array;
    if (part.length === 0) return;
    const all = blocksWide * blocksHigh * held;
    // A copy of a whole array does not have to be filled with zeros first.
    if (results[index] === undefined && part.length === all) results[index] = new Int16Array(part);
    else {
      results[index] ??= allocate(all);
      results[index].set(part, row * verticalSampling * blocksWide * held);
    }
  });
}

function endGroup(engine: Engine, decoding: Decoding, group: readonly Scan[], end: number): void {
  const scanOffset = decoding.scans.indexOf(group[0] as Scan);
  for (let index = 0; index < group.length; index++) {
    const scan = SCANS + index * SCAN_BYTES;
    if (decoding.unfinished && scanOffset + index === decoding.scans.length - 1)
      decoding.unfinished.lastRow = lastRow(engine, decoding, group[index] as Scan, scan);
    if (end === decoding.finder.rows) engine.exports.endScan(scan, end);
    else if (decoding.range) engine.exports.endPart(scan, end);
    if (engine.u32[(scan + DAMAGE_COUNT) / 4] === 0) continue;
    const { error, count } = scanDamage(engine, decoding, group, index, scanOffset);
    if (!decoding.tolerant) throw error;
    note(decoding.damage, () => error, scanOffset + index, count);
  }
}

/** The row of whole MCUs in which the scan's data ended for good. */
function lastRow({ u32 }: Engine, { frame, finder }: Decoding, { members }: Scan, scan: number): number {
  if (u32[(scan + OUT_OF_DATA) / 4] === 0) return finder.rows - 1;
  const [member] = members;
  const rowsOfBlocks =
    members.length === 1 ? (frame.components[member?.component ?? 0]?.verticalSampling ?? 1) : 1;
  return Math.floor((u32[(scan + END_ROW) / 4] as number) / rowsOfBlocks);
}

function allocate(length: number): Int16Array {
  try {
    return new Int16Array(length);
  } catch {
    throw new JpegError(
      `no memory for a component of ${2 * length} bytes; maxPixels can refuse such images`,
      0,
    );
  }
}

/** Fills in the scans' structures and tables. */
function beginScans(
  engine: Engine,
  { finder, range }: Decoding,
  group: readonly Scan[],
  skips: boolean,
): void {
  // This comes first: finding a scan's end may load more of the file, and that replaces the engine's arrays.
  const entropyCoded = group.map(({ header }) => finder.addresses(header));
  const { u8, u32, exports } = engine;
  const addresses = new Map<object, number>();
  let skipTable = SKIP_AREA;
  const room = (table: object) => {
    const address = TABLES + addresses.size * TABLE_BYTES;
    addresses.set(table, address);
    return address;
  };
  const place = (table: HuffmanTable | undefined, dc: boolean): number => {
    if (table === undefined) return 0;
    let address = addresses.get(table);
    if (address === undefined) {
      address = room(table);
      u8.set(table.counts, STAGING);
      u8.set(table.symbols, STAGING + 16);
      u8.fill(0, STAGING + 16 + table.symbols.length, STAGING + 16 + 256);
      exports.buildTable(address, dc ? 1 : 0);
      if (skips && !dc) {
        exports.buildSkips(address, skipTable);
        u32[(address + SKIP_TABLE) / 4] = skipTable;
        skipTable += SKIP_BYTES;
      }
    }
    return address;
  };
  if (group.some(({ conditioning }) => conditioning)) u32.set(probabilityTable, QM_TABLE / 4);
  group.forEach(({ mode, members, header, restartInterval, mcusPerRow, conditioning }, index) => {
    const scan = SCANS + index * SCAN_BYTES;
    const { spectralStart, spectralEnd, approximationLow } = header;
    const coding = conditioning ? ARITHMETIC : 0;
    const bins = conditioning && placeBins(u8, room(conditioning), header, conditioning);
    u32.set([mode + coding, spectralStart, spectralEnd, approximationLow, members.length], scan / 4);
    u32.set([mcusPerRow, restartInterval], (scan + MCUS_PER_ROW) / 4);
    u32.set(entropyCoded[index] as readonly [number, number], (scan + RAW) / 4);
    u32[(scan + SKIPS) / 4] = skips ? 1 : 0;
    members.forEach(({ component, dc, ac }, member) => {
      const at = (scan + MEMBERS + member * MEMBER_BYTES) / 4;
      u32.set([component, ...(bins?.[member] ?? [place(dc, true), place(ac, false)]), 0], at);
    });
    exports.beginScan(scan);
    if (range) u32[(scan + NEXT_RESTART) / 4] = range.from.interval & 7;
  });
}

/** Gives each slot in use its bins, and returns each member's two addresses. The decoder clears the bins. */
function placeBins(
  u8: Uint8Array,
  from: number,
  { members }: ScanHeader,
  { dcLower, dcUpper, acLimit }: Conditioning,
): [dc: number, ac: number][] {
  const slots = { dc: members.map(({ dcSlot }) => dcSlot), ac: members.map(({ acSlot }) => acSlot) };
  return members.map(({ dcSlot, acSlot }) => {
    // Members of the same slot share its bins.
    const dc = from + slots.dc.indexOf(dcSlot) * DC_AREA;
    const ac = from + members.length * DC_AREA + slots.ac.indexOf(acSlot) * AC_AREA;
    u8[dc + DC_LOWER] = dcLower[dcSlot] as number;
    u8[dc + DC_UPPER] = dcUpper[dcSlot] as number;
    u8[ac + AC_LIMIT] = acLimit[acSlot] as number;
    return [dc, ac];
  });
}

function truncate(coefficients: Int16Array, kept: number): Int16Array {
  const blocks = coefficients.length / 64;
  const result = new Int16Array(blocks * kept);
  for (let block = 0; block < blocks; block++)
    result.set(coefficients.subarray(block * 64, block * 64 + kept), block * kept);
  return result;
}
