import { JpegError } from "./errors.js";
import { wasm } from "./generated/decode.js";

/** The functions of assembly/decode.ts. Addresses come back as signed numbers. */
interface Exports {
  memory: WebAssembly.Memory;
  findScanEnd(from: number, end: number): number;
  buildTable(table: number, dc: number): void;
  beginScan(scan: number): void;
  decodeBand(scan: number, from: number, to: number): number;
  endScan(scan: number, rows: number): void;
  compact(band: number, blocks: number, kept: number): void;
  countZeros(from: number, count: number): number;
  clear(from: number, bytes: number): void;
}

/** One instance of the decoder. Its memory is laid out as assembly/decode-layout.ts says. */
export interface Engine {
  exports: Exports;
  /** The whole memory; renewed by {@link reserve}. */
  u8: Uint8Array;
  u32: Uint32Array;
}

const PAGE = 65536;
/** An engine whose memory has grown beyond this is not kept for the next call. */
const POOL_BYTES = 4 * 2 ** 20;

let module: WebAssembly.Module | undefined;
let pooled: Engine | undefined;

function instantiate(): Engine {
  module ??= new WebAssembly.Module(Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0)));
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  const { buffer } = exports.memory;
  return { exports, u8: new Uint8Array(buffer), u32: new Uint32Array(buffer) };
}

/** An engine, which holds whatever the last reading left there. */
export function takeEngine(): Engine {
  const engine = pooled ?? instantiate();
  pooled = undefined;
  return engine;
}

/** Keeps an engine for the next reading, unless its memory is large. */
export function giveBack(engine: Engine): void {
  if (engine.u8.length <= POOL_BYTES) pooled = engine;
}

/** How many of the coefficients are zero; fast where they lie in the engine's memory. */
export function countZeros({ u8, exports }: Engine, coefficients: Int16Array): number {
  const { buffer, byteOffset, length } = coefficients;
  if (buffer === u8.buffer) return exports.countZeros(byteOffset, length);
  let zeros = 0;
  for (let at = 0; at < length; at++) if (coefficients[at] === 0) zeros++;
  return zeros;
}

/**
 * Frees the memory (at most 4 MiB) that reading JPEG files keeps from one call to the next. The next call takes it anew,
 * which costs it about a tenth of a millisecond.
 */
export function releasePool(): void {
  pooled = undefined;
}

/**
 * Makes the engine's memory at least `bytes` long.
 * @throws {JpegError} where the machine has no more memory.
 */
export function reserve(engine: Engine, bytes: number): void {
  if (bytes <= engine.u8.length) return;
  const { memory } = engine.exports;
  try {
    memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / PAGE));
  } catch {
    throw new JpegError(`no memory for the decoder, which needs ${bytes} bytes`, 0);
  }
  engine.u8 = new Uint8Array(memory.buffer);
  engine.u32 = new Uint32Array(memory.buffer);
}
