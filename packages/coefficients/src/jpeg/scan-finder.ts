import { BAND, SLACK } from "./assembly/decode-layout.js";
import { reaches, type Steps } from "./beginning.js";
import type { Engine } from "./engine.js";
import type { Frame, Headers, ScanHeader } from "./headers.js";
import { reserve } from "./program.js";
import type { RowRange } from "./row-starts.js";

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
  /** What is read of the only scan, if not all. */
  readonly #range: RowRange | undefined;
  readonly #ends = new Map<number, number>();
  /** The offset in the file up to which it is in memory. */
  #loaded: number;

  /**
   * @param first - the offset of the first scan's entropy-coded bytes
   * @param range - the rows that are decoded of the only scan, if not all
   */
  constructor(engine: Engine, headers: Headers, first: number, frame: Frame, range?: RowRange) {
    const start = range?.from.offset ?? first;
    this.#engine = engine;
    this.#headers = headers;
    this.#range = range;
    this.#loaded = start;
    this.rows = Math.ceil(frame.height / (8 * frame.maxVertical));
    let rowBytes = 0;
    for (const { blocksWide, verticalSampling } of frame.components)
      rowBytes += blocksWide * verticalSampling * 128;
    this.rowsInBand = Math.min(this.rows, Math.max(1, Math.floor(BAND_BYTES / rowBytes)));
    const band = this.rowsInBand * rowBytes;
    this.base = BAND + ((band + 63) & ~63) - start;
    reserve(engine, this.base + start + Math.min(PIECE, this.#end - start) + SLACK);
  }

  /** The offset after the last byte that may be read. Reading the headers can make the file longer. */
  get #end(): number {
    return this.#range?.to?.offset ?? this.#headers.bytes.length;
  }

  /** Where in the file the scan's entropy-coded bytes end. */
  *endOf(scan: ScanHeader): Steps<number> {
    let from = this.#range?.from.offset ?? scan.offset;
    for (;;) {
      if (from + 1 >= this.#loaded && (yield* reaches(this.#headers, this.#loaded + 1))) this.#load();
      const found = this.#engine.exports.findScanEnd(this.base + from, this.base + this.#loaded) >>> 0;
      const end = found - this.base;
      const { bytes, isWhole } = this.#headers;
      if (end < this.#loaded || (isWhole && this.#loaded === bytes.length)) {
        this.#ends.set(scan.offset, end);
        return end;
      }
      // The last byte may be the 0xff of a marker.
      from = Math.max(from, this.#loaded - 1);
    }
  }

  /** Addresses of the scan's entropy-coded bytes, whose end was found. */
  addresses(scan: ScanHeader): readonly [from: number, to: number] {
    const { from, to } = this.#range ?? {};
    while (to && this.#loaded < to.offset) this.#load();
    const end = to?.offset ?? (this.#ends.get(scan.offset) as number);
    return [this.base + (from ?? scan).offset, this.base + end];
  }

  #load(): void {
    const { bytes } = this.#headers;
    const to = Math.min(this.#end, this.#loaded + PIECE);
    reserve(this.#engine, this.base + to + SLACK);
    this.#engine.u8.set(bytes.subarray(this.#loaded, to), this.base + this.#loaded);
    this.#loaded = to;
  }
}
