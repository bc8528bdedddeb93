import { colorSpaceOf } from "./color-space.js";
import { note } from "./damage.js";
import { type Band, type Decoding, decodeScans } from "./decode.js";
import { decoder, type Engine } from "./engine.js";
import { JpegError, unexpected } from "./errors.js";
import { type Frame, type Headers, nextScan, type ScanHeader, startHeaders } from "./headers.js";
import type { ColorSpace, JpegComponent, JpegImage, JpegScan, JpegSegment, JpegUnfinished } from "./image.js";
import { SOS } from "./markers.js";
import { iccProfile } from "./metadata.js";
import { type RowRange, type RowStart, rowStarts } from "./row-starts.js";
import { ScanFinder } from "./scan-finder.js";
import {
  follow,
  isComplete,
  neededScans,
  noteBefore,
  type Progress,
  prepareScan,
  type Scan,
} from "./scans.js";
import { unfinishedOf } from "./smoothing.js";

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
const MAX_SCANS = 1000;

/**
 * How many blocks all of a file's scans may visit: a photograph of 12 megapixels a thousand times, an image of 268
 * megapixels 21 times, and more if the file is large. A few bytes of a progressive scan can cover any number of blocks, so
 * a small file could take hours without this limit.
 */
const MAX_BLOCK_VISITS = 2 ** 28;
const BLOCK_VISITS_PER_BYTE = 64;

/**
 * Reads the header segments of a JPEG file up to its first scan. Decodes nothing.
 *
 * @param bytes - the file, or as much of its beginning as holds the first scan's header
 * @throws {JpegError} if the file is damaged (unless `tolerant`) or the image larger than `maxPixels`
 * @throws {UnsupportedJpegError} if its coding is not supported
 */
export function readHeader(bytes: Uint8Array, options: HeaderOptions = {}): JpegHeader {
  const { headers, frame, first } = readToFirstScan(bytes, options, true);
  return headerOf(headers, frame, first);
}

/** A file up to the first scan's data. */
interface Start {
  headers: Headers;
  frame: Frame;
  first: ScanHeader;
}

/** Reads everything before the first scan's data. Every reader begins here, so each one has the limit of pixels. */
function readToFirstScan(
  bytes: Uint8Array,
  { tolerant = false, maxPixels = MAX_PIXELS }: HeaderOptions,
  keepSegments: boolean,
): Start {
  const headers = startHeaders(bytes, tolerant, keepSegments);
  const first = nextScan(headers);
  const { frame } = headers;
  if (first === undefined || frame === undefined) throw noScan(headers);
  if (frame.width * frame.height > maxPixels)
    throw new JpegError(
      `the image has ${frame.width} x ${frame.height} pixels, the limit maxPixels is ${maxPixels}`,
      0,
    );
  return { headers, frame, first };
}

function headerOf(headers: Headers, frame: Frame, scan: ScanHeader): JpegHeader {
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
    firstScan: describe(scan),
    ...metadata(headers),
    segments: headers.segments,
  };
}

/**
 * Reads the quantised DCT coefficients of a JPEG file: sequential or progressive, Huffman or arithmetic coded, 8 bits a
 * sample, one to four components of any sampling. They equal those of libjpeg's `jpeg_read_coefficients`, in zigzag order.
 *
 * @param bytes - the file
 * @throws {JpegError} if the file is damaged (unless `tolerant`) or beyond a limit
 * @throws {UnsupportedJpegError} if its coding is not supported
 */
export function readCoefficients(bytes: Uint8Array, options: ReadOptions = {}): JpegImage {
  // There are no bands to yield, so the first step returns the image.
  return read(bytes, options).next().value as JpegImage;
}

/**
 * Reads a JPEG file band by band, for a caller that needs each row of blocks only once. That saves the memory for all
 * rows. A caller that stops early must call `return`, as `for … of` does, to give the decoder back.
 *
 * @param coefficients says how many coefficients of each block to keep, the first ones in zigzag order
 * @returns after the last band, the image without coefficients
 */
