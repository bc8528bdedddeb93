/** Files that come piece by piece: a page's fetch, a chosen file, a stream. They are read as far as they are needed. */
import { JpegDomainError } from "../errors.js";
import { reaches, type Steps } from "./beginning.js";
import { collectScans } from "./collect-scans.js";
import { type Headers, type ScanHeader, startHeaders } from "./headers.js";
import { headerOf, type JpegHeader, type ReadOptions, readToFirstScan } from "./read.js";

/** A `Blob`: a `File` of a page, or what Node's `openAsBlob` gives. */
export interface ByteBlob {
  readonly size: number;
  slice(from: number, to: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** A `ReadableStream`, such as the body of a `fetch`. */
export interface ByteStream {
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
    cancel(): Promise<unknown>;
  };
}

/** What gives a file's bytes in pieces, one after another. */
export type ByteSource = ByteBlob | ByteStream | AsyncIterable<Uint8Array>;

export interface NeededOptions extends Pick<ReadOptions, "tolerant" | "maxPixels" | "maxScans"> {
  /** How many coefficients of each block will be read, or how to tell from the file's header; 64 by default. */
  coefficients?: number | ((header: JpegHeader) => number);
  /** The most bytes to read; 2^30 by default. */
  maxBytes?: number;
}

const MAX_BYTES = 2 ** 30;
/** A blob is read in pieces of at least this size, and of at least an eighth of what is read. */
const PIECE = 2 ** 15;

/**
 * Reads as much of a JPEG file's beginning as {@link readCoefficients} needs, given the same options. The result of the
 * beginning and of the whole file are the same, with the same damage or error. Only the file's end shows how far sequential
 * files go, but of a progressive file a small part can be enough.
 *
 * ```ts
 * const { body } = await fetch("photo.jpg");
 * const image = readCoefficients(await readNeeded(body, { coefficients: 1 }), { coefficients: 1 });
 * ```
 *
 * Once there is enough, a stream is cancelled, and an iterator gets `return`.
 *
 * @throws {JpegDomainError} if the source gives anything but bytes, or more than `maxBytes`; and whatever the source throws
 */
export async function readNeeded(source: ByteSource, options: NeededOptions = {}): Promise<Uint8Array> {
  const { tolerant = false, maxBytes = MAX_BYTES } = options;
  const headers = startHeaders({ bytes: new Uint8Array(0), isWhole: false }, tolerant, false);
  const steps = neededSteps(headers, options);
  const pieces = piecesOf(source);
  let bytes = new Uint8Array(PIECE);
  let length = 0;
  let isOver = false;
  try {
    while (!isEnough(steps)) {
      const { done, value } = await pieces.next();
      isOver = done === true;
      headers.isWhole = isOver;
      if (isOver) continue;
      checkPiece(value);
      if (length + value.length > maxBytes)
        throw new JpegDomainError(`the file has more than ${maxBytes} bytes, the limit maxBytes`);
      if (length + value.length > bytes.length) bytes = longer(bytes, length + value.length);
      bytes.set(value, length);
      length += value.length;
      headers.bytes = bytes.subarray(0, length);
    }
  } finally {
    if (!isOver) stop(pieces).catch(() => undefined);
  }
  return bytes.subarray(0, length);
}

/** Finds the scans that are needed, and where the last of them ends. */
function* neededSteps(headers: Headers, { coefficients = 64, ...options }: NeededOptions): Steps<void> {
  const start = yield* readToFirstScan(headers, options);
  const kept = typeof coefficients === "number" ? coefficients : coefficients(headerOf(start));
  const finder = { endOf: (scan: ScanHeader) => scanEnd(headers, scan) };
  yield* collectScans(headers, start.frame, start.first, finder, kept, false, options);
}

/** Runs a step. If the file has an error, the reader will find it in these bytes too. */
function isEnough(steps: Steps<void>): boolean {
  try {
    return steps.next().done === true;
  } catch (error) {
    if (error instanceof JpegDomainError) return true;
    throw error;
  }
}

/** As {@link ScanFinder.endOf}: the scan ends at the next marker that is not a restart's. */
function* scanEnd(headers: Headers, { offset }: ScanHeader): Steps<number> {
  for (let at = offset; ; ) {
    const { bytes } = headers;
    const found = bytes.indexOf(0xff, at);
    at = found < 0 ? bytes.length : found;
    if (at + 2 > bytes.length) {
      if (!(yield* reaches(headers, at + 2))) return headers.bytes.length;
      continue;
    }
    const code = bytes[at + 1] as number;
    if (code >= 0xc0 && code !== 0xff && (code & 0xf8) !== 0xd0) return at;
    at += code === 0xff ? 1 : 2;
  }
}

function checkPiece(value: unknown): asserts value is Uint8Array {
  // Not instanceof: arrays from another realm are valid too.
  const name = Object.prototype.toString.call(value).slice(8, -1);
  if (name !== "Uint8Array")
    throw new JpegDomainError(`the source gave a piece of type ${name}, expected Uint8Array`);
}

function longer(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(Math.max(2 * bytes.length, least));
  copy.set(bytes);
  return copy;
}

type Pieces = Pick<AsyncIterator<Uint8Array>, "next" | "return">;

/** Tells the source that no more is wanted. Nobody waits for that, or minds if it fails. */
async function stop(pieces: Pieces): Promise<void> {
  await pieces.return?.();
}

function piecesOf(source: ByteSource): Pieces {
  // Not every browser can iterate over a stream.
  if ("getReader" in source) return piecesOfStream(source);
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : piecesOfBlob(source);
}

function piecesOfStream(stream: ByteStream): Pieces {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
    return: async () => ({ done: true, value: await reader.cancel() }),
  };
}

async function* piecesOfBlob(blob: ByteBlob): AsyncGenerator<Uint8Array> {
  const { size } = blob;
  for (let from = 0; from < size; ) {
    const to = Math.min(size, from + Math.max(PIECE, from >> 3));
    const piece = new Uint8Array(await blob.slice(from, to).arrayBuffer());
    if (piece.length !== to - from)
      throw new JpegDomainError(`the blob gave ${piece.length} bytes, expected ${to - from}`);
    yield piece;
    from = to;
  }
}
