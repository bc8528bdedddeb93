/**
 * Images in memory → JPEG files:
 *
 *   RGB → YCbCr → box averages → compress (the transform J) → rounding to whole numbers → writeCoefficients
 *
 * Everything before the rounding is in floats, and nothing else is rounded. Sources: JFIF 1.02, p. 3 (colour);
 * libjpeg, jcsample.c and jcprepct.c (averages, edges), jcdctmgr.c (rounding).
 */
import { COLOR_SPACES, hasChrominance } from "../jpeg/color-space.js";
import { JpegImageError } from "../jpeg/errors.js";
import type { ColorSpace, JpegComponent, JpegSegment } from "../jpeg/image.js";
import { qualityTable } from "../jpeg/quality.js";
import { type WriteOptions, writeCoefficients } from "../jpeg/write.js";
import { compress } from "./images.js";

/** An image as planes of samples. */
export interface PixelPlanes {
  /** In pixels, 1 to 65535. */
  width: number;
  height: number;
  colorSpace: ColorSpace;
  /**
   * One for each component in the colour space's order, `[height, width]`, 0 to 255: 1 for grayscale, 3 for YCbCr and
   * RGB, 4 for CMYK and YCCK (JPEG files hold these inverted: 255 is no ink). Values outside count as 0 or 255.
   */
  planes: readonly Plane[];
}

export type Plane = Uint8Array | Uint8ClampedArray | Float32Array | Float64Array;

/** How many pixels share a sample of the chrominance, across and down: J:a:b notation, or the two factors. */
export type Subsampling = keyof typeof SUBSAMPLINGS | readonly [horizontal: number, vertical: number];

const SUBSAMPLINGS = {
  "4:4:4": [1, 1],
  "4:2:2": [2, 1],
  "4:2:0": [2, 2],
  "4:4:0": [1, 2],
  "4:1:1": [4, 1],
} as const;

export interface EncodeOptions extends Omit<WriteOptions, "segments"> {
  /** 1 to 100, as `cjpeg -quality` counts it; 75 by default. */
  quality?: number;
  /**
   * Limits the tables' entries to 255, as `cjpeg -baseline` does. Only qualities under 25 have larger ones, and then the
   * file is extended sequential.
   */
  baseline?: boolean;
  /** Of the chrominance in YCbCr and YCCK, by default 4:2:0, as in cjpeg. Other colour spaces have none. */
  subsampling?: Subsampling;
  /** Segments to put into the file, such as a comment, EXIF or an ICC profile. */
  segments?: readonly JpegSegment[];
  /** The file's colour space. By default the planes' own, but YCbCr for RGB. */
  colorSpace?: ColorSpace;
}

const BLOCK = 8;
const LEVEL_SHIFT = 128;
const MAX_SAMPLE = 255;

/**
 * Encodes an image as a JPEG file.
 *
 * The quantisation tables are those of `cjpeg -quality`; the coefficients are the nearest to the exact transform's
 * (`cjpeg -dct float` rounds colour and averages to whole numbers first, so some of its coefficients are off by one).
 * @throws {JpegImageError} if a plane's size does not fit, a value is NaN, or an option is out of range.
 */
export function encodeJpeg(image: PixelPlanes, options: EncodeOptions = {}): Uint8Array {
  const {
    quality = 75,
    baseline = false,
    subsampling,
    colorSpace: target,
    segments = [],
    ...write
  } = options;
  checkPlanes(image);
  const { width, height } = image;
  const colorSpace = target ?? (image.colorSpace === "rgb" ? "ycbcr" : image.colorSpace);
  const readRow = rowReader(image, colorSpace);
  const [across, down] = subsamplingFactors(subsampling ?? "4:2:0", hasChrominance(colorSpace));
  const { ids, chrominance } = COLOR_SPACES[colorSpace];
  const components = ids.map((id, c) => {
    const isReduced = chrominance.includes(c);
    const [boxWidth, boxHeight] = isReduced ? [across, down] : [1, 1];
    const blocksWide = Math.ceil(width / (BLOCK * boxWidth));
    const blocksHigh = Math.ceil(height / (BLOCK * boxHeight));
    const component: JpegComponent = {
      id,
      horizontalSampling: across / boxWidth,
      verticalSampling: down / boxHeight,
      blocksWide,
      blocksHigh,
      quantization: qualityTable(quality, isReduced ? "chrominance" : "luminance", baseline),
      coefficients: new Int16Array(blocksWide * blocksHigh * BLOCK * BLOCK),
    };
    quantize(component, {
      width,
      height,
      boxWidth,
      boxHeight,
      readRow: (row, into) => readRow(c, row, into),
    });
    return component;
  });
  const encoded = { width, height, progressive: false, colorSpace, components, segments: [...segments] };
  return writeCoefficients(encoded, write);
}

/** Splits rows of pixels, such as a canvas's `ImageData`, into planes. Drops an alpha channel. */
export function planesFromPixels(
  pixels: Uint8Array | Uint8ClampedArray,
  width: number,
  height: number,
): PixelPlanes {
  const channels = pixels.length / (width * height);
  if (channels !== 1 && channels !== 3 && channels !== 4)
    throw new JpegImageError(
      `${pixels.length} values for ${width}x${height} pixels, expected 1 (grey), 3 (RGB) or 4 (RGBA) each`,
    );
  const plane = (channel: number) =>
    Uint8Array.from({ length: width * height }, (_, at) => pixels[at * channels + channel] as number);
  return channels === 1
    ? { width, height, colorSpace: "grayscale", planes: [plane(0)] }
    : { width, height, colorSpace: "rgb", planes: [plane(0), plane(1), plane(2)] };
}

