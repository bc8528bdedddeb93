import type { ColorSpace } from "./image.js";

/**
 * The colour space of a file, by the rules of libjpeg (`default_decompress_parms`): the JFIF marker means YCbCr, the
 * Adobe marker says which, and without either the identifiers 'R', 'G', 'B' mean RGB.
 *
 * @param ids - the components' identifiers
 * @param jfif - whether a JFIF APP0 segment was seen
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
