import type { ColorSpace } from "./image.js";

interface ColorSpaceRow {
  /** The components' identifiers, as libjpeg writes them. */
  ids: readonly number[];
  /** Which components are chrominance. They have tables of their own and can be subsampled. */
  chrominance: readonly number[];
  /** Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK. Source: Adobe TN 5116, section 18 */
  adobe?: number;
}

export const COLOR_SPACES: Record<ColorSpace, ColorSpaceRow> = {
  grayscale: { ids: [1], chrominance: [] },
  ycbcr: { ids: [1, 2, 3], chrominance: [1, 2], adobe: 1 },
  rgb: { ids: [82, 71, 66], chrominance: [], adobe: 0 }, // "R", "G", "B"
  cmyk: { ids: [67, 77, 89, 75], chrominance: [], adobe: 0 }, // "C", "M", "Y", "K"
  ycck: { ids: [1, 2, 3, 4], chrominance: [1, 2], adobe: 2 },
  unknown: { ids: [1, 2], chrominance: [] },
};

export const hasChrominance = (colorSpace: ColorSpace): boolean =>
  COLOR_SPACES[colorSpace].chrominance.length > 0;

/**
 * The colour space of a file, by the rules of libjpeg (`default_decompress_parms`): the JFIF marker means YCbCr, the
 * Adobe marker says which, and without either the identifiers 'R', 'G', 'B' mean RGB.
 *
 * @param ids - the components' identifiers
 * @param jfif - whether the file has a JFIF APP0 segment
 * @param adobeTransform - the last byte of the Adobe APP14 segment, if there was one
 */
export function colorSpaceOf(
  ids: readonly number[],
  jfif: boolean,
  adobeTransform: number | undefined,
): ColorSpace {
  if (ids.length === 1) return "grayscale";
  if (ids.length === 3) {
    if (jfif) return "ycbcr";
    if (adobeTransform !== undefined) return adobeTransform === 0 ? "rgb" : "ycbcr";
    return ids[0] === 0x52 && ids[1] === 0x47 && ids[2] === 0x42 ? "rgb" : "ycbcr";
  }
  if (ids.length === 4) return adobeTransform === undefined || adobeTransform === 0 ? "cmyk" : "ycck";
  return "unknown";
}
