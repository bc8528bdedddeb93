import { type Beginning, reaches, type Steps } from "./beginning.js";
import { type DamageList, noDamage, note } from "./damage.js";
import { UnsupportedJpegError, unexpected } from "./errors.js";
import type { JpegSegment } from "./image.js";
import {
  APP0,
  APP1,
  APP2,
  APP14,
  APP15,
  COM,
  DAC,
  DHT,
  DNL,
  DQT,
  DRI,
  EOI,
  markerName,
  RST0,
  RST7,
  SOF0,
  SOF1,
  SOF2,
  SOF9,
  SOF10,
  SOI,
  SOS,
  TEM,
  UNSUPPORTED,
} from "./markers.js";
import { exifOrientation, isExif, startsWith } from "./metadata.js";
import {
  hex,
  readConditioning,
  readHuffmanTables,
  readQuantizationTables,
  readRestartInterval,
  type Segment,
  SLOTS,
  type Tables,
  uint16,
} from "./table-segments.js";

/** The frame header (T.81, B.2.2). */
export interface Frame {
  width: number;
  height: number;
  progressive: boolean;
  /** Arithmetic coded, not by Huffman codes. */
  arithmetic: boolean;
  components: FrameComponent[];
  /** The largest of the sampling factors. */
  maxHorizontal: number;
  maxVertical: number;
}

export interface FrameComponent {
  id: number;
  horizontalSampling: number;
  verticalSampling: number;
  quantizationSlot: number;
  blocksWide: number;
  blocksHigh: number;
}

/** A scan header (T.81, B.2.3), and where its data begins. */
export interface ScanHeader {
  /** Indices into the frame's components, with the slots of their Huffman tables. */
  members: { component: number; dcSlot: number; acSlot: number }[];
  spectralStart: number;
  spectralEnd: number;
  approximationHigh: number;
  approximationLow: number;
  /** Where the header's marker stands. */
  marker: number;
  /** Where its entropy-coded bytes begin. */
  offset: number;
}

/** Everything that the marker segments up to `offset` say. */
export interface Headers extends Tables, Beginning {
  tolerant: boolean;
  keepSegments: boolean;
  offset: number;
  frame?: Frame;
  jfif: boolean;
  adobeTransform?: number;
  /** From the first EXIF segment; 0 if it has none. Later segments do not count. */
  orientation?: number;
  icc: Uint8Array[];
  segments: JpegSegment[];
  segmentCount: number;
  /** With `tolerant`: the damage so far. */
  damage: DamageList;
}

/** More than any camera writes, but so few that a file of nothing but segments needs little memory. */
const MAX_SEGMENTS = 10_000;

/** The headers of a file of which nothing is read yet. */
export function startHeaders(
  { bytes, isWhole }: Beginning,
  tolerant: boolean,
  keepSegments: boolean,
): Headers {
  return {
    bytes,
    isWhole,
    tolerant,
    keepSegments,
    offset: 0,
    quantization: [],
    dcTables: [],
    acTables: [],
    conditioning: {
      dcLower: new Uint8Array(SLOTS),
      dcUpper: new Uint8Array(SLOTS).fill(1),
      acLimit: new Uint8Array(SLOTS).fill(5),
    },
    restartInterval: 0,
    jfif: false,
    icc: [],
    segments: [],
    segmentCount: 0,
    damage: noDamage(),
  };
}

