/**
 * Block smoothing, which libjpeg does by default (jdcoefct.c, `smoothing_ok` and `decompress_smooth_data`). If the scans of
 * a progressive file leave out the lowest AC coefficients, or their low bits, those that are still 0 are estimated from the
 * DC coefficients of the 5 x 5 blocks around.
 *
 *   estimate(k) = round(Q_0 · Σ_ij W_k[i j] · DC[i j] / (256 · Q_k))
 *
 * with the quantisation table Q, and smaller than the lowest known bit of k. This is libjpeg-turbo 2.1 to 3.0.3. Later
 * versions use other neighbours at the edges of some images.
 */
import type { JpegComponent, JpegImage, JpegUnfinished } from "./image.js";
import type { Progress } from "./scans.js";

/** The coefficients that take part: DC and the first nine after it, zigzag order. */
export const SMOOTHED = 10;

/** How a coefficient is estimated: which of the 5 x 5 blocks take part, row by row, and their weights. */
interface Estimate {
  k: number;
  places: Uint8Array;
  weights: Int16Array;
}

const estimatesOf = (table: readonly number[][], first: number): Estimate[] =>
  table.map((all, index) => {
    const places = all.flatMap((weight, place) => (weight === 0 ? [] : [place]));
    const weights = Int16Array.from(places, (place) => all[place] as number);
    return { k: first + index, places: Uint8Array.from(places), weights };
  });

/** If only DC is known. DC itself changes too. */
const FROM_DC = estimatesOf(
  [
    [-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2],
    [-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1],
    [-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1],
    [0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0],
    [-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1],
    [0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0],
  ],
  0,
);

/** If some AC coefficients are known. */
const FROM_MORE = estimatesOf(
  [
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0],
    [0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0],
    [0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ],
  1,
);

/**
 * What there is to smooth in an image after its last scan; undefined if libjpeg would not smooth it.
 * @param progress the lowest bit known of each coefficient, and the same before each component's last scan
 */
export function unfinishedOf(
  progress: Progress,
  before: Progress,
  tables: readonly Uint16Array[],
): JpegUnfinished | undefined {
  const isKnown = progress.every(([dc = -1]) => dc >= 0);
  const isCoarse = progress.some((bits) => bits.subarray(1, SMOOTHED).some((bit) => bit !== 0));
  const hasZero = tables.some((table) => table.subarray(0, SMOOTHED).includes(0));
  if (!isKnown || !isCoarse || hasZero) return undefined;
  const first = (bits: Int8Array) => bits.slice(0, SMOOTHED);
  return { bits: progress.map(first), before: before.map(first), lastRow: 0 };
}

type Part = Pick<JpegComponent, "blocksWide" | "blocksHigh" | "verticalSampling" | "quantization">;

/** The part of an image that smoothing needs. */
export interface Smoothable {
  height: number;
  components: readonly Part[];
  unfinished?: JpegUnfinished;
}

/**
 * Smooths a row of a component's blocks, `[blocksWide, kept]`, in place.
 * @param means the component's DC coefficients as they were read, `[blocksHigh, blocksWide]`
 */
export type SmoothRow = (
  component: number,
  blockRow: number,
  row: Int16Array,
  kept: number,
  means: Int16Array,
) => void;

/** How an image's blocks are smoothed. */
export function smootherOf({ height, components }: Smoothable, unfinished: JpegUnfinished): SmoothRow {
  const { bits, before, lastRow } = unfinished;
  const mcuRows = Math.ceil(height / (8 * Math.max(...components.map((part) => part.verticalSampling))));
  return (index, blockRow, row, kept, means) => {
    const component = components[index] as Part;
    const isGood = Math.floor(blockRow / component.verticalSampling) <= lastRow;
    const known = (isGood ? bits : before)[index] as Int8Array;
    const around = surroundings(blockRow, component, mcuRows, means);
    const isDcOnly = known.subarray(1, SMOOTHED).every((bit) => bit === -1);
    for (const estimate of isDcOnly ? FROM_DC : FROM_MORE)
      if (estimate.k < kept && (estimate.k === 0 || known[estimate.k] !== 0))
        smoothCoefficient(row, kept, estimate, known[estimate.k] as number, component, around);
  };
}

/** The DC coefficients of five rows of blocks, with two more blocks before and after. */
interface Surroundings {
  values: Int16Array;
  stride: number;
  /** For each block, whether the 25 around it are equal. Then there is nothing to estimate. */
  isFlat: Uint8Array;
}

