/** Quantised coefficients → the bytes of a JPEG file (T.81), in libjpeg's layout. */
import { checkImage, mcuGrid } from "./check-image.js";
import { COLOR_SPACES } from "./color-space.js";
import { type CodedScan, countSymbols, encodeScan } from "./entropy-encoder.js";
import { JpegImageError } from "./errors.js";
import { fillCodes, optimalTable } from "./huffman.js";
import type { JpegComponent, JpegImage } from "./image.js";
import { distinctTables } from "./quality.js";
import { checkScript, progressiveScript, type Scan, sequentialScript } from "./scan-script.js";
import { type HuffmanTable, standardAcTables, standardDcTables } from "./tables.js";
import {
  colorAndKeptSegments,
  END_OF_IMAGE,
  frameSegment,
  huffmanSegment,
  quantizationSegment,
  restartSegment,
  START_OF_IMAGE,
  scanSegment,
} from "./write-markers.js";

export interface WriteOptions {
  /** Whether to write a progressive file. By default the image's own `progressive` decides. */
  progressive?: boolean;
  /**
   * The scans. By default one of all components, or the progressive script of libjpeg's `jpeg_simple_progression`. They
   * must send every bit of every coefficient.
   */
  script?: readonly Scan[];
  /**
   * `optimized` (default): the shortest Huffman tables for this image. `standard`: those of T.81's tables K.3 to K.6,
   * in sequential files only.
   */
  huffman?: "optimized" | "standard";
  /** MCUs between restart markers, 1 to 65535; 0 (default): none. */
  restartInterval?: number;
  /** Whether the image's kept segments go into the file; true by default. */
  segments?: boolean;
}

/** The order of the tables in counts and codes, and their slots in DHT. */
const SLOTS = [0x00, 0x01, 0x10, 0x11] as const;
type Slot = (typeof SLOTS)[number];
const STANDARD = [...standardDcTables, ...standardAcTables];
const SYMBOLS = 256;
const MAX_INTERVAL = 65535;

/**
 * Writes coefficients and tables as a JPEG file. Reading it gives the same coefficients, and decoding it the same
 * pixels, as the file they came from.
 *
 * The file is baseline (SOF0), extended sequential (SOF1) where a quantisation table needs 16 bits, or progressive
 * (SOF2); Huffman coded, 8 bits a sample. Segments, tables and padding are those of libjpeg: for the same coefficients
 * and options `jpegtran` writes the same bytes, except that equal quantisation tables are written once here.
 * @param image as {@link JpegImage} says. It is not changed.
 * @throws {JpegImageError} if the image or an option is not what a JPEG file can hold: DC values that differ by more
 * than 2047 from the block before, AC values beyond ±1023, wrong sizes, an incomplete script.
 */
export function writeCoefficients(image: JpegImage, options: WriteOptions = {}): Uint8Array {
  checkImage(image);
  const { progressive = image.progressive, huffman = "optimized", restartInterval = 0 } = options;
  checkOptions(progressive, huffman, restartInterval);
  const script = options.script ?? (progressive ? progressiveScript(image) : sequentialScript(image));
  checkScript(script, image, progressive);

  const frame = withDistinctIds(image.components);
  const { tables, slots } = distinctTables(image.components);
  const pieces = [
    START_OF_IMAGE,
    ...colorAndKeptSegments(
      image.colorSpace,
      frame.map(({ id }) => id),
      (options.segments ?? true) ? (image.segments ?? []) : [],
    ),
    ...tables.map((table, slot) => quantizationSegment(slot, table)),
    frameSegment({ ...image, components: frame }, progressive, slots),
  ];
  const { mcusWide, mcusHigh } = mcuGrid(image);
  const { chrominance } = COLOR_SPACES[image.colorSpace];
  const scans = script.map(
    (scan): CodedScan => ({
      ...scan,
      sequential: !progressive,
      frame,
      mcusWide,
      mcusHigh,
      restartInterval,
      tables: frame.map((_, c) => (chrominance.includes(c) ? 1 : 0)),
    }),
  );
  scans.forEach((scan, index) => {
    pieces.push(...scanPieces(scan, huffman, scans.slice(0, index)));
  });
  return concatenate([...pieces, END_OF_IMAGE]);
}

