import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { Preprocess } from "../../packages/conversion/src/preprocess/preprocess.js";
import { missing } from "./libjpeg.js";
import { pnmBySharp } from "./sharp-at-once.js";
import { hasJpegTools, run, tryRun } from "./tools.js";

/** Pixels as they are. */
export const PLAIN: Preprocess = {
  resample: "bilinear",
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  channels: "rgb",
};

/** Planes of a PNM file; gray gives three equal planes. */
export function planesOfPnm(pnm: Uint8Array): { width: number; height: number; data: Float32Array } {
  const header = /^P([56])\s+(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(pnm.subarray(0, 40)).toString("latin1"));
  if (header === null) throw new Error("no PNM file");
  const [width, height] = [Number(header[2]), Number(header[3])];
  const channels = header[1] === "6" ? 3 : 1;
  const pixels = pnm.subarray(header[0].length);
  const area = width * height;
  const data = new Float32Array(3 * area);
  for (let c = 0; c < 3; c++)
    for (let at = 0; at < area; at++) data[c * area + at] = pixels[at * channels + (c % channels)] as number;
  return { width, height, data };
}

/** libjpeg-turbo's pixels at `scale / 8`; scales other than 8 need djpeg. */
export const djpeg = (jpeg: Uint8Array, scale = 8) => planesOfPnm(djpegPnm(jpeg, scale));

export function djpegPnm(jpeg: Uint8Array, scale = 8): Uint8Array {
  if (hasJpegTools()) return run("djpeg", ["-dct", "int", "-scale", `${scale}/8`], jpeg);
  const pnm = scale === 8 ? pnmBySharp(jpeg) : undefined;
  if (pnm === undefined) throw new Error(`sharp gives no picture at ${scale}/8`);
  return pnm;
}

/** The same for a file that may be damaged; undefined if djpeg gives no picture. */
export function djpegOfDamaged(jpeg: Uint8Array) {
  if (!hasJpegTools()) {
    const pnm = pnmBySharp(jpeg);
    return pnm && planesOfPnm(pnm);
  }
  const { status, stdout } = tryRun("djpeg", ["-dct", "int"], jpeg);
  // Status 2 means warnings.
  if (status !== 0 && status !== 2) return undefined;
  return planesOfPnm(stdout);
}

/** PIL's pixels of files that may be damaged, as planes of 0 to 255: test/reference/pil-pixels.py. */
export function pilPixels(python: string, jpegs: readonly Uint8Array[], mode: "RGB" | "L") {
  const script = fileURLToPath(new URL("../reference/pil-pixels.py", import.meta.url));
  const lengths = jpegs.map(({ length }) => Buffer.from(Uint32Array.of(length).buffer));
  const input = Buffer.concat(jpegs.flatMap((jpeg, index) => [lengths[index] as Buffer, jpeg]));
  const output = execFileSync(python, [script, mode], { input, maxBuffer: 2 ** 30 });
  const view = new DataView(output.buffer, output.byteOffset, output.length);
  let at = 0;
  return jpegs.map(() => {
    const height = view.getInt32(at, true);
    at += 4;
    if (height < 0) return undefined;
    const width = view.getInt32(at, true);
    const length = height * width * (mode === "L" ? 1 : 3);
    const data = Float32Array.from(output.subarray(at + 4, at + 4 + length));
    at += 4 + length;
    return { width, height, data };
  });
}

/** Checks the mean and the largest difference, and that no value is missing. */
export function compare(found: ArrayLike<number>, expected: ArrayLike<number>) {
  expect(found.length).toBe(expected.length);
  let [sum, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found[i] as number) - (expected[i] as number));
    sum += difference;
    if (!(difference <= largest)) largest = difference;
  }
  return { mean: sum / expected.length, largest };
}

export function within(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  mean: number,
  largest: number,
  what: string,
): void {
  const difference = compare(found, expected);
  expect(difference.mean, `mean difference, ${what}`).toBeLessThanOrEqual(mean);
  expect(difference.largest, `largest difference, ${what}`).toBeLessThanOrEqual(largest);
}

/** The file with an EXIF segment that has this orientation. */
export function oriented(jpeg: Uint8Array, orientation: number): Uint8Array {
  const exif = [..."Exif\0\0MM\0*"].map((char) => char.charCodeAt(0));
  const directory = [0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const data = [...exif, ...directory];
  const segment = [0xff, 0xe1, 0, data.length + 2, ...data];
  return Uint8Array.from([...jpeg.subarray(0, 2), ...segment, ...jpeg.subarray(2)]);
}

/** A Python with PIL and NumPy. */
export function pythonWithPil(): string | undefined {
  const found = ["python3", "/usr/bin/python3"].find(
    (python) => spawnSync(python, ["-c", "import numpy, PIL"]).status === 0,
  );
  if (found === undefined) missing("PIL and NumPy (python3-pil, python3-numpy)");
  return found;
}

/** test/reference/pil.py's planes. */
export function pil(python: string, jpeg: Uint8Array, filter: string, numbers: number[]): Float32Array {
  const script = fileURLToPath(new URL("../reference/pil.py", import.meta.url));
  const output = execFileSync(python, [script, filter, ...numbers.map(String)], {
    input: jpeg,
    maxBuffer: 2 ** 28,
  });
  return new Float32Array(new Uint8Array(output).buffer);
}
