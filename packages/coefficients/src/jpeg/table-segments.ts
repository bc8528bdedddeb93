/** The marker segments of tables and of the restart interval (T.81, B.2.4.1 to B.2.4.4). */
import { unexpected } from "./errors.js";
import type { HuffmanTable } from "./tables.js";

/** What DAC segments say of each slot (T.81, B.2.4.3): the bounds L and U for DC differences, Kx for AC coefficients. */
export interface Conditioning {
  dcLower: Uint8Array;
  dcUpper: Uint8Array;
  acLimit: Uint8Array;
}

/** What the segments of tables so far say. */
export interface Tables {
  /** The file. With `tolerant`, a file that ends inside a segment is made longer. */
  bytes: Uint8Array;
  quantization: (Uint16Array | undefined)[];
  dcTables: (HuffmanTable | undefined)[];
  acTables: (HuffmanTable | undefined)[];
  conditioning: Conditioning;
  restartInterval: number;
}

/** A marker segment. Its content is from `start` to `end`. */
export interface Segment {
  marker: number;
  code: number;
  start: number;
  end: number;
}

/** As many as a scan header can name. T.81 uses the first four. */
export const SLOTS = 16;

/** T.81, B.2.4.2. */
export function readHuffmanTables(headers: Tables, { code, start, end }: Segment): void {
  const { bytes } = headers;
  let at = start;
  while (at < end) {
    if (end - at < 17) throw unexpected(at, code, `${end - at} bytes`, "at least 17 for a table");
    const kind = bytes[at] as number;
    if ((kind & 0xef) > 3) throw unexpected(at, code, `table 0x${hex(kind)}`, "0x00 to 0x03 or 0x10 to 0x13");
    const counts = bytes.slice(at + 1, at + 17);
    let total = 0;
    for (const count of counts) total += count;
    if (total > 256 || total > end - at - 17)
      throw unexpected(at + 1, code, `${total} codes`, `at most ${Math.min(256, end - at - 17)}`);
    const table = { counts, symbols: bytes.slice(at + 17, at + 17 + total) };
    (kind >= 0x10 ? headers.acTables : headers.dcTables)[kind & 15] = table;
    at += 17 + total;
  }
}

/** T.81, B.2.4.1. */
export function readQuantizationTables(headers: Tables, { code, start, end }: Segment): void {
  const { bytes } = headers;
  let at = start;
  while (at < end) {
    const kind = bytes[at] as number;
    const size = kind >> 4 === 0 ? 64 : 128;
    if ((kind & 15) > 3) throw unexpected(at, code, `table ${kind & 15}`, "0 to 3");
    if (end - at < 1 + size)
      throw unexpected(at, code, `${end - at} bytes`, `${1 + size} for a table of ${size / 64} bytes each`);
    const table = new Uint16Array(64);
    for (let k = 0; k < 64; k++)
      table[k] = size === 64 ? (bytes[at + 1 + k] as number) : uint16(bytes, at + 1 + 2 * k);
    headers.quantization[kind & 15] = table;
    at += 1 + size;
  }
}

/** T.81, B.2.4.3. */
export function readConditioning(
  { bytes, conditioning }: Tables,
  { code, marker, start, end }: Segment,
): void {
  if ((end - start) % 2 !== 0)
    throw unexpected(marker + 2, code, `length ${end - start + 2}`, "two bytes for each slot");
  for (let at = start; at < end; at += 2) {
    const slot = bytes[at] as number;
    const value = bytes[at + 1] as number;
    if (slot >= 2 * SLOTS) throw unexpected(at, code, `slot 0x${hex(slot)}`, "0x00 to 0x1f");
    if (slot >= SLOTS) conditioning.acLimit[slot - SLOTS] = value;
    else if ((value & 15) > value >> 4)
      throw unexpected(at + 1, code, `bounds ${value & 15} and ${value >> 4}`, "the lower one first");
    else {
      conditioning.dcLower[slot] = value & 15;
      conditioning.dcUpper[slot] = value >> 4;
    }
  }
}

/** T.81, B.2.4.4. */
export function readRestartInterval(headers: Tables, { code, marker, start, end }: Segment): void {
  if (end - start !== 2) throw unexpected(marker + 2, code, `length ${end - start + 2}`, "4");
  headers.restartInterval = uint16(headers.bytes, start);
}

export const uint16 = (bytes: Uint8Array, at: number) =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

export const hex = (byte: number) => byte.toString(16).padStart(2, "0");
