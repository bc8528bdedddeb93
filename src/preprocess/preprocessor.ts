/** JPEG files into the planes that a network takes: `bytes → coefficients → pixels → planes`. */

import { ConvertError } from "../convert/errors.js";
import type { Band } from "../jpeg/decode.js";
import type { JpegComponent, JpegDamage, JpegImage, JpegUnfinished } from "../jpeg/image.js";
import { type JpegHeader, type ReadOptions, readBands } from "../jpeg/read.js";
import { copyMeans, smoothed, smootherOf } from "../jpeg/smoothing.js";
import { mirrored, spanOf, taps } from "./filters.js";
import { type Geometry, geometry, isPadded, isTransposed, scaleFor } from "./geometry.js";
import { type Area, channelCount, type Preprocess } from "./preprocess.js";
import { flips, LUMA, seen } from "./reference/planes.js";
import { coefficientsFor, scaledLayout } from "./scaling.js";
import { PlaneWriter } from "./wasm/planes.js";
import type { PlanesRequest } from "./wasm/program.js";

/** The planes a network takes. */
export interface PlaneSize {
  height: number;
  width: number;
  channels: number;
}

/** How {@link fillPlanes} reads a file. */
export type FillOptions = Pick<ReadOptions, "tolerant" | "maxPixels">;

/** What {@link fillPlanes} found and did. */
export interface Filled {
  /** Of the file, before its orientation. */
  width: number;
  height: number;
  /** The inverse transform's size: `scale / 8` of the file's. */
  scale: number;
  /**
   * With `tolerant`: what was damaged or missing in what was read, which of a progressive file may be a part. Absent for a
   * sound file.
   */
  damage?: JpegDamage[];
}

/**
 * Reads a JPEG file and writes the network's planes `[C, H, W]`, preprocessed.
 *
 * @param size What the network takes; the preprocessing must come out at it.
 * @param out At least `channels * height * width` floats; may be a part of a batch.
 * @param options `tolerant`: a damaged file gives the pixels that libjpeg gives of it; by default it is an error.
 *   `maxPixels`: the largest file, in pixels.
 * @throws {JpegError} where the file is damaged (unless `tolerant`), of a kind that is not supported, or too large
 * @throws {ConvertError} where the preprocessing of this file does not give `size`
 */
export function fillPlanes(
  bytes: Uint8Array,
  preprocess: Preprocess,
  size: PlaneSize,
  out: Float32Array,
  options: FillOptions = {},
): Filled {
  let job: Job | undefined;
  let writer: PlaneWriter | undefined;
  const bands = () =>
    readBands(
      bytes,
      (header) => {
        job = planJob(header, preprocess, size);
        return job.kept;
      },
      options,
    );
  try {
    // A file whose blocks are to be smoothed is read twice: for what lies around each block, then for the blocks.
    let means: Int16Array[] | undefined;
    let image = {} as JpegImage;
    for (const band of bands()) {
      image = band.image;
      const { unfinished } = image;
      if (unfinished !== undefined) means = keepMeans(band, means);
      else {
        writer ??= new PlaneWriter(seen(image, preprocess), (job as Job).request);
        writer.addBand(band);
      }
    }
    const { unfinished } = image;
    if (unfinished !== undefined)
      for (const band of bands()) {
        image = band.image;
        writer ??= new PlaneWriter(seen(image, preprocess), (job as Job).request);
        smoothBand(band, unfinished, means as Int16Array[]);
        writer.addBand(band);
      }
    finish(writer as PlaneWriter, job as unknown as Job, preprocess, out);
    const { width, height, damage = [] } = image;
    return {
      ...{ width, height, scale: (job as unknown as Job).request.scale },
      ...(damage.length > 0 && { damage }),
    };
  } finally {
    writer?.release();
  }
}

/** Keeps each block's DC coefficient. */
function keepMeans({ image, from, parts, kept }: Band, means = meansOf(image)): Int16Array[] {
  image.components.forEach(({ blocksWide, verticalSampling }, index) => {
    const first = from * verticalSampling * blocksWide;
    copyMeans(parts[index] as Int16Array, kept, means[index] as Int16Array, first);
  });
  return means;
}

