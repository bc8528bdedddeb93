import { beginningOf, type JpegBytes, reaches, runSteps, type Steps, toEnd } from "./beginning.js";
import { collectScans } from "./collect-scans.js";
import { colorSpaceOf } from "./color-space.js";
import { type Band, type Decoding, decodeScans } from "./decode.js";
import { decoder, type Engine } from "./engine.js";
import { JpegError, unexpected } from "./errors.js";
import { type Frame, type Headers, nextScan, readStart, type ScanHeader, startHeaders } from "./headers.js";
import type { ColorSpace, JpegComponent, JpegImage, JpegScan, JpegSegment } from "./image.js";
import { iccProfile } from "./metadata.js";
import { type RowRange, type RowStart, rowStarts } from "./row-starts.js";
import { ScanFinder } from "./scan-finder.js";

export interface ReadOptions {
  /**
   * How many coefficients of each block to keep, the first ones in zigzag order; 64 by default. Only the part of a
   * progressive file that has them is read: with 1, usually the first tenth.
   */
  coefficients?: number;
  /**
   * Go on after damage, as libjpeg does: what cannot be read is 0, and the image's `damage` says what it was. By default
   * damage is an error.
   */
  tolerant?: boolean;
  /** Keep comments and APP segments, as `segments` of the result. */
  keepSegments?: boolean;
  /**
   * An image that is no longer needed. The new image takes over those of its coefficient arrays that have the right
   * length, and overwrites them. This helps in a loop over many images: new memory can cost more time than decoding.
   */
  reuse?: JpegImage;
  /** The largest `width * height` to read; {@link MAX_PIXELS} (268 million, as sharp's) by default. */
  maxPixels?: number;
  /** The largest number of scans to read; 1000 by default. */
  maxScans?: number;
}

/** How to read a file band by band. */
export type BandOptions = Pick<ReadOptions, "tolerant" | "maxPixels" | "maxScans" | "keepSegments">;

/** How to read a file's headers. */
export type HeaderOptions = Pick<ReadOptions, "tolerant" | "maxPixels">;

/** What a file's headers say, up to its first scan. */
export interface JpegHeader {
  width: number;
  height: number;
  progressive: boolean;
  /** Arithmetic coded, not by Huffman codes. */
  arithmetic: boolean;
  colorSpace: ColorSpace;
  components: HeaderComponent[];
  restartInterval: number;
  /** The first scan; a progressive file has more of them. */
  firstScan: JpegScan;
  orientation?: number;
  iccProfile?: Uint8Array;
  /** Comments and APP segments. */
  segments: JpegSegment[];
}

export interface HeaderComponent {
  id: number;
  horizontalSampling: number;
  verticalSampling: number;
  blocksWide: number;
  blocksHigh: number;
  /** 64 entries in zigzag order; undefined where the table comes after the first scan. */
  quantization?: Uint16Array;
}

/** The default of `maxPixels`: 16383 x 16383, as sharp's limitInputPixels. */
export const MAX_PIXELS = 268402689;

/**
 * Reads the header segments of a JPEG file up to its first scan. Decodes nothing.
 *
 * @param bytes - the file, or as much of its beginning as holds the first scan's header
 * @throws {JpegError} if the file is damaged (unless `tolerant`) or the image larger than `maxPixels`
 * @throws {UnsupportedJpegError} if its coding is not supported
 */
export function readHeader(bytes: Uint8Array, options: HeaderOptions = {}): JpegHeader {
  const headers = startHeaders(beginningOf(bytes), options.tolerant ?? false, true);
  return headerOf(runSteps(readToFirstScan(headers, options), headers, bytes));
}

/** A file up to the first scan's data. */
export interface Start {
  headers: Headers;
  frame: Frame;
  first: ScanHeader;
}

/** Reads everything before the first scan's data. Every reader begins here, so each one has the limit of pixels. */
export function* readToFirstScan(
  headers: Headers,
  { maxPixels = MAX_PIXELS }: Pick<HeaderOptions, "maxPixels">,
): Steps<Start> {
  if (!headers.isWhole) yield* reaches(headers, 2);
  readStart(headers);
  const first = yield* nextScan(headers);
  const { frame } = headers;
  if (first === undefined || frame === undefined) throw noScan(headers);
  if (frame.width * frame.height > maxPixels)
    throw new JpegError(
      `the image has ${frame.width} x ${frame.height} pixels, the limit maxPixels is ${maxPixels}`,
      0,
    );
  return { headers, frame, first };
}