function surroundings(blockRow: number, component: Part, mcuRows: number, means: Int16Array): Surroundings {
  const { blocksWide } = component;
  const stride = blocksWide + 4;
  const values = new Int16Array(5 * stride);
  neighbours(blockRow, component, mcuRows).forEach((line, i) => {
    const from = line * blocksWide;
    values.set(means.subarray(from, from + blocksWide), i * stride + 2);
    for (const column of [-2, -1, blocksWide, blocksWide + 1])
      values[i * stride + 2 + column] = means[from + nearest(column, blocksWide)] as number;
  });
  const isFlat = new Uint8Array(blocksWide);
  for (let column = 0, run = 0; column < stride; column++) {
    const value = values[column] as number;
    run = column > 0 && value === values[column - 1] ? run + 1 : 1;
    for (let i = 1; i < 5; i++) if (values[i * stride + column] !== value) run = 0;
    if (run >= 5) isFlat[column - 4] = 1;
  }
  return { values, stride, isFlat };
}

/** Estimates one coefficient of each block in a row. */
function smoothCoefficient(
  row: Int16Array,
  kept: number,
  { k, places, weights }: Estimate,
  bit: number,
  { quantization }: Part,
  { values, stride, isFlat }: Surroundings,
): void {
  const factor = quantization[0] as number;
  const divisor = 256 * (quantization[k] as number);
  const most = k > 0 && bit > 0 ? 2 ** bit - 1 : Number.POSITIVE_INFINITY;
  const offsets = Int32Array.from(places, (place) => Math.floor(place / 5) * stride + (place % 5));
  for (let x = 0, at = k; x < isFlat.length; x++, at += kept) {
    if (isFlat[x] !== 0 || (k > 0 && row[at] !== 0)) continue;
    let sum = 0;
    for (let t = 0; t < offsets.length; t++)
      sum += (weights[t] as number) * (values[(offsets[t] as number) + x] as number);
    const size = Math.min(most, Math.floor((divisor / 2 + Math.abs(sum) * factor) / divisor));
    row[at] = sum < 0 ? -size : size;
  }
}

/** The rows of blocks from two above to two below. Beyond an edge it is the last row that libjpeg reads. */
function neighbours(blockRow: number, { blocksHigh, verticalSampling }: Part, mcuRows: number): number[] {
  const mcuRow = Math.floor(blockRow / verticalSampling);
  const within = blockRow % verticalSampling;
  const last = mcuRows - 1;
  // In the last row of MCUs, only the rows of blocks that hold pixels count.
  const high = mcuRow < last ? verticalSampling : blocksHigh - mcuRow * verticalSampling;
  const above = within > 0 || mcuRow > 0 ? blockRow - 1 : blockRow;
  const below = within < high - 1 || mcuRow < last ? blockRow + 1 : blockRow;
  return [
    within > 1 || mcuRow > 1 ? blockRow - 2 : above,
    above,
    blockRow,
    below,
    within < high - 2 || mcuRow + 1 < last ? blockRow + 2 : below,
  ];
}

/** A column beyond the edges stands for the last one; but for libjpeg's slip where there are two. */
function nearest(column: number, blocksWide: number): number {
  return blocksWide === 2 ? 0 : Math.min(blocksWide - 1, Math.max(0, column));
}

/** The image as libjpeg's pixels show it: its blocks smoothed where libjpeg does that, else the image itself. */
export function smoothed(image: JpegImage): JpegImage {
  const { unfinished, coefficientsPerBlock: kept = 64 } = image;
  if (unfinished === undefined) return image;
  const smooth = smootherOf(image, unfinished);
  const components = image.components.map((component, index) => {
    const { blocksWide, blocksHigh } = component;
    const means = new Int16Array(blocksWide * blocksHigh);
    copyMeans(component.coefficients, kept, means);
    const coefficients = component.coefficients.slice();
    for (let blockRow = 0; blockRow < blocksHigh; blockRow++) {
      const from = blockRow * blocksWide * kept;
      smooth(index, blockRow, coefficients.subarray(from, from + blocksWide * kept), kept, means);
    }
    return { ...component, coefficients };
  });
  const { unfinished: _, ...rest } = image;
  return { ...rest, components };
}

/** The DC coefficients of blocks of `kept` coefficients. */
export function copyMeans(blocks: Int16Array, kept: number, means: Int16Array, to = 0): void {
  for (let from = 0, at = to; from < blocks.length; from += kept, at++) means[at] = blocks[from] as number;
}
