/** What callers hand over as files: told apart before any of it is used, and copied before it leaves a thread. */
import { types } from "node:util";
import { JpegDomainError } from "../errors.js";

/** Why an item is no file, `undefined` where it is one. Callers without types hand over anything. */
export function sourceFailure(source: unknown): JpegDomainError | undefined {
  // Not instanceof: arrays of another realm (node:vm, a test runner) are as good.
  const isBytes = types.isUint8Array(source);
  if (typeof source === "string" || (isBytes && !wasMoved(source))) return undefined;
  const found = isBytes ? "bytes whose memory was transferred elsewhere" : describe(source);
  return new JpegDomainError(`the item is ${found}, expected a JPEG file: a Uint8Array or a path`);
}

/** Whether postMessage or `transfer` took the memory: the array is empty then, and its memory cannot be looked at. */
function wasMoved({ length, buffer }: Uint8Array): boolean {
  if (length > 0) return false;
  try {
    return new Uint8Array(buffer).length < 0;
  } catch {
    return true;
  }
}

/** The list of files that was asked for. A text or bytes could be walked as well, letter by letter. */
export function checkFiles(name: string, files: unknown): void {
  const isList =
    typeof files === "object" &&
    files !== null &&
    !ArrayBuffer.isView(files) &&
    (Symbol.iterator in files || Symbol.asyncIterator in files);
  if (!isList) throw new JpegDomainError(`${name} was given ${describe(files)}, expected a list of files`);
}

/**
 * The bytes in memory of their own, whatever they are a view of: the pool that Node's small Buffers share, shared
 * memory, a part of a larger array. A Buffer's `slice` would be a view.
 * @throws {TypeError} where they were transferred to another thread.
 */
export const ownBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

function describe(value: unknown): string {
  if (typeof value === "number" || value === null || value === undefined) return String(value);
  if (typeof value === "string") return "a text";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = classOf(value);
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** What an object calls itself, without running code of its own. */
function classOf(value: object): string {
  if (types.isProxy(value)) return "Proxy";
  const owner = Object.getPrototypeOf(value) as object | null;
  const made: unknown = owner && Object.getOwnPropertyDescriptor(owner, "constructor")?.value;
  return (typeof made === "function" && made.name) || "Object";
}