const meansOf = ({ components }: JpegImage): Int16Array[] =>
  components.map(({ blocksWide, blocksHigh }) => new Int16Array(blocksWide * blocksHigh));

/** Smooths the blocks of a band. */
function smoothBand(
  { image, from, parts, kept }: Band,
  unfinished: JpegUnfinished,
  means: Int16Array[],
): void {
  const smooth = smootherOf(image, unfinished);
  image.components.forEach(({ blocksWide, verticalSampling }, index) => {
    const part = parts[index] as Int16Array;
    const length = blocksWide * kept;
    for (let at = 0, row = from * verticalSampling; at < part.length; at += length, row++)
      smooth(index, row, part.subarray(at, at + length), kept, means[index] as Int16Array);
  });
}

/** The same from coefficients that are read already: all of them, or as many as {@link planJob} says. */
export function fillFrom(image: JpegImage, job: Job, preprocess: Preprocess, out: Float32Array): Filled {
  const { width, height, coefficientsPerBlock: kept = 64 } = image;
  const source = seen(smoothed(image), preprocess);
  const writer = new PlaneWriter(source, job.request);
  try {
    for (let row = writer.firstRow; row < writer.endRow; row++)
      writer.add(row, (component, blockRow) => {
        const { coefficients, blocksWide } = source.components[component] as JpegComponent;
        return { data: coefficients, start: blockRow * blocksWide * kept, kept };
      });
    finish(writer, job, preprocess, out);
  } finally {
    writer.release();
  }
  return { width, height, scale: job.request.scale };
}

/** The planes, upright and in the network's channels, with what is padded around them. */
function finish(writer: PlaneWriter, job: Job, preprocess: Preprocess, out: Float32Array): void {
  const { outputs } = job.request;
  const isWeighted = preprocess.channels === "grayscale" && outputs.length === 3;
  const isDirect = job.orientation === 1 && !isWeighted && !job.isPadded;
  const made = isDirect ? out : new Float32Array(outputs.length * job.crop.height * job.crop.width);
  writer.finish(made);
  if (job.isPadded) surround(job, preprocess, out);
  if (!isDirect) turn(isWeighted ? weighted(made) : made, job, out);
}

/** How one file becomes planes, as its header tells. */
export interface Job extends Pick<Geometry, "crop" | "frame" | "at" | "planes"> {
  /** Coefficients of each block that are needed. */
  kept: number;
  orientation: number;
  isPadded: boolean;
  /** In the file's own directions. */
  request: PlanesRequest;
}

/** Files of one folder tend to be alike, and taps take a tenth of a millisecond to compute. */
const known = new Map<string, Job>();
const MOST_KNOWN = 64;

/**
 * Plans a file's way to planes; files that are alike have the same job, the same object.
 * @throws {ConvertError} where the preprocessing of this file does not give `size`
 */
export function planJob(header: JpegHeader | JpegImage, preprocess: Preprocess, size: PlaneSize): Job {
  const { width, height, orientation, progressive, colorSpace, components } = header;
  const samplings = components.map((component) => [component.horizontalSampling, component.verticalSampling]);
  const key = JSON.stringify([
    width,
    height,
    orientation,
    progressive,
    colorSpace,
    samplings,
    preprocess,
    size,
  ]);
  let job = known.get(key);
  if (job === undefined) {
    job = makeJob(header, preprocess, size);
    if (known.size === MOST_KNOWN) known.delete(known.keys().next().value as string);
    known.set(key, job);
  }
  return job;
}

