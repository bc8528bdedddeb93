/** What APP segments say: JFIF and Adobe markers, EXIF orientation (TIFF 6.0), ICC profile (ICC.1, annex B.4). */

/** Whether the bytes begin with the ASCII text. */
export function startsWith(data: Uint8Array, text: string): boolean {
  if (data.length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (data[i] !== text.charCodeAt(i)) return false;
  return true;
}

const ORIENTATION = 0x112;

/** Whether an APP1 segment is EXIF's. */
export const isExif = (data: Uint8Array): boolean => startsWith(data, "Exif\0\0");

/** Reads a number of a TIFF file, at an offset from its start. */
type NumberReader = (tiff: DataView, at: number, little: boolean) => number;

/**
 * TIFF's types that can hold a whole number (TIFF 6.0, section 2). The orientation should be a SHORT, but some editors
 * write other types, and PIL and libexif read them. A RATIONAL does not fit in the entry, which says where it is.
 */
const NUMBERS: Record<number, NumberReader | undefined> = {
  1: (tiff, at) => tiff.getUint8(at),
  3: (tiff, at, little) => tiff.getUint16(at, little),
  4: (tiff, at, little) => tiff.getUint32(at, little),
  5: (tiff, at, little) => rational(tiff, tiff.getUint32(at, little), little),
  6: (tiff, at) => tiff.getInt8(at),
  8: (tiff, at, little) => tiff.getInt16(at, little),
  9: (tiff, at, little) => tiff.getInt32(at, little),
  10: (tiff, at, little) => rational(tiff, tiff.getUint32(at, little), little),
};

function rational(tiff: DataView, at: number, little: boolean): number {
  if (at + 8 > tiff.byteLength) return Number.NaN;
  return tiff.getUint32(at, little) / tiff.getUint32(at + 4, little);
}

/** The orientation tag of the first directory of an EXIF APP1 segment, 1 to 8; undefined if it has none. */
export function exifOrientation(data: Uint8Array): number | undefined {
  const tiff = new DataView(data.buffer, data.byteOffset + 6, data.length - 6);
  if (tiff.byteLength < 8) return undefined;
  const order = tiff.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const little = order === 0x4949;
  const directory = tiff.getUint32(4, little);
  if (tiff.getUint16(2, little) !== 42 || directory + 2 > tiff.byteLength) return undefined;
  const entries = tiff.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.byteLength) return undefined;
    if (tiff.getUint16(entry, little) !== ORIENTATION) continue;
    const number = NUMBERS[tiff.getUint16(entry + 2, little)];
    const count = tiff.getUint32(entry + 4, little);
    const value = count > 0 ? number?.(tiff, entry + 8, little) : undefined;
    return value !== undefined && Number.isInteger(value) && value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

const ICC_SIGNATURE = "ICC_PROFILE\0";
const ICC_HEADER = ICC_SIGNATURE.length + 2;

/** Joins the APP2 segments of an ICC profile; undefined unless all of them are there. */
export function iccProfile(segments: readonly Uint8Array[]): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let count: number | undefined;
  for (const data of segments) {
    if (!startsWith(data, ICC_SIGNATURE) || data.length < ICC_HEADER) continue;
    const [number = 0, total = 0] = data.subarray(ICC_SIGNATURE.length);
    count ??= total;
    if (total !== count || number < 1 || number > total || parts[number] !== undefined) return undefined;
    parts[number] = data.subarray(ICC_HEADER);
  }
  if (count === undefined) return undefined;
  let length = 0;
  for (let number = 1; number <= count; number++) {
    const part = parts[number];
    if (part === undefined) return undefined;
    length += part.length;
  }
  const profile = new Uint8Array(length);
  let at = 0;
  for (const part of parts.slice(1)) {
    profile.set(part, at);
    at += part.length;
  }
  return profile;
}