export function headerOf({ headers, frame, first }: Start): JpegHeader {
  return {
    width: frame.width,
    height: frame.height,
    progressive: frame.progressive,
    arithmetic: frame.arithmetic,
    colorSpace: colorSpace(headers, frame),
    components: frame.components.map(({ quantizationSlot, ...component }) => {
      const table = headers.quantization[quantizationSlot];
      return { ...component, ...(table && { quantization: table.slice() }) };
    }),
    restartInterval: headers.restartInterval,
    firstScan: describe(first),
    ...metadata(headers),
    segments: headers.segments,
  };
}

/**
 * Reads the quantised DCT coefficients of a JPEG file: sequential or progressive, Huffman or arithmetic coded, 8 bits a
 * sample, one to four components of any sampling. They equal those of libjpeg's `jpeg_read_coefficients`, in zigzag order.
 *
 * @param file - its bytes, or a function that reads them as far as they are needed
 * @throws {JpegError} if the file is damaged (unless `tolerant`) or beyond a limit
 * @throws {UnsupportedJpegError} if its coding is not supported
 */
export function readCoefficients(file: JpegBytes, options: ReadOptions = {}): JpegImage {
  // There are no bands to yield, so the first step returns the image.
  return read(file, options).next().value as JpegImage;
}

/** Says how many coefficients of each component's blocks are needed, the first ones in zigzag order. */
export type Needed = (header: JpegHeader) => readonly number[];

/**
 * Reads a JPEG file band by band, for a caller that needs each row of blocks only once. That saves the memory for all
 * rows. A caller that stops early must call `return`, as `for … of` does, to give the decoder back.
 *
 * @param needed Blocks of all components have as many coefficients as the component that needs most. What the others do
 *   not need may be zero.
 * @param endRow called after that; with `tolerant`, the first row of whole MCUs that is not needed. Decoding may stop there,
 *   and damage after it is not reported.
 * @returns after the last band, the image without coefficients
 */
export function readBands(
  file: JpegBytes,
  needed: Needed,
  options: BandOptions = {},
  endRow?: () => number,
): Generator<Band, JpegImage> {
  return read(file, options, needed, undefined, endRow);
}

/**
 * {@link readBands} for some rows of a file that {@link findRowStarts} knows. Any damage in them is an error.
 */
export function readRows(bytes: Uint8Array, needed: Needed, range: RowRange): Generator<Band, JpegImage> {
  return read(bytes, { maxPixels: Number.POSITIVE_INFINITY }, needed, range);
}

/**
 * Finds the rows at which a file's decoding can begin: those that begin with a restart interval. They are searched for as
 * they are asked for.
 *
 * @returns the file's header, its bytes and these rows; undefined if the file is not a single scan with Huffman codes and
 *   restart markers, or its header is damaged
 * @throws {JpegError} if the file's headers are damaged (unless `tolerant`) or the image larger than `maxPixels`
 */
export function findRowStarts(
  file: JpegBytes,
  options: HeaderOptions,
): { header: JpegHeader; bytes: Uint8Array; starts: Generator<RowStart, void> } | undefined {
  const headers = startHeaders(beginningOf(file), options.tolerant ?? false, false);
  const start = runSteps(readToFirstScan(headers, options), headers, file);
  const { frame, first } = start;
  const isOneScan = !frame.progressive && first.members.length === frame.components.length;
  if (!isOneScan || frame.arithmetic || headers.restartInterval === 0 || headers.damage.count > 0)
    return undefined;
  runSteps(toEnd(headers), headers, file);
  return { header: headerOf(start), bytes: headers.bytes, starts: rowStarts(headers, frame, first) };
}

