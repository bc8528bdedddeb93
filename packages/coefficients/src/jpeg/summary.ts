/** A JPEG file at a glance. */
import { hasChrominance } from "./color-space.js";
import type { ColorSpace, JpegDamage, JpegImage } from "./image.js";
import { APP0, COM } from "./markers.js";
import { distinctTables, type EstimatedQuality, estimateQuality } from "./quality.js";
import { type HeaderOptions, readBands } from "./read.js";
import type { Scan } from "./scan-script.js";

export interface JpegSummary {
  fileBytes: number;
  /** In pixels, before the orientation is applied. */
  width: number;
  height: number;
  progressive: boolean;
  /** Arithmetic coded, not by Huffman codes. */
  arithmetic: boolean;
  colorSpace: ColorSpace;
  /** Such as `4:2:0`; undefined if there is no name for it, or no chrominance. */
  subsampling?: string;
  components: ComponentSummary[];
  /** The different quantisation tables, 64 entries each, zigzag order. */
  tables: number[][];
  /** Estimated from the tables. */
  quality: EstimatedQuality;
  /** The share of coefficients that are zero, 0 to 1. */
  zeroShare: number;
  scans: Scan[];
  /** MCUs between restart markers, 0 for none. */
  restartInterval: number;
  /** EXIF orientation, 1 to 8. */
  orientation?: number;
  iccProfileBytes?: number;
  /** Application and comment segments in the file's order. */
  segments: { name: string; bytes: number }[];
  /** With `tolerant`: what was damaged or missing. Absent for a sound file. */
  damage?: JpegDamage[];
}

export interface ComponentSummary {
  id: number;
  horizontalSampling: number;
  verticalSampling: number;
  blocksWide: number;
  blocksHigh: number;
  /** The index of its table in `tables`. */
  table: number;
  zeroShare: number;
}

/** The names of the ratios of luminance to chrominance samples, across and down. */
const SUBSAMPLINGS: Record<string, string> = {
  "1x1": "4:4:4",
  "2x1": "4:2:2",
  "2x2": "4:2:0",
  "1x2": "4:4:0",
  "4x1": "4:1:1",
  "4x2": "4:1:0",
};

/**
 * Reads a whole file and sums it up.
 * @throws {JpegError} if the file is damaged (unless `tolerant`) or the image larger than `maxPixels`
 * @throws {UnsupportedJpegError} if its coding is not supported
 */
export function summarizeJpeg(bytes: Uint8Array, options: HeaderOptions = {}): JpegSummary {
  const counts: number[] = [];
  let image = {} as JpegImage;
  for (const band of readBands(bytes, ({ components }) => components.map(() => 64), {
    ...options,
    keepSegments: true,
  })) {
    image = band.image;
    band.parts.forEach((part, c) => {
      counts[c] = (counts[c] ?? 0) + band.countZeros(part);
    });
  }
  const { width, height, progressive, arithmetic = false, colorSpace, orientation, iccProfile } = image;
  const { tables, slots } = distinctTables(image.components);
  let [zeros, values] = [0, 0];
  const components = image.components.map(({ quantization: _, coefficients: __, ...component }, c) => {
    const own = counts[c] as number;
    const all = component.blocksWide * component.blocksHigh * 64;
    zeros += own;
    values += all;
    return { ...component, table: slots[c] as number, zeroShare: own / all };
  });
  const subsampling = subsamplingName(components, colorSpace);
  const [luminance, chrominance] = image.components;
  return {
    fileBytes: bytes.length,
    width,
    height,
    progressive,
    arithmetic,
    colorSpace,
    ...(subsampling !== undefined && { subsampling }),
    components,
    tables: tables.map((table) => Array.from(table)),
    quality: estimateQuality(
      luminance?.quantization as Uint16Array,
      hasChrominance(colorSpace) ? chrominance?.quantization : undefined,
    ),
    zeroShare: zeros / values,
    scans: (image.scans ?? []).map(({ offset: _, ...scan }) => scan),
    restartInterval: image.restartInterval ?? 0,
    ...(orientation !== undefined && { orientation }),
    ...(iccProfile && { iccProfileBytes: iccProfile.length }),
    segments: (image.segments ?? []).map(({ marker, data }) => ({
      name: marker === COM ? "comment" : `APP${marker - APP0}`,
      bytes: data.length,
    })),
    ...(image.damage?.length && { damage: image.damage }),
  };
}

function subsamplingName(
  [y, cb, cr]: readonly ComponentSummary[],
  colorSpace: ColorSpace,
): string | undefined {
  if (!hasChrominance(colorSpace) || !y || !cb || !cr) return undefined;
  const across = (chrominance: ComponentSummary) => y.horizontalSampling / chrominance.horizontalSampling;
  const down = (chrominance: ComponentSummary) => y.verticalSampling / chrominance.verticalSampling;
  if (across(cb) !== across(cr) || down(cb) !== down(cr)) return undefined;
  return SUBSAMPLINGS[`${across(cb)}x${down(cb)}`];
}
