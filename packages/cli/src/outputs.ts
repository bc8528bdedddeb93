/** Writes the commands' files. An existing file is replaced only if it is of the kind that the command writes. */
import { accessSync, closeSync, constants, openSync, type Stats, statSync } from "node:fs";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import {
  checkCreatable,
  otherKind,
  readRegularFile,
  targetOf,
  writeAll,
  writeAtomically,
} from "@jpeg-domain/node/internal";
import { makeFolderOf, withFile } from "./files.js";

/** A kind of file, and how to recognise one by its bytes. */
export interface OutputKind {
  name: string;
  matches(bytes: Uint8Array): boolean;
}

const holds = (bytes: Uint8Array, text: string): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(text, 0, "latin1");
const begins = (bytes: Uint8Array, text: string): boolean => holds(bytes.subarray(0, text.length), text);
/** ONNX files start with field 1, the format's version as a varint. Metadata entries appear with their names. */
const isOnnxWith = (bytes: Uint8Array, entry: string): boolean => bytes[0] === 0x08 && holds(bytes, entry);

/** The metadata entry as protobuf encodes it: the name's length before the name, the value's field after it. */
const isConverted = (bytes: Uint8Array): boolean => isOnnxWith(bytes, "\x0bjpeg-domain\x12");

export const KINDS = {
  converted: {
    name: "a model that convert wrote",
    matches: isConverted,
  },
  trained: {
    name: "a model that train wrote",
    matches: (bytes) => isOnnxWith(bytes, "jpeg-domain train ") && !isConverted(bytes),
  },
  checkpoint: { name: "a checkpoint", matches: (bytes) => isOnnxWith(bytes, "checkpoint.parameters") },
  npz: { name: "an .npz file", matches: (bytes) => begins(bytes, "PK\x03\x04") },
  png: { name: "a PNG file", matches: (bytes) => begins(bytes, "\x89PNG\r\n") },
  results: { name: "results of demo", matches: (bytes) => begins(bytes, '{\n  "dataset": ') },
  report: {
    name: "a report of demo",
    matches: (bytes) =>
      begins(bytes, "<!DOCTYPE html>") && /content="jpeg-domain"|<title>Inference on JPEG/.test(start(bytes)),
  },
} satisfies Record<string, OutputKind>;

const start = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 1000)).toString("latin1");

/** For a file that is only read here, and that its reader checks. */
export const ANY_KIND: OutputKind = { name: "any file", matches: () => true };

/** Whether a path names standard output. Then the file's bytes go there, and messages go to standard error. */
export const isStandardOutput = (path: string): boolean =>
  ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].includes(path);

/**
 * Checks before the work that its result can be written, and makes the folder.
 * @param inputs - files that the work reads and must not replace
 * @returns whether there is a file now, which will be replaced
 * @throws {JpegDomainError} if the file cannot be written, or is of another kind
 */
export async function checkOutput(
  path: string,
  kind: OutputKind,
  inputs: readonly string[] = [],
): Promise<boolean> {
  if (isStandardOutput(path)) {
    if (process.stdout.isTTY)
      throw new JpegDomainError(`${path}: it is a terminal, expected a file or a pipe`);
    return false;
  }
  await makeFolderOf(path);
  return withFile(path, () => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isCharacterDevice()) return false;
    const other = stats && otherKind(stats);
    if (other !== undefined) throw new JpegDomainError(`it is ${other}, expected a file`);
    if (stats !== undefined) checkReplaceable(path, stats, kind, inputs);
    checkCreatable(path);
    return stats !== undefined && stats.size > 0;
  });
}

function checkReplaceable(path: string, stats: Stats, kind: OutputKind, inputs: readonly string[]): void {
  for (const input of inputs) {
    const other = statSync(input, { throwIfNoEntry: false });
    if (other?.dev === stats.dev && other.ino === stats.ino)
      throw new JpegDomainError(`it is the input ${input}, expected another path`);
  }
  if (stats.size > 0 && !kind.matches(readRegularFile(path)))
    throw new JpegDomainError(`it holds something else, expected a new path or ${kind.name}`);
  accessSync(path, constants.W_OK);
}

/**
 * Writes a file whole or not at all, and makes its folder.
 * @param kind - as for {@link checkOutput}
 * @throws {JpegDomainError} as {@link checkOutput} does, and if writing fails
 */
export async function writeOutput(
  path: string,
  content: string | Uint8Array,
  kind: OutputKind,
  inputs: readonly string[] = [],
): Promise<void> {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  if (isStandardOutput(path)) return writeStandardOutput(bytes);
  await checkOutput(path, kind, inputs);
  await withFile(path, () => {
    if (statSync(path, { throwIfNoEntry: false })?.isCharacterDevice()) writeDevice(path, bytes);
    else writeAtomically(path, bytes);
  });
}

function writeDevice(path: string, bytes: Uint8Array): void {
  const file = openSync(targetOf(path), constants.O_WRONLY | (constants.O_NOCTTY ?? 0));
  try {
    writeAll(file, bytes);
  } finally {
    closeSync(file);
  }
}

const writeStandardOutput = (bytes: Uint8Array): Promise<void> =>
  new Promise((done) => {
    process.stdout.write(bytes, () => done());
  });
