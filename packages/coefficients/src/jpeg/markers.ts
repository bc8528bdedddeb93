/** Marker codes: T.81, table B.1. Each stands after a byte 0xff. */
export const SOF0 = 0xc0;
export const SOF1 = 0xc1;
export const SOF2 = 0xc2;
export const SOF9 = 0xc9;
export const SOF10 = 0xca;
export const DHT = 0xc4;
export const DAC = 0xcc;
export const RST0 = 0xd0;
export const RST7 = 0xd7;
export const SOI = 0xd8;
export const EOI = 0xd9;
export const SOS = 0xda;
export const DQT = 0xdb;
export const DNL = 0xdc;
export const DRI = 0xdd;
export const APP0 = 0xe0;
export const APP1 = 0xe1;
export const APP2 = 0xe2;
export const APP14 = 0xee;
export const APP15 = 0xef;
export const COM = 0xfe;
export const TEM = 0x01;

/** What this package does not read, by the marker that announces it. */
export const UNSUPPORTED = new Map([
  [0xc3, "lossless Huffman coding (SOF3)"],
  [0xc5, "hierarchical sequential coding (SOF5)"],
  [0xc6, "hierarchical progressive coding (SOF6)"],
  [0xc7, "hierarchical lossless coding (SOF7)"],
  [0xc8, "a JPEG extension (JPG)"],
  [0xcb, "lossless arithmetic coding (SOF11)"],
  [0xcd, "hierarchical arithmetic coding (SOF13)"],
  [0xce, "hierarchical progressive arithmetic coding (SOF14)"],
  [0xcf, "hierarchical lossless arithmetic coding (SOF15)"],
  [0xde, "a hierarchical progression (DHP)"],
  [0xdf, "a hierarchical expansion (EXP)"],
  [0xf7, "JPEG-LS coding (SOF55)"],
]);

const NAMES = new Map([
  [SOF0, "SOF0"],
  [SOF1, "SOF1"],
  [SOF2, "SOF2"],
  [SOF9, "SOF9"],
  [SOF10, "SOF10"],
  [DHT, "DHT"],
  [DAC, "DAC"],
  [SOI, "SOI"],
  [EOI, "EOI"],
  [SOS, "SOS"],
  [DQT, "DQT"],
  [DNL, "DNL"],
  [DRI, "DRI"],
  [COM, "COM"],
  [TEM, "TEM"],
]);

/** Such as `SOS (0xffda)`. */
export function markerName(code: number): string {
  const name =
    code >= APP0 && code <= APP15
      ? `APP${code - APP0}`
      : code >= RST0 && code <= RST7
        ? `RST${code - RST0}`
        : NAMES.get(code);
  const hex = `0xff${code.toString(16).padStart(2, "0")}`;
  return name === undefined ? `marker ${hex}` : `${name} (${hex})`;
}
