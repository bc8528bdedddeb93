/**
 * The tools that tests compare with. A test asks for what it needs:
 * - a file from pixels, or pixels from a file: `cjpeg` and `jpegOf`, `pixelsOf` and `djpeg` (./pixels.ts). These always
 *   work, without libjpeg-turbo's programs through ./stand-in.ts. Tests of our encoder must not use that as cjpeg;
 * - things that only the programs can do (pixels at a scale, jpegtran, random files): `hasJpegTools`;
 * - Python: `pythonWithNumpy`, `pythonWithPil`; libjpeg's coefficients: `libjpegProgram`.
 * A group whose tool is missing becomes one skipped test, which names the tool: {@link describeWith}.
 */
import { spawnSync } from "node:child_process";
import { describe, test } from "vitest";
import { missing } from "./libjpeg.js";
import { encodeAsCjpeg, sharpPixels } from "./stand-in.js";

/** A program's result with its warnings, because libjpeg's tools only warn about a damaged file. */
export interface Ran {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

export function tryRun(program: string, args: readonly string[], input?: Uint8Array): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 2 ** 30 });
  if (error) throw error;
  return { status, stdout, stderr: stderr.toString() };
}

/** The program's output. @throws {Error} unless it ends well and without warnings. */
export function run(program: string, args: readonly string[], input?: Uint8Array): Buffer {
  const { status, stdout, stderr } = tryRun(program, args, input);
  if (status !== 0 || stderr !== "") throw new Error(`${program} ${args.join(" ")}: ${status} ${stderr}`);
  return stdout;
}

/** A PNM file as JPEG, by cjpeg or encodeJpeg. cjpeg rightly warns about coarse quantisation tables. */
export function cjpeg(args: readonly string[], pnm: Uint8Array): Buffer {
  if (!hasJpegTools()) return Buffer.from(encodeAsCjpeg(args, pnm));
  const { status, stdout, stderr } = tryRun("cjpeg", args, pnm);
  if (status !== 0) throw new Error(`cjpeg ${args.join(" ")}: ${status} ${stderr}`);
  return stdout;
}

export function describeWith(isThere: boolean, what: string, name: string, body: () => void): void {
  if (isThere) describe(name, body);
  else test.skip(`${name}: for lack of ${what}`);
}

let tools: boolean | undefined;

/** Whether djpeg, cjpeg and jpegtran (libjpeg-turbo-progs) are installed. */
export function hasJpegTools(): boolean {
  if (tools !== undefined) return tools;
  tools = ["djpeg", "cjpeg", "jpegtran"].every(
    (name) => spawnSync(name, ["-version"], { input: "" }).error === undefined,
  );
  if (!tools) missing("djpeg, cjpeg, jpegtran (libjpeg-turbo-progs)");
  return tools;
}

/** libjpeg's pixels of an undamaged file: from djpeg, or without it from sharp. */
export const pixelsOf = async (jpeg: Uint8Array): Promise<Buffer> =>
  hasJpegTools() ? run("djpeg", [], jpeg) : sharpPixels(jpeg);

/** A Python with NumPy. */
export function pythonWithNumpy(): string | undefined {
  const found = ["python3", "/usr/bin/python3"].find(
    (python) => spawnSync(python, ["-c", "import numpy"]).status === 0,
  );
  if (found === undefined) missing("NumPy (python3-numpy)");
  return found;
}

/** A picture with smooth parts, edges and noise, the same every time: a PNM file, and its rows of pixels. */
export function testPicture(
  width: number,
  height: number,
  channels: 1 | 3,
): { pnm: Buffer; pixels: Uint8Array } {
  const pixels = new Uint8ClampedArray(width * height * channels);
  let state = 12345;
  for (let at = 0; at < pixels.length; at++) {
    const x = Math.floor(at / channels) % width;
    const y = Math.floor(at / channels / width);
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const waves = 100 * Math.sin(x / 17 + y / 40 + 2 * (at % channels));
    const squares = 30 * (((x >> 5) ^ (y >> 5)) & 1);
    pixels[at] = 118 + waves + squares + (40 * state) / 0x7fffffff - 20;
  }
  const header = Buffer.from(`P${channels === 3 ? 6 : 5}\n${width} ${height}\n255\n`);
  const bytes = new Uint8Array(pixels.buffer);
  return { pnm: Buffer.concat([header, bytes]), pixels: bytes };
}
