/** The marker segments of a file, in the order and shape that libjpeg writes them. T.81, B.2 */
import { COLOR_SPACES, colorSpaceOf } from "./color-space.js";
import type { ColorSpace, JpegImage, JpegSegment } from "./image.js";
import * as marker from "./markers.js";
import { isExif, startsWith } from "./metadata.js";
import type { Scan } from "./scan-script.js";
import type { HuffmanTable } from "./tables.js";

export const START_OF_IMAGE = Uint8Array.of(0xff, marker.SOI);
export const END_OF_IMAGE = Uint8Array.of(0xff, marker.EOI);

const ascii = (text: string) => Array.from(text, (character) => character.charCodeAt(0));
const word = (value: number) => [value >> 8, value & 0xff];

function segment(code: number, data: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + data.length);
  bytes.set([0xff, code, ...word(2 + data.length)]);
  bytes.set(data, 4);
  return bytes;
}

/** JFIF 1.01, no thumbnail, square pixels of unknown size. Source: JFIF 1.02, p. 5 */
const JFIF = segment(marker.APP0, [...ascii("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]);

const adobe = (transform: number) =>
  segment(marker.APP14, [...ascii("Adobe"), 0, 100, 0, 0, 0, 0, transform]);

/**
 * The segments that say the colour space, then the other ones. Grayscale and YCbCr have a JFIF segment, the others an
 * Adobe segment, and two components neither. Kept JFIF and Adobe segments that say the same are used, so a JFIF's pixel
 * density stays. The others are dropped, because they would change the colours. A file that has EXIF instead of JFIF gets
 * no JFIF segment, as with jpegtran, unless its components' `ids` alone would mean other colours.
 */
export function colorAndKeptSegments(
  colorSpace: ColorSpace,
  ids: readonly number[],
  kept: readonly JpegSegment[],
): Uint8Array[] {
  const isJfif = colorSpace === "grayscale" || colorSpace === "ycbcr";
  const { adobe: transform } = COLOR_SPACES[colorSpace];
  const keptJfif = kept.find(isJfifSegment);
  const keptAdobe = kept.find(
    (one) => isAdobeSegment(one) && one.data.length >= 12 && one.data[11] === transform,
  );
  const others = kept.filter((one) => !isJfifSegment(one) && !isAdobeSegment(one));
  const written = (one: JpegSegment) => segment(one.marker, one.data);
  const hasExif = kept.some((one) => one.marker === marker.APP1 && isExif(one.data));
  const needsJfif = !hasExif || colorSpaceOf(ids, false, keptAdobe && transform) !== colorSpace;
  return [
    ...(isJfif && keptJfif ? [written(keptJfif)] : isJfif && needsJfif ? [JFIF] : []),
    ...(keptAdobe ? [written(keptAdobe)] : isJfif || transform === undefined ? [] : [adobe(transform)]),
    ...others.map(written),
  ];
}

const isJfifSegment = ({ marker: code, data }: JpegSegment) =>
  code === marker.APP0 && startsWith(data, "JFIF\0");
const isAdobeSegment = ({ marker: code, data }: JpegSegment) =>
  code === marker.APP14 && startsWith(data, "Adobe");

/** One segment for each table. Its entries have 16 bits if one of them needs that. T.81, B.2.4.1 */
export function quantizationSegment(slot: number, table: Uint16Array): Uint8Array {
  const wide = table.some((entry) => entry > 255);
  const entries = Array.from(table);
  return segment(marker.DQT, [(wide ? 0x10 : 0) | slot, ...(wide ? entries.flatMap(word) : entries)]);
}

/** `slots`: each component's quantisation table. T.81, B.2.2 */
export function frameSegment(image: JpegImage, progressive: boolean, slots: readonly number[]): Uint8Array {
  const { width, height, components } = image;
  const isBaseline = components.every(({ quantization }) => quantization.every((entry) => entry <= 255));
  const frame = progressive ? marker.SOF2 : isBaseline ? marker.SOF0 : marker.SOF1;
  const parameters = components.flatMap(({ id, horizontalSampling, verticalSampling }, c) => [
    id,
    (horizontalSampling << 4) | verticalSampling,
    slots[c] as number,
  ]);
  return segment(frame, [8, ...word(height), ...word(width), components.length, ...parameters]);
}

/** `slot`: 0 or 1 for DC tables, 0x10 or 0x11 for AC ones. T.81, B.2.4.2 */
export function huffmanSegment(slot: number, { counts, symbols }: HuffmanTable): Uint8Array {
  return segment(marker.DHT, [slot, ...counts, ...symbols]);
}

/** T.81, B.2.4.4 */
export const restartSegment = (interval: number): Uint8Array => segment(marker.DRI, word(interval));

/** `tables`: each component's DC and AC table. T.81, B.2.3 */
export function scanSegment(
  { components, spectralStart, spectralEnd, approximationHigh, approximationLow }: Scan,
  ids: readonly number[],
  tables: readonly number[],
): Uint8Array {
  const parameters = components.flatMap((c) => {
    const slot = tables[c] as number;
    const dc = spectralStart === 0 && approximationHigh === 0 ? slot : 0;
    return [ids[c] as number, (dc << 4) | (spectralEnd > 0 ? slot : 0)];
  });
  return segment(marker.SOS, [
    components.length,
    ...parameters,
    spectralStart,
    spectralEnd,
    (approximationHigh << 4) | approximationLow,
  ]);
}
