/** A JPEG file as its quantised DCT coefficients. */
export interface JpegImage {
  /** In pixels. */
  width: number;
  height: number;
  progressive: boolean;
  colorSpace: ColorSpace;
  components: JpegComponent[];
  /** APPn and COM segments in the file's order, where they were kept. */
  segments?: JpegSegment[];
}

export type ColorSpace = "grayscale" | "ycbcr" | "rgb" | "cmyk" | "ycck";

/** An application or comment segment, such as EXIF (APP1) or an ICC profile (APP2). */
export interface JpegSegment {
  /** `0xe0` (APP0) to `0xef` (APP15), or `0xfe` (COM). */
  marker: number;
  /** What follows the length, at most 65,533 bytes. */
  data: Uint8Array;
}

export interface JpegComponent {
  /** The identifier in the file's frame header. */
  id: number;
  /** 1 to 4, relative to the other components'. */
  horizontalSampling: number;
  verticalSampling: number;
  /** `ceil(component size / 8)`, without the padding blocks of the last MCU. */
  blocksWide: number;
  blocksHigh: number;
  /** 64 entries, zigzag order, as in the file. */
  quantization: Uint16Array;
  /** `[blocksHigh, blocksWide, 64]`, zigzag order, quantised, DC prediction undone. */
  coefficients: Int16Array;
}