export function readBands(
  bytes: Uint8Array,
  coefficients: (header: JpegHeader) => number,
  options: Pick<ReadOptions, "tolerant" | "maxPixels" | "maxScans" | "keepSegments"> = {},
): Generator<Band, JpegImage> {
  return read(bytes, options, coefficients);
}

/**
 * {@link readBands} for some rows of a file that {@link findRowStarts} knows. Any damage in them is an error.
 */
export function readRows(
  bytes: Uint8Array,
  coefficients: (header: JpegHeader) => number,
  range: RowRange,
): Generator<Band, JpegImage> {
  return read(bytes, { maxPixels: Number.POSITIVE_INFINITY }, coefficients, range);
}

/**
 * Finds the rows at which a file's decoding can begin: those that begin with a restart interval. They are searched for as
 * they are asked for.
 *
 * @returns the file's header and these rows; undefined if the file is not a single scan with Huffman codes and restart
 *   markers, or its header is damaged
 * @throws {JpegError} if the file's headers are damaged (unless `tolerant`) or the image larger than `maxPixels`
 */
export function findRowStarts(
  bytes: Uint8Array,
  options: HeaderOptions,
): { header: JpegHeader; starts: Generator<RowStart, void> } | undefined {
  const { headers, frame, first } = readToFirstScan(bytes, options, false);
  const isOneScan = !frame.progressive && first.members.length === frame.components.length;
  if (!isOneScan || frame.arithmetic || headers.restartInterval === 0 || headers.damage.count > 0)
    return undefined;
  return { header: headerOf(headers, frame, first), starts: rowStarts(headers, frame, first) };
}

function* read(
  bytes: Uint8Array,
  options: ReadOptions,
  coefficients?: (header: JpegHeader) => number,
  range?: RowRange,
): Generator<Band, JpegImage> {
  if (options.coefficients !== undefined) checkKept(options.coefficients);
  const start = readToFirstScan(bytes, options, options.keepSegments ?? false);
  const kept =
    coefficients?.(headerOf(start.headers, start.frame, start.first)) ?? options.coefficients ?? 64;
  const engine = decoder.take();
  let isSound = true;
  try {
    const { image, decoding } = prepare(engine, start, kept, options, coefficients !== undefined, range);
    const arrays = yield* decodeScans(engine, decoding);
    arrays.forEach((array, index) => {
      (image.components[index] as JpegComponent).coefficients = array;
    });
    if (options.tolerant) image.damageCount = decoding.damage.count;
    return image;
  } catch (error) {
    // After any other error, the engine may be in any state.
    isSound = error instanceof JpegError;
    throw error;
  } finally {
    if (isSound) decoder.giveBack(engine);
  }
}

/** Finds the scans, and makes the image without coefficients. */
function prepare(
  engine: Engine,
  { headers, frame, first }: Start,
  kept: number,
  options: ReadOptions,
  streams: boolean,
  range: RowRange | undefined,
): { image: JpegImage; decoding: Decoding } {
  const { tolerant = false, keepSegments = false } = options;
  const { damage } = headers;
  const finder = new ScanFinder(engine, headers, first.offset, frame, range);
  const only = range?.to !== undefined;
  const { scans, quantization, unfinished } = collectScans(
    headers,
    frame,
    first,
    finder,
    kept,
    only,
    options,
  );
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
    decoding: { bytes, frame, scans, finder, kept, tolerant, damage, unfinished, reuse, streamed, range },
  };
}

const NONE = new Int16Array(0);

function checkKept(kept: number): void {
  if (!Number.isInteger(kept) || kept < 1 || kept > 64)
    throw new RangeError(`coefficients: found ${kept}, expected a whole number from 1 to 64`);
}

/**
 * Goes through the file from scan to scan, as far as is needed for the coefficients asked for.
 * @param isOnly - whether the first scan is known to be the only one
 */
