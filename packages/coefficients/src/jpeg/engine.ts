import { wasm } from "./generated/decode.js";
import { type Instance, program } from "./program.js";

/** The functions of assembly/decode.ts. Addresses come back as signed numbers. */
interface Exports {
  findScanEnd(from: number, end: number): number;
  passRestarts(from: number, end: number, until: number): number;
  buildTable(table: number, dc: number): void;
  buildSkips(table: number, skips: number): void;
  beginScan(scan: number): void;
  decodeBand(scan: number, from: number, to: number): number;
  endPart(scan: number, row: number): void;
  endScan(scan: number, rows: number): void;
  compact(band: number, blocks: number, kept: number): void;
  countZeros(from: number, count: number): number;
  clear(from: number, bytes: number): void;
}

/** One instance of the decoder. Its memory is laid out as assembly/decode-layout.ts says. */
export type Engine = Instance<Exports>;

export const decoder = program<Exports>("decoder", wasm, 4 * 2 ** 20);

/** How many of the coefficients are zero. This is fast where they lie in the engine's memory. */
export function countZeros({ u8, exports }: Engine, coefficients: Int16Array): number {
  const { buffer, byteOffset, length } = coefficients;
  if (buffer === u8.buffer) return exports.countZeros(byteOffset, length);
  let zeros = 0;
  for (let at = 0; at < length; at++) if (coefficients[at] === 0) zeros++;
  return zeros;
}
