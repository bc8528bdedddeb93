/**
 * What the entrance computes, written for reading: a JPEG image's pixels at `scale / 8` of its size, in float64.
 *
 *   sample[i j] = byte(128 + Σ_α Σ_β a(i, α) a(j, β) q[α β] coefficient[α β]),   α, β < min(N, 8)
 *   a(i, α)     = √(1/8) · (α = 0 ? 1 : √2) · cos((2i + 1) α π / 2N)
 *   byte(x)     = min(255, max(0, ⌊x + 1/2⌋))
 *
 * of the coefficients, smoothed where scans are missing (src/jpeg/smoothing.ts), with N points (8 at full size;
 * src/preprocess/scaling.ts); then chroma upsampled by libjpeg's triangle, rounding included (jdsample.c); then JFIF's colours
 * (ITU-T T.871, 7), bytes again; then, of CMYK and YCCK, what PIL makes of the inks: `color · black / 255`, as stored,
 * bytes again. What a decoder rounds is rounded here too: networks were trained on it. What is left out: a damaged file's
 * wild numbers overflow libjpeg-turbo's 16 bits, which wasm/assembly/inverse-eight.ts repeats.
 */
import type { ColorSpace, JpegComponent, JpegImage } from "../../jpeg/image.js";
import { smoothed } from "../../jpeg/smoothing.js";
import { ZIGZAG } from "../../transform/frequency.js";
import { type ScaledComponent, scaledLayout } from "../scaling.js";

export interface Pixels {
  width: number;
  height: number;
  /** Red, green and blue, or gray alone; row by row, 0 … 255. */
  planes: Float64Array[];
}

/** `a(i, α)` as `[points, min(points, 8)]`. */
export function scaledBasis(points: number): Float64Array[] {
  return Array.from({ length: points }, (_, i) =>
    Float64Array.from(
      { length: Math.min(points, 8) },
      (_, alpha) =>
        (alpha === 0 ? Math.SQRT1_2 / 2 : 0.5) * Math.cos(((2 * i + 1) * alpha * Math.PI) / (2 * points)),
    ),
  );
}

const byte = (value: number) => Math.min(255, Math.max(0, Math.floor(value + 0.5)));

/** @throws {UnsupportedJpegError} where there are two components, whose colours nothing tells */
export function decodePixels(file: JpegImage, scale = 8): Pixels {
  const image = smoothed(file);
  const layout = scaledLayout(image, scale);
  const { width, height } = layout;
  const kept = image.coefficientsPerBlock ?? 64;
  const planes = layout.components.map((scaled, index) => {
    const component = image.components[index] as JpegComponent;
    return upsample(samples(component, scaled, kept), scaled, width, height);
  });
  return { width, height, planes: COLORS[image.colorSpace](planes) };
}

/** From a file's planes to gray, or to red, green and blue. */
const COLORS: Record<ColorSpace, (planes: Float64Array[]) => Float64Array[]> = {
  grayscale: (planes) => planes,
  rgb: (planes) => planes,
  ycbcr: fromYcbcr,
  cmyk: fromInverted,
  ycck: ([y, cb, cr, black]) =>
    fromInverted([
      ...fromYcbcr([y, cb, cr] as Float64Array[]).map((ink) => ink.map((value) => 255 - value)),
      black as Float64Array,
    ]),
  unknown: (planes) => planes,
};

function fromYcbcr(planes: Float64Array[]): Float64Array[] {
  const [luma, blueness, redness] = planes as [Float64Array, Float64Array, Float64Array];
  const mix = (color: (y: number, cb: number, cr: number) => number) =>
    luma.map((y, at) => byte(color(y, (blueness[at] as number) - 128, (redness[at] as number) - 128)));
  const red = mix((y, _, cr) => y + 1.402 * cr);
  const green = mix((y, cb, cr) => y - 0.344136286 * cb - 0.714136286 * cr);
  const blue = mix((y, cb) => y + 1.772 * cb);
  return [red, green, blue];
}

/** Inks as Adobe stores them, 255 for none; PIL takes them so with a marker and without. */
function fromInverted(planes: Float64Array[]): Float64Array[] {
  const [cyan, magenta, yellow, black] = planes as [Float64Array, Float64Array, Float64Array, Float64Array];
  return [cyan, magenta, yellow].map((ink) =>
    ink.map((value, at) => byte((value * (black[at] as number)) / 255)),
  );
}

/** A component's samples, `[height, width]` of `scaled`. */
function samples(component: JpegComponent, scaled: ScaledComponent, kept: number): Float64Array {
  const { points, width, height } = scaled;
  const { blocksWide, quantization, coefficients } = component;
  const basis = scaledBasis(points);
  const result = new Float64Array(width * height);
  const values = new Float64Array(64);
  for (let top = 0; top < height; top += points)
    for (let left = 0; left < width; left += points) {
      const block = ((top / points) * blocksWide + left / points) * kept;
      for (let k = 0; k < kept; k++)
        values[ZIGZAG[k] as number] = (coefficients[block + k] as number) * (quantization[k] as number);
      for (let i = 0; i < points && top + i < height; i++)
        for (let j = 0; j < points && left + j < width; j++) {
          let sum = 128;
          basis[i]?.forEach((a, alpha) => {
            basis[j]?.forEach((b, beta) => {
              sum += a * b * (values[8 * alpha + beta] as number);
            });
          });
          result[(top + i) * width + left + j] = byte(sum);
        }
    }
  return result;
}

/**
 * Pixel x lies a quarter of a sample beside the centre of its own: 3/4 of that and 1/4 of the neighbour on that side.
 * Halves are rounded up for one of two pixels and down for the other, by libjpeg's pattern.
 */
function upsample(plane: Float64Array, scaled: ScaledComponent, width: number, height: number): Float64Array {
  const { expandX, expandY, fancy } = scaled;
  const columns = neighbours(width, scaled.width, expandX, fancy);
  const rows = neighbours(height, scaled.height, expandY, fancy);
  const result = new Float64Array(width * height);
  const at = (row: number, column: number) => plane[row * scaled.width + column] as number;
  rows.forEach(([row, otherRow, v], y) => {
    columns.forEach(([column, otherColumn, h], x) => {
      const mean =
        (1 - v) * ((1 - h) * at(row, column) + h * at(row, otherColumn)) +
        v * ((1 - h) * at(otherRow, column) + h * at(otherRow, otherColumn));
      result[y * width + x] = fancy ? Math.floor(mean + rounding(expandX, expandY, x, y)) : mean;
    });
  });
  return result;
}

/** What libjpeg adds before it cuts off: in sixteenths where both axes are doubled, else in quarters. */
function rounding(expandX: number, expandY: number, x: number, y: number): number {
  if (expandX === 2 && expandY === 2) return x % 2 === 0 ? 8 / 16 : 7 / 16;
  return (expandX === 2 ? x : y) % 2 === 0 ? 1 / 4 : 2 / 4;
}

/** For each pixel of an axis its sample, the next one on its side, and the weight of that. */
function neighbours(
  length: number,
  samples: number,
  expand: number,
  fancy: boolean,
): [own: number, other: number, weight: number][] {
  return Array.from({ length }, (_, x) => {
    const own = Math.min(samples - 1, Math.floor(x / expand));
    const other = Math.min(samples - 1, Math.max(0, x % 2 === 0 ? own - 1 : own + 1));
    return [own, other, fancy && expand === 2 ? 0.25 : 0];
  });
}
