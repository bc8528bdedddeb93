import { BAND, SLACK } from "./assembly/decode-layout.js";
import type { Engine } from "./engine.js";
import type { Frame, Headers, ScanHeader } from "./headers.js";
import { reserve } from "./program.js";

/** The size of a band. All scans of its rows are decoded together, so it should fit in the processor's cache. */
const BAND_BYTES = 2 ** 18;
/** The file is loaded into the engine's memory in pieces of this size, as far as it is needed. */
const PIECE = 2 ** 19;

/**
 * Loads the file's bytes into the engine's memory, after the band, and finds where each scan ends.
 */
export class ScanFinder {
  /** Rows of whole MCUs in the band, each 8 · the largest vertical sampling pixels high. */
  readonly rowsInBand: number;
  /** The same in the image. */
  readonly rows: number;
  /** The address that byte 0 of the file would have. Only the bytes from the first scan on are in memory. */
  readonly base: number;
  readonly #engine: Engine;
  readonly #headers: Headers;
  readonly #ends = new Map<number, number>();
  /** The offset in the file up to which it is in memory. */
  #loaded: number;

  constructor(engine: Engine, headers: Headers, start: number, frame: Frame) {
    this.#engine = engine;
    this.#headers = headers;
    this.#loaded = start;
    this.rows = Math.ceil(frame.height / (8 * frame.maxVertical));
    let rowBytes = 0;
    for (const { blocksWide, verticalSampling } of frame.components)
      rowBytes += blocksWide * verticalSampling * 128;
    this.rowsInBand = Math.min(this.rows, Math.max(1, Math.floor(BAND_BYTES / rowBytes)));
    const band = this.rowsInBand * rowBytes;
    this.base = BAND + ((band + 63) & ~63) - start;
    reserve(engine, this.base + start + Math.min(PIECE, headers.bytes.length - start) + SLACK);
  }

  /** Where in the file the scan's entropy-coded bytes end. */
  endOf(scan: ScanHeader): number {
    const { length } = this.#headers.bytes;
    let from = scan.offset;
    for (;;) {
      if (this.#loaded < length && from + 1 >= this.#loaded) this.#load();
      const found = this.#engine.exports.findScanEnd(this.base + from, this.base + this.#loaded) >>> 0;
      const end = found - this.base;
      if (end < this.#loaded || this.#loaded === length) {
        this.#ends.set(scan.offset, end);
        return end;
      }
      // The last byte may be the 0xff of a marker.
      from = Math.max(from, this.#loaded - 1);
    }
  }

  /** Addresses of the scan's entropy-coded bytes. */
  addresses(scan: ScanHeader): [from: number, to: number] {
    const end = this.#ends.get(scan.offset) ?? this.endOf(scan);
    return [this.base + scan.offset, this.base + end];
  }

  #load(): void {
    const { bytes } = this.#headers;
    const to = Math.min(bytes.length, this.#loaded + PIECE);
    reserve(this.#engine, this.base + to + SLACK);
    this.#engine.u8.set(bytes.subarray(this.#loaded, to), this.base + this.#loaded);
    this.#loaded = to;
  }
}
