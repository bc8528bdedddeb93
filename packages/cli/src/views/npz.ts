/**
 * Writes arrays, such as an image's coefficients, as a NumPy `.npz` file: a ZIP archive of `.npy` files.
 * Source: numpy/lib/format.py, "Format Version 1.0".
 */

import type { JpegImage } from "@jpeg-domain/coefficients";
import { zipSync } from "fflate";

export interface NumpyArray {
  data: Int16Array | Uint16Array | Int32Array | Float32Array;
  /** Row-major. */
  shape: readonly number[];
}

const MAGIC = "\x93NUMPY\x01\x00";
/** The data starts at a multiple of this. */
const ALIGNMENT = 64;
/** The earliest ZIP date. A fixed date gives equal files for equal arrays. */
const DATE = new Date(1980, 0, 1);

/**
 * The bytes of an `.npz` for an image. For each component `c` from 0 it has `component{c}`, int16
 * `[blocksHigh, blocksWide, 64]`, and `quantization{c}`, uint16 `[64]`, both in zigzag order. `size` is int32
 * `[height, width]` in pixels.
 */
export function coefficientsNpz({ width, height, components }: JpegImage): Uint8Array {
  const arrays: Record<string, NumpyArray> = { size: { data: Int32Array.of(height, width), shape: [2] } };
  components.forEach(({ blocksHigh, blocksWide, coefficients, quantization }, c) => {
    arrays[`component${c}`] = { data: coefficients, shape: [blocksHigh, blocksWide, 64] };
    arrays[`quantization${c}`] = { data: quantization, shape: [64] };
  });
  return writeNpz(arrays);
}

/** The bytes of an `.npz` that `numpy.load` opens, with the arrays under their names. */
export function writeNpz(arrays: Readonly<Record<string, NumpyArray>>): Uint8Array {
  const files = Object.entries(arrays).map(([name, array]) => [`${name}.npy`, writeNpy(array)] as const);
  return zipSync(Object.fromEntries(files), { mtime: DATE });
}

/** The bytes of an `.npy`, little-endian. */
export function writeNpy({ data, shape }: NumpyArray): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const dictionary = `{'descr': '${descriptor(data)}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const before = MAGIC.length + 2;
  const length = Math.ceil((before + dictionary.length + 1) / ALIGNMENT) * ALIGNMENT - before;
  const header = `${dictionary.padEnd(length - 1)}\n`;
  const bytes = new Uint8Array(before + length + data.byteLength);
  const put = (text: string, at: number) => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  put(MAGIC, 0);
  bytes.set([length & 0xff, length >> 8], MAGIC.length);
  put(header, before);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), before + length);
  return bytes;
}

function descriptor(data: NumpyArray["data"]): string {
  if (data instanceof Int16Array) return "<i2";
  if (data instanceof Uint16Array) return "<u2";
  return data instanceof Int32Array ? "<i4" : "<f4";
}