/**
 * Some files give several components the same identifier. They can be read if one scan has all components. But a scan of
 * one component could not say which one it means. So the later ones get identifiers that are free.
 */
function withDistinctIds(components: readonly JpegComponent[]): JpegComponent[] {
  const taken = new Set(components.map(({ id }) => id));
  return components.map((component, c) => {
    if (components.findIndex(({ id }) => id === component.id) === c) return component;
    let id = c + 1;
    while (taken.has(id)) id++;
    taken.add(id);
    return { ...component, id };
  });
}

/** A scan, with the segments that must come before it. */
function scanPieces(
  scan: CodedScan,
  huffman: "optimized" | "standard",
  before: readonly CodedScan[],
): Uint8Array[] {
  const { codes, found } = huffmanTables(scan, huffman);
  const pieces: Uint8Array[] = [];
  for (const [slot, table] of found) {
    // Standard tables do not change, so the first scan that uses one writes it for all.
    const isKnown = huffman === "standard" && before.some((earlier) => slotsOf(earlier).includes(slot));
    if (!isKnown) pieces.push(huffmanSegment(slot, table));
  }
  if (before.length === 0 && scan.restartInterval > 0) pieces.push(restartSegment(scan.restartInterval));
  const ids = scan.frame.map(({ id }) => id);
  pieces.push(scanSegment(scan, ids, scan.tables));
  encodeScan(scan, codes, (bytes) => pieces.push(bytes.slice()));
  return pieces;
}

function checkOptions(progressive: boolean, huffman: string, restartInterval: number): void {
  if (!Number.isInteger(restartInterval) || restartInterval < 0 || restartInterval > MAX_INTERVAL)
    throw new JpegImageError(`a restart interval of ${restartInterval}, expected 0 to ${MAX_INTERVAL} MCUs`);
  if (huffman !== "optimized" && huffman !== "standard")
    throw new JpegImageError(`Huffman tables "${huffman}", expected "optimized" or "standard"`);
  if (huffman === "standard" && progressive)
    throw new JpegImageError(
      "standard Huffman tables have no codes for progressive scans: leave them optimized, or set progressive to false",
    );
}

/** The scan's tables by slot, in the order in which libjpeg writes them, and its codes. */
function huffmanTables(
  scan: CodedScan,
  huffman: "optimized" | "standard",
): { codes: Uint32Array; found: Map<Slot, HuffmanTable> } {
  const codes = new Uint32Array(SLOTS.length * SYMBOLS);
  const found = new Map<Slot, HuffmanTable>();
  const isDcRefinement = !scan.sequential && scan.spectralStart === 0 && scan.approximationHigh > 0;
  if (isDcRefinement) return { codes, found };
  const counts = huffman === "optimized" ? countSymbols(scan) : undefined;
  for (const slot of slotsOf(scan)) {
    if (found.has(slot)) continue;
    const at = SLOTS.indexOf(slot);
    const range = [at * SYMBOLS, (at + 1) * SYMBOLS] as const;
    const table = counts ? optimalTable(counts.subarray(...range)) : (STANDARD[at] as HuffmanTable);
    fillCodes(table, codes.subarray(...range));
    found.set(slot, table);
  }
  return { codes, found };
}

/** The DC and the AC slot of each component in turn, if the scan has such values. */
function slotsOf({ components, spectralStart, spectralEnd, tables }: CodedScan): Slot[] {
  return components.flatMap((c) => {
    const dc = tables[c] === 0 ? SLOTS[0] : SLOTS[1];
    const ac = tables[c] === 0 ? SLOTS[2] : SLOTS[3];
    return [...(spectralStart === 0 ? [dc] : []), ...(spectralEnd > 0 ? [ac] : [])];
  });
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