/** @throws {JpegError} if the bytes do not begin as a JPEG file does. */
export function readStart(headers: Headers): void {
  const { bytes } = headers;
  if (bytes[0] !== 0xff || bytes[1] !== SOI) {
    const start = Array.from(bytes.subarray(0, 2), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw unexpected(0, undefined, bytes.length < 2 ? `${bytes.length} bytes` : start, "a JPEG file's ff d8");
  }
  headers.offset = 2;
}

/**
 * Reads marker segments up to the next scan, and returns its header, or undefined at the end of the image.
 * @throws {JpegError} if a segment is damaged. Then `headers.offset` stays at the segment's marker.
 */
export function* nextScan(headers: Headers): Steps<ScanHeader | undefined> {
  for (;;) {
    const marker = isMarker(headers) ? headers.offset : yield* findMarker(headers);
    const code = headers.bytes[marker + 1] as number;
    if (code === EOI) {
      headers.offset = marker + 2;
      return undefined;
    }
    if ((code >= RST0 && code <= RST7) || code === TEM) {
      headers.offset = marker + 2;
      continue;
    }
    if (++headers.segmentCount > MAX_SEGMENTS)
      throw unexpected(marker, code, `segment ${MAX_SEGMENTS + 1}`, `at most ${MAX_SEGMENTS} segments`);
    if (!headers.isWhole) yield* reachEnd(headers, marker);
    const segment = segmentAt(headers, marker, code);
    const scan = readSegment(headers, segment);
    headers.offset = segment.end;
    if (scan !== undefined) return scan;
  }
}

/** Whether there is a marker right at the offset. Then no search has to begin, which costs more than all of the rest. */
function isMarker({ bytes, offset }: Headers): boolean {
  const code = bytes[offset + 1];
  return bytes[offset] === 0xff && code !== undefined && code !== 0 && code !== 0xff;
}

/** Skips fill bytes (T.81, B.1.1.2), and returns the offset of the next marker's 0xff. */
function* findMarker(headers: Headers): Steps<number> {
  const { tolerant, damage } = headers;
  let at = headers.offset;
  let sound = true;
  for (; ; at++) {
    if (at + 2 > headers.bytes.length && !(yield* reaches(headers, at + 2))) break;
    const byte = headers.bytes[at] as number;
    const code = headers.bytes[at + 1] as number;
    if (byte === 0xff && code === 0xff) continue;
    if (byte === 0xff && code !== 0) return at;
    if (!sound) continue;
    sound = false;
    const found = () =>
      unexpected(at, undefined, byte === 0xff ? "bytes ff 00" : `byte 0x${hex(byte)}`, "a marker");
    if (!tolerant) throw found();
    note(damage, found);
  }
  throw unexpected(headers.bytes.length, undefined, "the end of the file", "a marker");
}

/** Goes on to the end of the segment, or of the file. */
function* reachEnd(headers: Headers, marker: number): Steps<void> {
  if (yield* reaches(headers, marker + 4))
    yield* reaches(headers, marker + 2 + uint16(headers.bytes, marker + 2));
}

function segmentAt(headers: Headers, marker: number, code: number): Segment {
  const kind = UNSUPPORTED.get(code);
  if (kind !== undefined)
    throw new UnsupportedJpegError(
      `byte ${marker}, ${markerName(code)}: ${kind} is not supported, only sequential and progressive coding`,
      marker,
      code,
    );
  if (!(code >= SOF0 && code <= DRI) && !(code >= APP0 && code <= APP15) && code !== COM)
    throw unexpected(marker, undefined, markerName(code), "a marker of a segment");
  if (code === SOI) throw unexpected(marker, code, "a second start of image", "a segment");
  if (marker + 4 > headers.bytes.length) makeUpEnd(headers, code, "the segment's length");
  const length = uint16(headers.bytes, marker + 2);
  // libjpeg skips a segment that it does not read, whatever its length, and does not report it.
  const least = isPassedOver(code) ? 0 : 2;
  if (length < least) throw unexpected(marker + 2, code, `length ${length}`, "at least 2");
  const end = marker + 2 + Math.max(length, 2);
  const lacking = end - headers.bytes.length;
  if (lacking > 0) makeUpEnd(headers, code, `${lacking} more bytes of the segment`);
  return { marker, code, start: marker + 4, end };
}

/** More than the rest of any segment and an EOI marker after it. */
const MADE_UP_BYTES = 2 ** 17;

/**
 * If a file ends inside a segment, libjpeg goes on with EOI markers, and reads them as the segment's content too.
 * @throws {JpegError} unless reading is tolerant.
 */
function makeUpEnd(headers: Headers, code: number, expected: string): void {
  const { bytes, tolerant, damage } = headers;
  const defect = () => unexpected(bytes.length, code, "the end of the file", expected);
  if (!tolerant) throw defect();
  note(damage, defect);
  headers.bytes = new Uint8Array(bytes.length + MADE_UP_BYTES);
  headers.bytes.set(bytes);
  for (let at = bytes.length; at < headers.bytes.length; at += 2) headers.bytes.set([0xff, EOI], at);
}

const isPassedOver = (code: number) => code === COM || code === DNL || (code >= APP0 && code <= APP15);

function readSegment(headers: Headers, segment: Segment): ScanHeader | undefined {
  const { code } = segment;
  if (code === SOS) return readScanHeader(headers, segment);
  if (FRAMES.has(code)) readFrame(headers, segment);
  else if (code === DHT) readHuffmanTables(headers, segment);
  else if (code === DQT) readQuantizationTables(headers, segment);
  else if (code === DRI) readRestartInterval(headers, segment);
  else if (code === DAC) readConditioning(headers, segment);
  else if (code !== DNL) readApplicationSegment(headers, segment);
  return undefined;
}

const FRAMES: ReadonlySet<number> = new Set([SOF0, SOF1, SOF2, SOF9, SOF10]);

/** T.81, B.2.2. */
function readFrame(headers: Headers, { code, marker, start, end }: Segment): void {
  const { bytes } = headers;
  if (headers.frame !== undefined) throw unexpected(marker, code, "a second frame", "one frame in the file");
  if (end - start < 6) throw unexpected(marker + 2, code, `length ${end - start + 2}`, "at least 8");
  const precision = bytes[start] as number;
  const height = uint16(bytes, start + 1);
  const width = uint16(bytes, start + 3);
  const count = bytes[start + 5] as number;
  if (end - start !== 6 + 3 * count)
    throw unexpected(
      marker + 2,
      code,
      `length ${end - start + 2}`,
      `${8 + 3 * count} for ${count} components`,
    );
  if (precision === 12)
    throw new UnsupportedJpegError(
      `byte ${start}, ${markerName(code)}: 12 bits a sample are not supported, only 8`,
      start,
      code,
    );
  if (precision !== 8) throw unexpected(start, code, `${precision} bits a sample`, "8");
  if (height === 0)
    throw new UnsupportedJpegError(
      `byte ${start + 1}, ${markerName(code)}: a height of 0, to be told by a DNL segment, is not supported`,
      start + 1,
      code,
    );
  if (width === 0) throw unexpected(start + 3, code, "width 0", "at least 1");
  if (count === 0) throw unexpected(start + 5, code, "no components", "1 to 4");
  if (count > 4)
    throw new UnsupportedJpegError(
      `byte ${start + 5}, ${markerName(code)}: ${count} components are not supported, only 1 to 4`,
      start + 5,
      code,
    );

  const components: FrameComponent[] = [];
  let maxHorizontal = 1;
  let maxVertical = 1;
  for (let i = 0; i < count; i++) {
    const at = start + 6 + 3 * i;
    const sampling = bytes[at + 1] as number;
    const horizontalSampling = sampling >> 4;
    const verticalSampling = sampling & 15;
    if (horizontalSampling < 1 || horizontalSampling > 4 || verticalSampling < 1 || verticalSampling > 4)
      throw unexpected(
        at + 1,
        code,
        `sampling factors ${horizontalSampling}x${verticalSampling}`,
        "1 to 4 each",
      );
    maxHorizontal = Math.max(maxHorizontal, horizontalSampling);
    maxVertical = Math.max(maxVertical, verticalSampling);
    components.push({
      id: bytes[at] as number,
      horizontalSampling,
      verticalSampling,
      quantizationSlot: bytes[at + 2] as number,
      blocksWide: 0,
      blocksHigh: 0,
    });
  }
  // T.81, A.1.1: a component's size is rounded up, and its number of blocks too.
  for (const component of components) {
    component.blocksWide = Math.ceil((width * component.horizontalSampling) / (maxHorizontal * 8));
    component.blocksHigh = Math.ceil((height * component.verticalSampling) / (maxVertical * 8));
  }
  const progressive = code === SOF2 || code === SOF10;
  const arithmetic = code === SOF9 || code === SOF10;
  headers.frame = { width, height, progressive, arithmetic, components, maxHorizontal, maxVertical };
}

/** T.81, B.2.4.5 and B.2.4.6. */
function readApplicationSegment(headers: Headers, { code, start, end }: Segment): void {
  const data = headers.bytes.subarray(start, end);
  if (code === APP0 && data.length >= 14 && startsWith(data, "JFIF\0")) headers.jfif = true;
  else if (code === APP14 && data.length >= 12 && startsWith(data, "Adobe"))
    headers.adobeTransform = data[11] as number;
  else if (code === APP1) {
    if (isExif(data)) headers.orientation ??= exifOrientation(data) ?? 0;
  } else if (code === APP2) headers.icc.push(data);
  // A copy, because the caller may use the memory for the next file.
  if (headers.keepSegments) headers.segments.push({ marker: code, data: new Uint8Array(data) });
}

/** T.81, B.2.3. */
function readScanHeader(headers: Headers, { code, marker, start, end }: Segment): ScanHeader {
  const { bytes, frame } = headers;
  if (frame === undefined)
    throw unexpected(marker, undefined, markerName(code), "a frame header (SOF) before it");
  const count = start < end ? (bytes[start] as number) : 0;
  if (count < 1 || count > 4) throw unexpected(start, code, `${count} components`, "1 to 4");
  if (end - start !== 4 + 2 * count)
    throw unexpected(
      marker + 2,
      code,
      `length ${end - start + 2}`,
      `${6 + 2 * count} for ${count} components`,
    );
  const members: ScanHeader["members"] = [];
  for (let i = 0; i < count; i++) {
    const at = start + 1 + 2 * i;
    const id = bytes[at] as number;
    const slots = bytes[at + 1] as number;
    const taken = (component: number) => members.some((member) => member.component === component);
    // If components share an identifier, libjpeg-turbo takes the first one from index i on.
    const component = frame.components.findIndex((candidate, index) => candidate.id === id && index >= i);
    if (component < 0 || taken(component))
      throw unexpected(at, code, `component ${id}`, `one of the frame's, and each once`);
    members.push({ component, dcSlot: slots >> 4, acSlot: slots & 15 });
  }
  const at = start + 1 + 2 * count;
  const approximation = bytes[at + 2] as number;
  return {
    members,
    spectralStart: bytes[at] as number,
    spectralEnd: bytes[at + 1] as number,
    approximationHigh: approximation >> 4,
    approximationLow: approximation & 15,
    marker,
    offset: end,
  };
}
