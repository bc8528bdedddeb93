/**
 * Block smoothing, which libjpeg does by default (jdcoefct.c, `smoothing_ok` and `decompress_smooth_data`): where the
 * scans of a progressive file leave the lowest AC coefficients out, or coarse, those that are still 0 are estimated from
 * the DC coefficients of the 5 x 5 blocks around.
 *
 *   estimate(k) = round(Q_0 · Σ_ij W_k[i j] · DC[i j] / (256 · Q_k))
 *
 * with the quantisation table Q, and less than the lowest bit that is known of k. This is libjpeg-turbo 2.1 to 3.0.3;
 * later ones take other neighbours at the edges of some images.
 */
import type { JpegComponent, JpegImage, JpegUnfinished } from "./image.js";
import type { Progress } from "./scans.js";

/** The coefficients that take part: DC and the first nine after it, zigzag order. */
export const SMOOTHED = 10;

/** How a coefficient is estimated: what of the 5 x 5 blocks takes part, row by row, with which weights. */
interface Estimate {
  k: number;
  places: number[];
  weights: number[];
}

const estimatesOf = (table: readonly number[][], first: number): Estimate[] =>
  table.map((all, index) => {
    const places = all.flatMap((weight, place) => (weight === 0 ? [] : [place]));
    return { k: first + index, places, weights: places.map((place) => all[place] as number) };
  });

/** Where nothing but DC is known; DC itself is changed too. */
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

/** Where some AC coefficients are known. */
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
 * What there is to smooth in an image whose scans end where they do; undefined where libjpeg would not.
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

/** What of an image smoothing needs. */
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
  const window = new Int32Array(25);
  return (index, blockRow, row, kept, means) => {
    const component = components[index] as Part;
    const { blocksWide, verticalSampling, quantization } = component;
    const isGood = Math.floor(blockRow / verticalSampling) <= lastRow;
    const known = (isGood ? bits : before)[index] as Int8Array;
    const isDcOnly = known.subarray(1, SMOOTHED).every((bit) => bit === -1);
    const estimates = (isDcOnly ? FROM_DC : FROM_MORE).filter(({ k }) => k < kept);
    const lines = neighbours(blockRow, component, mcuRows);
    for (let x = 0; x < blocksWide; x++) {
      for (let j = 0; j < 5; j++) {
        const column = neighbour(x, j - 2, blocksWide);
        for (let i = 0; i < 5; i++)
          window[5 * i + j] = means[(lines[i] as number) * blocksWide + column] as number;
      }
      for (const { k, places, weights } of estimates) {
        const bit = known[k] as number;
        if (k > 0 && (bit === 0 || row[x * kept + k] !== 0)) continue;
        let sum = 0;
        for (let t = 0; t < places.length; t++)
          sum += (weights[t] as number) * (window[places[t] as number] as number);
        const divisor = 256 * (quantization[k] as number);
        const size = Math.floor((divisor / 2 + Math.abs(sum) * (quantization[0] as number)) / divisor);
        row[x * kept + k] = Math.sign(sum) * (k > 0 && bit > 0 ? Math.min(size, 2 ** bit - 1) : size);
      }
    }
  };
}

/** The rows of blocks two above to two below; beyond the edges, the last one that libjpeg looks at. */
function neighbours(blockRow: number, { blocksHigh, verticalSampling }: Part, mcuRows: number): number[] {
  const mcuRow = Math.floor(blockRow / verticalSampling);
  const within = blockRow % verticalSampling;
  const last = mcuRows - 1;
  // Of the last row of MCUs, only the rows of blocks that hold pixels.
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

/** The column `step` beside `x`; beyond the edges the last one, but for libjpeg's slip where there are two. */
function neighbour(x: number, step: number, blocksWide: number): number {
  if (blocksWide === 2) return x + step === 1 ? 1 : 0;
  return Math.min(blocksWide - 1, Math.max(0, x + step));
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
