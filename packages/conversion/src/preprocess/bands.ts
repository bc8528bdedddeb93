import type { JpegBytes, JpegImage, JpegUnfinished } from "@jpeg-domain/coefficients";
import {
  type Band,
  type BandOptions,
  copyMeans,
  type Needed,
  readBands,
  type SmoothRow,
  smootherOf,
} from "@jpeg-domain/coefficients/internal";

/**
 * {@link readBands}, with the blocks smoothed if libjpeg smooths them. Such a file is read twice: first the means of all
 * blocks, then the blocks.
 */
export function* smoothedBands(
  file: JpegBytes,
  needed: Needed,
  options: BandOptions,
  endRow: () => number,
): Generator<Band, void> {
  let means: Int16Array[] | undefined;
  let unfinished: JpegUnfinished | undefined;
  for (const band of readBands(file, needed, options, endRow)) {
    unfinished = band.image.unfinished;
    if (unfinished === undefined) yield band;
    else {
      means ??= meansOf(band.image);
      keepMeans(band, means);
    }
  }
  if (unfinished === undefined) return;
  let smooth: SmoothRow | undefined;
  for (const band of readBands(file, needed, options)) {
    smooth ??= smootherOf(band.image, unfinished);
    smoothBand(band, smooth, means as Int16Array[]);
    yield band;
  }
}

const meansOf = ({ components }: JpegImage): Int16Array[] =>
  components.map(({ blocksWide, blocksHigh }) => new Int16Array(blocksWide * blocksHigh));

/** Keeps each block's DC coefficient. */
function keepMeans({ image, from, parts, kept }: Band, means: Int16Array[]): void {
  image.components.forEach(({ blocksWide, verticalSampling }, index) => {
    const first = from * verticalSampling * blocksWide;
    copyMeans(parts[index] as Int16Array, kept, means[index] as Int16Array, first);
  });
}

function smoothBand({ image, from, parts, kept }: Band, smooth: SmoothRow, means: Int16Array[]): void {
  image.components.forEach(({ blocksWide, verticalSampling }, index) => {
    const part = parts[index] as Int16Array;
    const length = blocksWide * kept;
    for (let at = 0, row = from * verticalSampling; at < part.length; at += length, row++)
      smooth(index, row, part.subarray(at, at + length), kept, means[index] as Int16Array);
  });
}
