/** Replacements if Debian's packages are missing: encodeJpeg for cjpeg, sharp for djpeg. */
import { readFileSync } from "node:fs";
import turbo from "@julusian/jpeg-turbo";
import sharp from "sharp";
import type { JpegComponent } from "../../packages/coefficients/src/jpeg/image.js";
import { readCoefficients } from "../../packages/coefficients/src/jpeg/read.js";
import type { Scan } from "../../packages/coefficients/src/jpeg/scan-script.js";
import { writeCoefficients } from "../../packages/coefficients/src/jpeg/write.js";
import {
  type EncodeOptions,
  encodeJpeg,
  planesFromPixels,
} from "../../packages/coefficients/src/transform/encode.js";

type Factors = [horizontal: number, vertical: number][];

/** The options of cjpeg that the tests use, except -arithmetic. */
export function encodeAsCjpeg(args: readonly string[], pnm: Uint8Array): Uint8Array {
  const { pixels, width, height } = pnmPixels(pnm);
  const option = (name: string) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const isGray = args.includes("-grayscale");
  const planes = planesFromPixels(isGray ? firstChannel(pixels, width * height) : pixels, width, height);
  const factors = (option("-sample") ?? "2x2")
    .split(",")
    .map((pair) => pair.split("x").map(Number)) as Factors;
  const scans = option("-scans");
  const script = scans === undefined ? undefined : parseScript(readFileSync(scans, "utf8"));
  const restart = option("-restart");
  const isSequential = !args.includes("-progressive") && !script;
  const options: EncodeOptions = {
    quality: Number(option("-quality") ?? 75),
    subsampling: factors[0] as Factors[number],
    progressive: args.includes("-progressive") || (script !== undefined && isProgressive(script)),
    huffman: isSequential && !args.includes("-optimize") ? "standard" : "optimized",
    ...(script && { script }),
    ...(restart && { restartInterval: intervalOf(restart, width, factors) }),
    ...(args.includes("-rgb") && { colorSpace: "rgb" as const }),
  };
  if (factors.length === 1) return encodeJpeg(planes, options);
  return withFactors(pixels, width, height, factors, options);
}

const TURBO_SAMPLINGS: Record<string, number> = {
  "1x1": turbo.SAMP_444,
  "2x1": turbo.SAMP_422,
  "2x2": turbo.SAMP_420,
  "1x2": turbo.SAMP_440,
};

/** libjpeg-turbo's own encoding with 8-bit tables; undefined for samplings that the npm package does not support. */
export function encodeByTurbo(pnm: Uint8Array, quality: number, sampling = "2x2"): Uint8Array | undefined {
  const { pixels, width, height } = pnmPixels(pnm);
  const isGray = pixels.length === width * height;
  const subsampling = isGray ? turbo.SAMP_GRAY : TURBO_SAMPLINGS[sampling];
  if (subsampling === undefined) return undefined;
  const format = isGray ? turbo.FORMAT_GRAY : turbo.FORMAT_RGB;
  return turbo.compressSync(Buffer.from(pixels), { width, height, format, subsampling, quality });
}

/** A restart interval in rows of MCUs, or in MCUs with the suffix B. */
function intervalOf(restart: string, width: number, factors: Factors): number {
  const most = Math.max(...factors.map(([horizontal]) => horizontal));
  const count = Number.parseInt(restart, 10);
  return restart.endsWith("B") ? count : count * Math.ceil(width / (8 * most));
}

/** Encodes each component as a grayscale image of its own size, and puts them into one file. */
function withFactors(
  pixels: Uint8Array,
  width: number,
  height: number,
  factors: Factors,
  options: EncodeOptions,
): Uint8Array {
  const [across, down] = [0, 1].map((axis) => Math.max(...factors.map((pair) => pair[axis] as number))) as [
    number,
    number,
  ];
  const components = toYcbcr(pixels).map((plane, c): JpegComponent => {
    const [horizontal, vertical] = factors[c] ?? [1, 1];
    const small = shrunk(plane, width, height, across / horizontal, down / vertical);
    const gray = encodeJpeg({ ...small, colorSpace: "grayscale" }, { quality: options.quality as number });
    const [component] = readCoefficients(gray).components as [JpegComponent];
    return { ...component, id: c + 1, horizontalSampling: horizontal, verticalSampling: vertical };
  });
  const { progressive, restartInterval = 0, huffman = "optimized" } = options;
  return writeCoefficients(
    { width, height, progressive: progressive === true, colorSpace: "ycbcr", components },
    { progressive: progressive === true, restartInterval, huffman },
  );
}

/** JFIF's YCbCr planes of RGB pixels. */
function toYcbcr(pixels: Uint8Array): Float32Array[] {
  const rows = [
    [0.299, 0.587, 0.114, 0],
    [-0.1687, -0.3313, 0.5, 128],
    [0.5, -0.4187, -0.0813, 128],
  ] as const;
  const at = (index: number) => pixels[index] as number;
  return rows.map(([red, green, blue, shift]) =>
    Float32Array.from(
      { length: pixels.length / 3 },
      (_, i) => red * at(3 * i) + green * at(3 * i + 1) + blue * at(3 * i + 2) + shift,
    ),
  );
}

/** Means of this many pixels across and down. */
function shrunk(plane: Float32Array, width: number, height: number, across: number, down: number) {
  const [wide, high] = [Math.ceil(width / across), Math.ceil(height / down)];
  const small = Float32Array.from({ length: wide * high }, (_, at) => {
    const [left, top] = [Math.floor((at % wide) * across), Math.floor(Math.floor(at / wide) * down)];
    let [sum, count] = [0, 0];
    for (let y = top; y < Math.min(height, top + down); y++)
      for (let x = left; x < Math.min(width, left + across); x++) {
        sum += plane[y * width + x] as number;
        count++;
      }
    return sum / count;
  });
  return { width: wide, height: high, planes: [small] };
}

/** cjpeg's scan scripts: `0,1: 0-0, 0, 1;`, or components alone. */
function parseScript(text: string): Scan[] {
  return text
    .split(";")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [components = "", values = "0-63,0,0"] = line.split(":");
      const [spectralStart = 0, spectralEnd = 0, approximationHigh = 0, approximationLow = 0] = values
        .split(/[-,]/)
        .map(Number);
      return {
        components: components.split(",").map(Number),
        spectralStart,
        spectralEnd,
        approximationHigh,
        approximationLow,
      };
    });
}

const isProgressive = (script: readonly Scan[]) => script.some(({ spectralEnd }) => spectralEnd !== 63);

function pnmPixels(pnm: Uint8Array): { pixels: Uint8Array; width: number; height: number } {
  const header = /^P[56]\s+(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(pnm.subarray(0, 40)).toString("latin1"));
  if (header === null) throw new Error("no PNM file");
  return { pixels: pnm.subarray(header[0].length), width: Number(header[1]), height: Number(header[2]) };
}

const firstChannel = (pixels: Uint8Array, area: number) =>
  Uint8Array.from({ length: area }, (_, at) => pixels[(at * pixels.length) / area] as number);

/** The pixels from the libjpeg in libvips. A warning is an error, unless the file may be damaged. */
export const sharpPixels = (jpeg: Uint8Array, mayBeDamaged = false): Promise<Buffer> =>
  sharp(jpeg, { failOn: mayBeDamaged ? "none" : "warning" })
    .raw()
    .toBuffer();