function* read(
  file: JpegBytes,
  options: ReadOptions,
  needed?: Needed,
  range?: RowRange,
  endRow?: () => number,
): Generator<Band, JpegImage> {
  if (options.coefficients !== undefined) checkKept(options.coefficients);
  const { tolerant = false, keepSegments = false } = options;
  const headers = startHeaders(beginningOf(file), tolerant, keepSegments);
  const start = runSteps(readToFirstScan(headers, options), headers, file);
  const header = needed && headerOf(start);
  const counts = header ? needed(header) : start.frame.components.map(() => options.coefficients ?? 64);
  const engine = decoder.take();
  let isSound = true;
  try {
    const streams = header !== undefined;
    const wanted = { needed: counts, streams, endRow: endRow?.() ?? Number.POSITIVE_INFINITY, range };
    const { image, decoding } = prepare(engine, file, start, wanted, options);
    const arrays = yield* decodeScans(engine, decoding);
    arrays.forEach((array, index) => {
      (image.components[index] as JpegComponent).coefficients = array;
    });
    if (tolerant) image.damageCount = decoding.damage.count;
    return image;
  } catch (error) {
    // After any other error, the engine may be in any state.
    isSound = error instanceof JpegError;
    throw error;
  } finally {
    if (isSound) decoder.giveBack(engine);
  }
}

/** What is wanted of a file. */
interface Wanted extends Pick<Decoding, "needed" | "endRow" | "range"> {
  streams: boolean;
}

/** Finds the scans, and makes the image without coefficients. */
function prepare(
  engine: Engine,
  file: JpegBytes,
  { headers, frame, first }: Start,
  { needed, streams, endRow, range }: Wanted,
  options: ReadOptions,
): { image: JpegImage; decoding: Decoding } {
  const { tolerant = false, keepSegments = false } = options;
  const { damage } = headers;
  const kept = Math.max(...needed);
  const finder = new ScanFinder(engine, headers, first.offset, frame, range);
  const isOnly = range?.to !== undefined;
  const collecting = collectScans(headers, frame, first, finder, kept, isOnly, options);
  const { scans, quantization, unfinished } = runSteps(collecting, headers, file);
  const image: JpegImage = {
    width: frame.width,
    height: frame.height,
    progressive: frame.progressive,
    ...(frame.arithmetic && { arithmetic: true }),
    colorSpace: colorSpace(headers, frame),
    // Field by field: copying the rest of an object makes one that is slow to write to.
    components: frame.components.map((component, index) => ({
      id: component.id,
      horizontalSampling: component.horizontalSampling,
      verticalSampling: component.verticalSampling,
      blocksWide: component.blocksWide,
      blocksHigh: component.blocksHigh,
      quantization: quantization[index] as Uint16Array,
      coefficients: NONE,
    })),
    coefficientsPerBlock: kept,
    restartInterval: scans.at(-1)?.restartInterval ?? 0,
    scans: scans.map(({ header }) => describe(header)),
    ...metadata(headers),
    ...(keepSegments && { segments: headers.segments }),
    ...(tolerant && { damage: damage.described, damageCount: 0 }),
    ...(unfinished && { unfinished }),
  };
  const reuse = options.reuse?.components.map((component) => component.coefficients) ?? [];
  const streamed = streams ? image : undefined;
  const { bytes } = headers;
  return {
    image,
    decoding: {
      bytes,
      frame,
      scans,
      finder,
      kept,
      needed,
      tolerant,
      damage,
      unfinished,
      reuse,
      streamed,
      range,
      endRow,
    },
  };
}

const NONE = new Int16Array(0);

function checkKept(kept: number): void {
  if (!Number.isInteger(kept) || kept < 1 || kept > 64)
    throw new RangeError(`coefficients: found ${kept}, expected a whole number from 1 to 64`);
}

function noScan(headers: Headers): JpegError {
  return unexpected(headers.offset, undefined, "the end of the image", "a frame and a scan");
}

function colorSpace(headers: Headers, frame: Frame): ColorSpace {
  const ids = frame.components.map(({ id }) => id);
  return colorSpaceOf(ids, headers.jfif, headers.adobeTransform);
}

function metadata({ orientation, icc }: Headers): { orientation?: number; iccProfile?: Uint8Array } {
  const profile = icc.length === 0 ? undefined : iccProfile(icc);
  return {
    ...(orientation && { orientation }),
    ...(profile && { iccProfile: profile }),
  };
}

function describe(header: ScanHeader): JpegScan {
  const { members, spectralStart, spectralEnd, approximationHigh, approximationLow, offset } = header;
  return {
    components: members.map(({ component }) => component),
    spectralStart,
    spectralEnd,
    approximationHigh,
    approximationLow,
    offset,
  };
}
