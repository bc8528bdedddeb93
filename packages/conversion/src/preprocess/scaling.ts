/**
 * Decoding at `scale / 8` of an image's size, as in libjpeg (jdmaster.c): the inverse transform of a block has `points`
 * points and uses the first `points × points` frequencies. A component of lower resolution gets more points if that saves
 * upsampling.
 */
import { type ColorSpace, UnsupportedJpegError } from "@jpeg-domain/coefficients";

/** What scaling depends on. */
export interface Sampled {
  width: number;
  height: number;
  colorSpace: ColorSpace;
  components: readonly { horizontalSampling: number; verticalSampling: number }[];
}

export interface ScaledComponent {
  /** Points of the inverse transform in each direction: a block gives `points × points` samples. */
  points: number;
  /** In samples, before upsampling, without the padding of the last block. */
  width: number;
  height: number;
  /** Pixels for each sample. */
  expandX: number;
  expandY: number;
  /** Upsampled with triangle weights 3/4 and 1/4, rather than by repeating samples. */
  fancy: boolean;
}

export interface ScaledLayout {
  scale: number;
  width: number;
  height: number;
  components: ScaledComponent[];
}

/** @throws {UnsupportedJpegError} if there are two components, whose colours no marker tells */
export function scaledLayout(image: Sampled, scale: number): ScaledLayout {
  const { width, height, components, colorSpace } = image;
  if (colorSpace === "unknown")
    throw new UnsupportedJpegError(
      `the file has ${components.length} components, whose colours no marker tells; ` +
        "expected 1 (grayscale), 3 (YCbCr, RGB) or 4 (CMYK, YCCK)",
      0,
    );
  const maxX = Math.max(...components.map(({ horizontalSampling }) => horizontalSampling));
  const maxY = Math.max(...components.map(({ verticalSampling }) => verticalSampling));
  return {
    scale,
    width: Math.ceil((width * scale) / 8),
    height: Math.ceil((height * scale) / 8),
    components: components.map(({ horizontalSampling: x, verticalSampling: y }) => {
      let points = scale;
      // At 1/8 libjpeg would double too. Then DC alone would not do, and a progressive file had to be read further.
      while (
        scale > 1 &&
        points < 8 &&
        (maxX * scale) % (2 * points * x) === 0 &&
        (maxY * scale) % (2 * points * y) === 0
      )
        points *= 2;
      const expandX = (maxX * scale) / (x * points);
      const expandY = (maxY * scale) / (y * points);
      const scaledWidth = Math.ceil((width * x * points) / (maxX * 8));
      const isFancy = expandX === 2 ? expandY <= 2 && scaledWidth > 2 : expandX === 1 && expandY === 2;
      const fancy = isFancy && Number.isInteger(expandY);
      return {
        points,
        width: scaledWidth,
        height: Math.ceil((height * y * points) / (maxY * 8)),
        expandX,
        expandY,
        fancy,
      };
    }),
  };
}

/** How many coefficients in zigzag order hold the first `points × points` frequencies. */
export function coefficientsFor(points: number): number {
  const n = Math.min(points, 8);
  if (n === 1) return 1;
  // (n-1, n-1) is in the middle of the anti-diagonal 2n-2.
  const diagonal = 2 * n - 2;
  let before = 0;
  for (let d = 0; d < diagonal; d++) before += d < 8 ? d + 1 : 15 - d;
  const length = diagonal < 8 ? diagonal + 1 : 15 - diagonal;
  return before + (length + 1) / 2;
}