function collectScans(
  headers: Headers,
  frame: Frame,
  first: ScanHeader,
  finder: ScanFinder,
  kept: number,
  isOnly: boolean,
  options: ReadOptions,
): { scans: Scan[]; quantization: Uint16Array[]; unfinished: JpegUnfinished | undefined } {
  const { tolerant = false, maxScans = MAX_SCANS } = options;
  const { damage } = headers;
  const scans: Scan[] = [];
  const quantization: (Uint16Array | undefined)[] = frame.components.map(() => undefined);
  const progress: Progress = frame.components.map(() => new Int8Array(64).fill(-1));
  const before: Progress = frame.components.map(() => new Int8Array(64).fill(-1));
  let isEnough = false;
  // libjpeg decides by the first scan whether to expect others.
  const several = frame.progressive || first.members.length < frame.components.length;
  let header: ScanHeader | undefined = first;
  while (header !== undefined) {
    if (scans.length === maxScans)
      throw unexpected(header.marker, SOS, `scan ${maxScans + 1}`, `at most ${maxScans} (maxScans)`);
    if (scans.length > 0 && !several) {
      const place = header.marker;
      const defect = () =>
        unexpected(place, SOS, "another scan", "the end: the first scan had every component");
      if (!tolerant) throw defect();
      // The image is complete. libjpeg gives all of its rows before this error.
      note(damage, defect);
      break;
    }
    const scan = prepareScan(headers, frame, header);
    for (const { component } of header.members)
      quantization[component] ??= quantizationTable(headers, frame, header, component);
    if (frame.progressive) {
      noteBefore(before, progress, scan, scans.length === 0);
      const defect = follow(progress, scan);
      if (defect !== undefined) {
        if (!tolerant) throw defect;
        note(damage, () => defect, scans.length);
      }
    }
    scans.push(scan);
    isEnough = frame.progressive && kept < 64 && isComplete(progress, kept);
    if (isEnough || isOnly) break;
    headers.offset = finder.endOf(header);
    try {
      header = nextScan(headers);
    } catch (error) {
      if (!tolerant || !(error instanceof JpegError)) throw error;
      note(damage, () => error);
      header = undefined;
    }
  }
  frame.components.forEach(({ id }, component) => {
    if (quantization[component] !== undefined) return;
    const defect = unexpected(headers.offset, undefined, "the end of the image", `a scan of component ${id}`);
    if (!tolerant) throw defect;
    note(damage, () => defect);
    const { quantizationSlot } = frame.components[component] as Frame["components"][number];
    quantization[component] = headers.quantization[quantizationSlot]?.slice() ?? new Uint16Array(64).fill(1);
  });
  const tables = quantization as Uint16Array[];
  // A single scan has no scan before it.
  if (scans.length === 1) for (const bits of before) bits.fill(-1);
  const unfinished = frame.progressive && !isEnough ? unfinishedOf(progress, before, tables) : undefined;
  const needed = frame.progressive && unfinished === undefined ? neededScans(scans, kept) : scans;
  const visits = needed.reduce((sum, { work }) => sum + work, 0);
  if (visits > MAX_BLOCK_VISITS + BLOCK_VISITS_PER_BYTE * headers.bytes.length)
    throw unexpected(
      headers.offset,
      undefined,
      `${needed.length} scans that pass over ${visits} blocks`,
      "far fewer in so small a file",
    );
  return { scans: needed, quantization: tables, unfinished };
}

/** The component's table in its first scan is the one for the whole image (T.81, B.2.4.1), whatever comes later. */
function quantizationTable(headers: Headers, frame: Frame, scan: ScanHeader, component: number): Uint16Array {
  const slot = frame.components[component]?.quantizationSlot ?? 0;
  const table = headers.quantization[slot];
  if (table === undefined)
    throw unexpected(scan.marker, SOS, `no quantisation table ${slot}`, "a DQT segment for it before");
  return table.slice();
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