function checkPlanes({ width, height, colorSpace, planes }: PixelPlanes): void {
  const ids = COLOR_SPACES[colorSpace]?.ids;
  if (ids === undefined)
    throw new JpegImageError(
      `colour space "${colorSpace}", expected ${Object.keys(COLOR_SPACES).join(", ")}`,
    );
  if (planes.length !== ids.length)
    throw new JpegImageError(`${planes.length} planes in ${colorSpace}, expected ${ids.length}`);
  planes.forEach((plane, c) => {
    if (plane.length !== width * height)
      throw new JpegImageError(
        `plane ${c} has ${plane.length} values, expected ${width * height} for ${width}x${height} pixels`,
        c,
      );
    // Only floats can be NaN. Without this check it would pass: every comparison with NaN is false.
    const bad =
      plane instanceof Float32Array || plane instanceof Float64Array ? plane.findIndex(Number.isNaN) : -1;
    if (bad >= 0)
      throw new JpegImageError(
        `plane ${c} is NaN in row ${Math.floor(bad / width)}, column ${bad % width}`,
        c,
      );
  });
}

function subsamplingFactors(subsampling: Subsampling, wanted: boolean): readonly [number, number] {
  const factors = typeof subsampling === "string" ? SUBSAMPLINGS[subsampling] : subsampling;
  const isLegal =
    factors?.length === 2 &&
    factors.every((factor) => Number.isInteger(factor) && factor >= 1 && factor <= 4);
  if (!isLegal)
    throw new JpegImageError(
      `subsampling ${JSON.stringify(subsampling)}, expected ${Object.keys(SUBSAMPLINGS).join(", ")} or two factors from 1 to 4`,
    );
  return wanted ? factors : [1, 1];
}

/** Writes a row of pixels of a component of the file to `into`, with 128 subtracted. */
type RowReader = (c: number, row: number, into: Float32Array) => void;

function rowReader({ width, colorSpace, planes }: PixelPlanes, target: ColorSpace): RowReader {
  if (target === colorSpace)
    return (c, row, into) => {
      const plane = planes[c] as Plane;
      for (let x = 0; x < width; x++) into[x] = clamp(plane[row * width + x] as number) - LEVEL_SHIFT;
    };
  if (colorSpace !== "rgb" || target !== "ycbcr")
    throw new JpegImageError(`planes in ${colorSpace}, a file in ${target}: only rgb is converted, to ycbcr`);
  const [reds, greens, blues] = planes as [Plane, Plane, Plane];
  return (c, row, into) => {
    for (let x = 0, at = row * width; x < width; x++, at++) {
      const red = clamp(reds[at] as number);
      const green = clamp(greens[at] as number);
      const blue = clamp(blues[at] as number);
      const y = 0.299 * red + 0.587 * green + 0.114 * blue;
      // The centre of Cb and Cr is 128. The level shift would subtract it again, so it is left out.
      into[x] = c === 0 ? y - LEVEL_SHIFT : c === 1 ? (blue - y) / 1.772 : (red - y) / 1.402;
    }
  };
}

const clamp = (value: number) => Math.min(MAX_SAMPLE, Math.max(0, value));

interface Reduction {
  width: number;
  height: number;
  /** The pixels that are averaged to one sample. */
  boxWidth: number;
  boxHeight: number;
  readRow: (row: number, into: Float32Array) => void;
}

/** Fills in the coefficients, one row of blocks at a time. So no second image is in memory. */
function quantize(component: JpegComponent, reduction: Reduction): void {
  const { blocksWide, blocksHigh, quantization, coefficients } = component;
  const columns = blocksWide * BLOCK;
  const strip = new Float32Array(columns * BLOCK);
  const averageRow = rowAverager(reduction);
  for (let row = 0; row < blocksHigh; row++) {
    for (let y = 0; y < BLOCK; y++)
      averageRow(row * BLOCK + y, strip.subarray(y * columns, (y + 1) * columns));
    const { data } = compress(strip, [1, 1, BLOCK, columns], { table: quantization });
    const at = row * data.length;
    for (let i = 0; i < data.length; i++) coefficients[at + i] = Math.round(data[i] as number);
  }
}

/** Writes a row of samples, each the mean of its box. Beyond the image's edge, the last column and row repeat. */
function rowAverager({ width, height, boxWidth, boxHeight, readRow }: Reduction) {
  const pixels = new Float32Array(width);
  const sums = new Float64Array(width);
  return (y: number, into: Float32Array): void => {
    sums.fill(0);
    for (let j = 0; j < boxHeight; j++) {
      readRow(Math.min(height - 1, y * boxHeight + j), pixels);
      for (let x = 0; x < width; x++) sums[x] = (sums[x] as number) + (pixels[x] as number);
    }
    for (let x = 0; x < into.length; x++) {
      let sum = 0;
      for (let i = 0; i < boxWidth; i++) sum += sums[Math.min(width - 1, x * boxWidth + i)] as number;
      into[x] = sum / (boxWidth * boxHeight);
    }
  };
}
