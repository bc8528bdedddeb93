/** Checks what callers pass as files before it is used, and copies it before it goes to another thread. */
import { types } from "node:util";
import { type ByteSource, JpegDomainError } from "@jpeg-domain/coefficients";

/** Why an item is not a file; `undefined` if it is one. JavaScript callers may pass anything. */
export function sourceFailure(source: unknown): JpegDomainError | undefined {
  // Not instanceof: arrays from another realm (node:vm, a test runner) are valid too.
  const isBytes = types.isUint8Array(source);
  if (typeof source === "string" || (isBytes && !wasMoved(source))) return undefined;
  const found = isBytes ? "bytes whose memory was transferred elsewhere" : describe(source);
  return new JpegDomainError(
    `the item is ${found}, expected a JPEG file: a Uint8Array, a path, a Blob or a stream of bytes`,
  );
}

/** Whether an item is bytes or a path. */
export const isFile = (source: unknown): source is Uint8Array | string =>
  typeof source === "string" || types.isUint8Array(source);

/** Whether an item gives its bytes in pieces: a Blob, a ReadableStream or an async iterable. */
export function comesInPieces(source: unknown): source is ByteSource {
  if (typeof source !== "object" || source === null || ArrayBuffer.isView(source)) return false;
  if (Symbol.asyncIterator in source) return true;
  const { getReader, size, slice, arrayBuffer } = source as Record<string, unknown>;
  const isBlob =
    typeof size === "number" && [slice, arrayBuffer].every((method) => typeof method === "function");
  return typeof getReader === "function" || isBlob;
}

/** Whether postMessage or `transfer` took the memory. The array is then empty, and using its buffer throws. */
function wasMoved({ length, buffer }: Uint8Array): boolean {
  if (length > 0) return false;
  try {
    return new Uint8Array(buffer).length < 0;
  } catch {
    return true;
  }
}

/** Checks that `files` is a list of files. Strings and byte arrays are iterable too, so they are refused by name. */
export function checkFiles(name: string, files: unknown): void {
  const isList =
    typeof files === "object" &&
    files !== null &&
    !ArrayBuffer.isView(files) &&
    (Symbol.iterator in files || Symbol.asyncIterator in files);
  if (!isList) throw new JpegDomainError(`${name} was given ${describe(files)}, expected a list of files`);
}

/**
 * Copies bytes into new memory. They may be a view of Node's Buffer pool, of shared memory, or of a larger array. (A
 * Buffer's `slice` would be a view.)
 * @throws {TypeError} if they were transferred to another thread
 */
export const ownBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

function describe(value: unknown): string {
  if (typeof value === "number" || value === null || value === undefined) return String(value);
  if (typeof value === "string") return "a string";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = classOf(value);
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** The name of an object's class, found without running the object's code. */
function classOf(value: object): string {
  if (types.isProxy(value)) return "Proxy";
  const prototype = Object.getPrototypeOf(value) as object | null;
  const maker: unknown = prototype && Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return (typeof maker === "function" && maker.name) || "Object";
}
