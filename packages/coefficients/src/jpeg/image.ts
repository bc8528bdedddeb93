/** A JPEG file as its quantised DCT coefficients. */
export interface JpegImage {
  /** In pixels. */
  width: number;
  height: number;
  progressive: boolean;
  /** Whether the file was arithmetic coded. Files are written with Huffman codes. */
  arithmetic?: boolean;
  colorSpace: ColorSpace;
  components: JpegComponent[];
  /** How many coefficients each block has, the first ones in zigzag order: 64 unless fewer were asked for. */
  coefficientsPerBlock?: number;
  /** MCUs between two restart markers in the last scan read; 0 for none. */
  restartInterval?: number;
  /** The scans that were read, in the order of the file. */
  scans?: JpegScan[];
  /** EXIF orientation, 1 to 8, if the file has one. */
  orientation?: number;
  /** The ICC profile, put together from its APP2 segments, if the file has one. */
  iccProfile?: Uint8Array;
  /** Comments and APP segments in the order of the file, if they were asked for. */
  segments?: JpegSegment[];
  /**
   * With `tolerant`: what was damaged or missing, and was read as libjpeg reads it. Empty for a sound file. At most the
   * first 100 places are described.
   */
  damage?: JpegDamage[];
  /** With `tolerant`: how many places were damaged in all. */
  damageCount?: number;
  /** Present if a progressive file ends before its low frequencies are complete. libjpeg smooths its pixels then. */
  unfinished?: JpegUnfinished;
}

/** `unknown`: two components. No marker says what they mean. */
export type ColorSpace = "grayscale" | "ycbcr" | "rgb" | "cmyk" | "ycck" | "unknown";

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

/** A scan header (T.81, B.2.3). */
export interface JpegScan {
  /** Indices into `components`. */
  components: number[];
  /** First and last coefficient, Ss and Se. */
  spectralStart: number;
  spectralEnd: number;
  /** Bit positions of successive approximation, Ah and Al. */
  approximationHigh: number;
  approximationLow: number;
  /** Where its entropy-coded bytes begin in the file. */
  offset: number;
}

/** A comment (COM, 0xfe) or application segment (APP0 to APP15, 0xe0 to 0xef). */
export interface JpegSegment {
  marker: number;
  /** Without the marker and the length. A view of the file's bytes. */
  data: Uint8Array;
}

/** One damaged place. */
export interface JpegDamage {
  /** What was found, and what was expected. */
  message: string;
  /** Byte in the file. */
  offset: number;
  /** Index of the scan it is in, if it is in one. */
  scan?: number;
}

/** How far the scans of a progressive file come that end too early. */
export interface JpegUnfinished {
  /**
   * The lowest bit that the scans give of each component's first 10 coefficients, zigzag order; -1 if they give none.
   */
  bits: Int8Array[];
  /** The same before the component's last scan. */
  before: Int8Array[];
  /** The row of whole MCUs in which the last scan's data ended. `before` is right for the rows below it. */
  lastRow: number;
}
