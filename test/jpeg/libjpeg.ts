import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JpegImage } from "../../packages/coefficients/src/jpeg/image.js";

/** Whether tests fail if tools are missing. Otherwise they are skipped. */
export const REQUIRED = process.env.CI !== undefined && process.env.CI !== "false";

let program: string | undefined | null = null;

/** The compiled libjpeg.c; undefined, with a message, if there is no compiler or no libjpeg-turbo. */
export function libjpegProgram(): string | undefined {
  if (program !== null) return program;
  const folder = fileURLToPath(new URL("../../out/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const path = `${folder}libjpeg-coefficients-${process.pid}`;
  const source = fileURLToPath(new URL("libjpeg.c", import.meta.url));
  const { status, stderr } = spawnSync("cc", ["-O2", "-o", path, source, "-ljpeg"], { encoding: "utf8" });
  program = status === 0 ? path : undefined;
  if (program === undefined) missing(`libjpeg-turbo (gcc, libjpeg62-turbo-dev): ${stderr ?? "no cc"}`);
  return program;
}

/** Says what is skipped. @throws {Error} in continuous integration. */
export function missing(what: string): void {
  if (REQUIRED) throw new Error(`missing ${what}`);
  console.warn(`tests are left out, for lack of ${what}`);
}

export interface Answer {
  width: number;
  height: number;
  warnings: number;
  colorSpace: JpegImage["colorSpace"];
  components: JpegImage["components"];
}

/** J_COLOR_SPACE of jpeglib.h. */
const COLOR_SPACES: JpegImage["colorSpace"][] = ["unknown", "grayscale", "rgb", "ycbcr", "cmyk", "ycck"];

/** What libjpeg-turbo reads in each file: coefficients in zigzag order, or its error message. */
export function libjpegAnswers(files: readonly Uint8Array[]): (Answer | string)[] {
  const path = libjpegProgram();
  if (path === undefined) throw new Error("no libjpeg-turbo");
  const input = Buffer.concat(
    files.flatMap((file) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(file.length);
      return [length, file];
    }),
  );
  const { stdout, status } = spawnSync(path, { input, maxBuffer: 2 ** 31 - 1 });
  if (status !== 0) throw new Error(`libjpeg's program ended with ${status}`);
  let at = 0;
  const int = () => {
    at += 4;
    return stdout.readInt32LE(at - 4);
  };
  const copy = (bytes: number) => {
    at += bytes;
    return stdout.buffer.slice(stdout.byteOffset + at - bytes, stdout.byteOffset + at) as ArrayBuffer;
  };
  return files.map(() => {
    const count = int();
    if (count === -1) return Buffer.from(copy(200)).toString().replace(/\0+$/, "");
    const width = int();
    const height = int();
    const warnings = int();
    const colorSpace = COLOR_SPACES[int()] as Answer["colorSpace"];
    const components = Array.from({ length: count }, () => {
      const [id, horizontalSampling, verticalSampling, blocksWide, blocksHigh] = [
        int(),
        int(),
        int(),
        int(),
        int(),
      ] as const;
      const quantization = new Uint16Array(copy(128));
      const coefficients = new Int16Array(copy(blocksWide * blocksHigh * 128));
      return { id, horizontalSampling, verticalSampling, blocksWide, blocksHigh, quantization, coefficients };
    });
    return { width, height, warnings, colorSpace, components };
  });
}

/** The first difference between our result and libjpeg's; undefined if there is none. */
export function difference(ours: JpegImage, answer: Answer): string | undefined {
  for (const key of ["width", "height", "colorSpace"] as const)
    if (ours[key] !== answer[key]) return `${key} ${ours[key]}, libjpeg has ${answer[key]}`;
  if (ours.components.length !== answer.components.length) return `${ours.components.length} components`;
  for (const [index, theirs] of answer.components.entries()) {
    const component = ours.components[index] as JpegImage["components"][number];
    for (const key of ["id", "horizontalSampling", "verticalSampling", "blocksWide", "blocksHigh"] as const)
      if (component[key] !== theirs[key])
        return `component ${index}: ${key} ${component[key]}, not ${theirs[key]}`;
    for (const key of ["quantization", "coefficients"] as const) {
      if (component[key].length !== theirs[key].length)
        return `component ${index}: ${component[key].length} ${key}`;
      if (Buffer.compare(asBytes(component[key]), asBytes(theirs[key])) === 0) continue;
      const at = component[key].findIndex((value, i) => value !== theirs[key][i]);
      return `component ${index}, block ${at >> 6}, ${key} ${at & 63}: ${component[key][at]}, not ${theirs[key][at]}`;
    }
  }
  return undefined;
}

const asBytes = (array: Int16Array | Uint16Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
