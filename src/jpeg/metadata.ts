/** What APP segments tell: JFIF and Adobe markers, EXIF orientation (TIFF 6.0), ICC profile (ICC.1, annex B.4). */

/** Whether the bytes begin with the ASCII text. */
export function startsWith(data: Uint8Array, text: string): boolean {
  if (data.length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (data[i] !== text.charCodeAt(i)) return false;
  return true;
}

const ORIENTATION = 0x112;
const SHORT = 3;

/** The orientation tag of the first directory of an EXIF APP1 segment, 1 to 8; undefined if it has none. */
export function exifOrientation(data: Uint8Array): number | undefined {
  if (!startsWith(data, "Exif\0\0")) return undefined;
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
    const value = tiff.getUint16(entry + 8, little);
    return tiff.getUint16(entry + 2, little) === SHORT && value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

const ICC_SIGNATURE = "ICC_PROFILE\0";
const ICC_HEADER = ICC_SIGNATURE.length + 2;

/** Puts an ICC profile together from the APP2 segments it is cut into; undefined unless all of them are there. */
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
