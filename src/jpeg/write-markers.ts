/** The marker segments of a file, in the order and shape that libjpeg writes them. T.81, B.2 */
import type { HuffmanTable } from "./huffman.js";
import type { ColorSpace, JpegImage, JpegSegment } from "./image.js";
import type { Scan } from "./scan-script.js";

export const SOI = Uint8Array.of(0xff, 0xd8);
export const EOI = Uint8Array.of(0xff, 0xd9);

const [SOF0, SOF1, SOF2, DHT, SOS, DQT, DRI] = [0xc0, 0xc1, 0xc2, 0xc4, 0xda, 0xdb, 0xdd];
const [APP0, APP14] = [0xe0, 0xee];

const ascii = (text: string) => Array.from(text, (character) => character.charCodeAt(0));
const word = (value: number) => [value >> 8, value & 0xff];

function segment(marker: number, data: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + data.length);
  bytes.set([0xff, marker, ...word(2 + data.length)]);
  bytes.set(data, 4);
  return bytes;
}

/** JFIF 1.01, no thumbnail, square pixels of unknown size. Source: JFIF 1.02, p. 5 */
const JFIF = segment(APP0, [...ascii("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]);

/** Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK. Source: Adobe TN 5116, section 18 */
const TRANSFORM: Record<ColorSpace, number | undefined> = {
  grayscale: undefined,
  ycbcr: 1,
  rgb: 0,
  cmyk: 0,
  ycck: 2,
};
const adobe = (transform: number) => segment(APP14, [...ascii("Adobe"), 0, 100, 0, 0, 0, 0, transform]);

/**
 * What tells the colour space, then the other segments. Grayscale and YCbCr are JFIF's, the others Adobe's. Kept JFIF
 * and Adobe segments are used where they say the same, so that a JFIF's pixel density stays; otherwise they are
 * dropped, since they would change the colours.
 */
export function colorAndKeptSegments(colorSpace: ColorSpace, kept: readonly JpegSegment[]): Uint8Array[] {
  const transform = TRANSFORM[colorSpace];
  const isJfif = colorSpace === "grayscale" || colorSpace === "ycbcr";
  const keptJfif = kept.find((one) => startsWith(one, APP0, "JFIF\0"));
  const keptAdobe = kept.find(
    (one) => startsWith(one, APP14, "Adobe") && one.data.length >= 12 && one.data[11] === transform,
  );
  const others = kept.filter((one) => !startsWith(one, APP0, "JFIF\0") && !startsWith(one, APP14, "Adobe"));
  const written = (one: JpegSegment) => segment(one.marker, one.data);
  return [
    ...(isJfif ? [keptJfif ? written(keptJfif) : JFIF] : []),
    ...(keptAdobe ? [written(keptAdobe)] : isJfif ? [] : [adobe(transform as number)]),
    ...others.map(written),
  ];
}

function startsWith({ marker, data }: JpegSegment, expected: number, text: string): boolean {
  return marker === expected && ascii(text).every((code, at) => data[at] === code);
}

/** One segment a table, the entries in 16 bits if one needs them. T.81, B.2.4.1 */
export function quantizationSegment(slot: number, table: Uint16Array): Uint8Array {
  const wide = table.some((entry) => entry > 255);
  const entries = Array.from(table);
  return segment(DQT, [(wide ? 0x10 : 0) | slot, ...(wide ? entries.flatMap(word) : entries)]);
}

/** `slots`: each component's quantisation table. T.81, B.2.2 */
export function frameSegment(image: JpegImage, progressive: boolean, slots: readonly number[]): Uint8Array {
  const { width, height, components } = image;
  const isBaseline = components.every(({ quantization }) => quantization.every((entry) => entry <= 255));
  const marker = progressive ? SOF2 : isBaseline ? SOF0 : SOF1;
  const parameters = components.flatMap(({ id, horizontalSampling, verticalSampling }, c) => [
    id,
    (horizontalSampling << 4) | verticalSampling,
    slots[c] as number,
  ]);
  return segment(marker, [8, ...word(height), ...word(width), components.length, ...parameters]);
}

/** `slot`: 0 or 1 for DC tables, 0x10 or 0x11 for AC ones. T.81, B.2.4.2 */
export function huffmanSegment(slot: number, { lengths, symbols }: HuffmanTable): Uint8Array {
  return segment(DHT, [slot, ...lengths, ...symbols]);
}

/** T.81, B.2.4.4 */
export const restartSegment = (interval: number): Uint8Array => segment(DRI, word(interval));

/** `tables`: each component's DC and AC table. T.81, B.2.3 */
export function scanSegment(
  { components, start, end, high, low }: Scan,
  ids: readonly number[],
  tables: readonly number[],
): Uint8Array {
  const parameters = components.flatMap((c) => {
    const slot = tables[c] as number;
    const dc = start === 0 && high === 0 ? slot : 0;
    return [ids[c] as number, (dc << 4) | (end > 0 ? slot : 0)];
  });
  return segment(SOS, [components.length, ...parameters, start, end, (high << 4) | low]);
}