function makeJob(header: JpegHeader | JpegImage, preprocess: Preprocess, size: PlaneSize): Job {
  const { width, height, orientation = 1 } = header;
  const swapped = isTransposed(orientation);
  const turned = (area: Area): Area => (swapped ? { width: area.height, height: area.width } : area);
  const upright = turned({ width, height });
  const { source, resized, ...place } = geometry(preprocess, upright);
  const { crop, planes } = place;
  if (
    planes.height !== size.height ||
    planes.width !== size.width ||
    channelCount(preprocess) !== size.channels
  )
    throw new ConvertError(
      `the preprocessing of this ${width}x${height} image gives ${channelCount(preprocess)} planes of ` +
        `${planes.width}x${planes.height}; the network takes ${size.channels} of ${size.width}x${size.height}`,
    );
  const scale = scaleFor(turned(source), turned(resized), preprocess);
  const layout = scaledLayout(seen(header, preprocess), scale);
  const needed = coefficientsFor(Math.max(...layout.components.map(({ points }) => points)));
  const { flipX, flipY } = flips(orientation);
  const axis = (inputs: number, side: "width" | "height", from: "left" | "top", flip: boolean) => {
    const span = spanOf(scale, inputs, [source[from], source[side], upright[side]], flip);
    const straight = taps(preprocess.resample, inputs, resized[side], crop[from], crop[side], span);
    return flip ? mirrored(straight, inputs) : straight;
  };
  const [rows, columns] = swapped
    ? [axis(layout.height, "width", "left", flipY), axis(layout.width, "height", "top", flipX)]
    : [axis(layout.height, "height", "top", flipY), axis(layout.width, "width", "left", flipX)];
  return {
    ...place,
    isPadded: isPadded(place),
    // A sequential file has to be read to its end whatever is kept, and packing more than one saves nothing (measured).
    kept: header.progressive || needed === 1 ? needed : 64,
    orientation,
    request: { scale, rows, columns, outputs: outputsOf(preprocess, layout.components.length) },
  };
}

function outputsOf(
  { channels, rescale, mean, std }: Preprocess,
  components: number,
): PlanesRequest["outputs"] {
  const output = (plane: number, c: number) => ({
    plane,
    factor: rescale / (std[c] as number),
    summand: -(mean[c] as number) / (std[c] as number),
  });
  if (channels === "grayscale") return (components === 1 ? [0] : [0, 1, 2]).map((plane) => output(plane, 0));
  return (channels === "bgr" ? [2, 1, 0] : [0, 1, 2]).map(output);
}

/** Gray of red, green and blue. */
function weighted(planes: Float32Array): Float32Array {
  const area = planes.length / 3;
  return Float32Array.from({ length: area }, (_, i) =>
    LUMA.reduce((sum, weight, plane) => sum + weight * (planes[plane * area + i] as number), 0),
  );
}

/** Fills the planes with what lies around the crop: black up to the frame, the padding's level around that. */
function surround({ planes, frame }: Job, preprocess: Preprocess, out: Float32Array): void {
  const { rescale, mean, std, pad } = preprocess;
  const area = planes.height * planes.width;
  for (let c = 0; c < channelCount(preprocess); c++) {
    const normal = (level: number) => (level * rescale - (mean[c] as number)) / (std[c] as number);
    const plane = out.subarray(c * area, (c + 1) * area);
    plane.fill(normal(pad?.value ?? 0));
    if (!pad?.value) continue;
    for (let y = frame.top; y < frame.top + frame.height; y++) {
      const from = y * planes.width + frame.left;
      plane.fill(normal(0), from, from + frame.width);
    }
  }
}

/** The file's directions to upright ones, to their place in the planes. */
function turn(made: Float32Array, { crop, at: place, planes, orientation }: Job, out: Float32Array): void {
  const { height, width } = crop;
  const { flipX, flipY } = flips(orientation);
  // Steps in the file's planes for a step to the right, and down, in the upright ones.
  const swapped = isTransposed(orientation);
  const stride = swapped ? height : width;
  const [fileHeight, fileWidth] = swapped ? [width, height] : [height, width];
  const stepX = flipX ? -1 : 1;
  const stepY = flipY ? -stride : stride;
  const right = swapped ? stepY : stepX;
  const down = swapped ? stepX : stepY;
  const start = (flipX ? fileWidth - 1 : 0) + (flipY ? (fileHeight - 1) * stride : 0);
  const area = height * width;
  const planeArea = planes.height * planes.width;
  for (let plane = 0; plane * area < made.length; plane++)
    for (let y = 0, line = plane * area + start; y < height; y++, line += down) {
      let to = plane * planeArea + (place.top + y) * planes.width + place.left;
      for (let x = 0, at = line; x < width; x++, at += right) out[to++] = made[at] as number;
    }
}
