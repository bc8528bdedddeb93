/** A JPEG file as its quantised DCT coefficients. */
export interface JpegImage {
  /** In pixels. */
  width: number;
  height: number;
  progressive: boolean;
  colorSpace: ColorSpace;
  components: JpegComponent[];
}

export type ColorSpace = "grayscale" | "ycbcr" | "rgb" | "cmyk" | "ycck";

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
