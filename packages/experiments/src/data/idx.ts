import { type FileHandle, open, stat } from "node:fs/promises";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { checkRegular, OPEN_FLAGS } from "@jpeg-domain/node/internal";

/**
 * The IDX format of the MNIST files (http://yann.lecun.com/exdb/mnist), big endian:
 * two zero bytes, the element type, the rank, one uint32 per dimension, the elements in row-major order.
 */
const UNSIGNED_BYTE = 0x08;
const MAGIC_BYTES = 4;
const DIMENSION_BYTES = 4;

/** More than any published set of this kind (EMNIST by class has 0.64 GB), and still an ordinary allocation. */
export const MAX_IDX_BYTES = 2 ** 30;

/** An IDX file's content: unsigned bytes in row-major order over `dims`. */
export interface Idx {
  dims: number[];
  data: Uint8Array;
}

/** A data set's file or folder is missing, damaged, or of another kind. */
export class IdxError extends JpegDomainError {
  override name = "IdxError";

  /**
   * @param file - path of the file or folder
   * @param offset - byte of the error, counted in the uncompressed content
   */
  constructor(
    readonly file: string,
    readonly offset: number,
    found: string,
    expected: string,
    options?: ErrorOptions,
  ) {
    super(`${file}, byte ${offset}: found ${found}, expected ${expected}`, options);
  }
}

/**
 * Reads an IDX file of unsigned bytes, gzipped or not (its first bytes decide, not its name). Memory is bounded by the
 * size in the header, however much a compressed file unpacks to.
 *
 * @param path - the file
 * @param rank - the required number of dimensions: 1 for labels, 3 for images; any if left out
 * @throws {@link IdxError} if the file cannot be read or is not a complete, undamaged IDX file of that rank
 */
export async function readIdx(path: string, rank?: number): Promise<Idx> {
  const handle = await openRegular(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const gzip = await isGzip(handle, path);
    const stored = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 20 });
    const content = gzip ? pipeline(stored, createGunzip(), () => {}) : stored;
    try {
      return await parse(takeFrom(content, path, gzip), path, rank);
    } finally {
      stored.destroy();
      content.destroy();
    }
  } finally {
    await handle.close();
  }
}

/** Opens a regular file. A pipe might never start, and a device might never end. */
async function openRegular(path: string): Promise<FileHandle> {
  checkRegular(await stat(path));
  return open(path, OPEN_FLAGS);
}

async function isGzip(handle: FileHandle, path: string): Promise<boolean> {
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Fills an array with the next bytes of the content, and returns how many there were. */
type Take = (into: Uint8Array) => Promise<number>;

function takeFrom(content: Readable, path: string, gzip: boolean): Take {
  const chunks = content[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let rest: Uint8Array = new Uint8Array(0);
  let received = 0;
  const next = async (): Promise<boolean> => {
    try {
      const chunk = await chunks.next();
      if (chunk.done === true) return false;
      rest = chunk.value;
      received += rest.length;
      return true;
    } catch (error) {
      if (!gzip) throw unreadable(path, error);
      const found = `a damaged gzip stream (${reason(error)})`;
      throw new IdxError(path, received, found, "an undamaged gzip file", { cause: error });
    }
  };
  return async (into) => {
    let filled = 0;
    while (filled < into.length && (rest.length > 0 || (await next()))) {
      const part = rest.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return filled;
  };
}

async function parse(take: Take, path: string, rank: number | undefined): Promise<Idx> {
  const end = (offset: number, expected: string) =>
    new IdxError(path, offset, "the end of the file", expected);

  const magic = new Uint8Array(MAGIC_BYTES);
  const magicFound = await take(magic);
  if (magicFound < MAGIC_BYTES) throw end(magicFound, `a header of at least ${MAGIC_BYTES} bytes`);
  checkMagic(magic, path, rank);

  const sizes = new Uint8Array((magic[3] as number) * DIMENSION_BYTES);
  const headerBytes = MAGIC_BYTES + sizes.length;
  const sizesFound = await take(sizes);
  if (sizesFound < sizes.length) throw end(MAGIC_BYTES + sizesFound, `a header of ${headerBytes} bytes`);
  const view = new DataView(sizes.buffer);
  const dims = Array.from({ length: sizes.length / DIMENSION_BYTES }, (_, i) =>
    view.getUint32(i * DIMENSION_BYTES),
  );
  const size = dims.reduce((product, length) => product * length, 1);
  const shape = dims.join(" x ");
  if (size > MAX_IDX_BYTES) {
    throw new IdxError(path, MAGIC_BYTES, `dimensions ${shape}`, `at most ${MAX_IDX_BYTES} bytes in total`);
  }

  const data = new Uint8Array(size);
  const found = await take(data);
  if (found < size) throw end(headerBytes + found, `${size} bytes of data (${shape}), not ${found}`);
  if ((await take(new Uint8Array(1))) > 0) {
    throw new IdxError(
      path,
      headerBytes + size,
      "more bytes",
      `the end after ${size} bytes of data (${shape})`,
    );
  }
  return { dims, data };
}

function checkMagic(magic: Uint8Array, path: string, expectedRank: number | undefined): void {
  const [zero0 = 0, zero1 = 0, type = 0, rank = 0] = magic;
  if (zero0 !== 0 || zero1 !== 0) {
    throw new IdxError(
      path,
      zero0 === 0 ? 1 : 0,
      `bytes ${hex(zero0)} ${hex(zero1)}`,
      "an IDX file's 0x00 0x00",
    );
  }
  if (type !== UNSIGNED_BYTE) {
    throw new IdxError(path, 2, `element type ${hex(type)}`, `${hex(UNSIGNED_BYTE)} (unsigned byte)`);
  }
  if (rank === 0 || (expectedRank !== undefined && rank !== expectedRank)) {
    const expected = expectedRank === undefined ? "rank 1 or more" : describeRank(expectedRank);
    throw new IdxError(path, 3, describeRank(rank), expected);
  }
}

function describeRank(rank: number): string {
  const kind = rank === 1 ? " (a labels file)" : rank === 3 ? " (an images file)" : "";
  return `rank ${rank}${kind}`;
}

function unreadable(path: string, error: unknown): IdxError {
  return new IdxError(path, 0, `no readable file (${reason(error)})`, "an IDX file", { cause: error });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.replaceAll("\n", " ") : String(error);
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
