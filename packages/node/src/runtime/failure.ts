import { JpegDomainError, JpegError, UnsupportedJpegError } from "@jpeg-domain/coefficients";
import { FileKindError } from "./read-file.js";

/** What the system's error codes mean for a file operation. */
const REASONS: Record<string, string> = {
  ENOENT: "no such file",
  EISDIR: "it is a folder, expected a file",
  ENOTDIR: "part of the path is a file, expected a folder",
  EEXIST: "part of the path is a file, expected a folder",
  EACCES: "no permission",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
  EPERM: "it is not permitted",
  EDQUOT: "no space left for this user",
  EFBIG: "the file would be larger than is allowed",
  EIO: "the device failed",
  ELOOP: "its links form a loop",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "its name is too long",
  ENXIO: "it is a socket or a device, expected a file",
  EBUSY: "it is in use",
  ETXTBSY: "it is in use",
  ERR_INVALID_ARG_VALUE: "its name contains a zero byte, expected a path",
};

/** JavaScript's messages for arrays and strings that are too large. (A negative length would be our bug.) */
const TOO_LARGE = /allocation failed|Invalid (typed array|array buffer|string) length(: \d+)?$/;

/** Why a file operation failed, in a few words; `undefined` for an unknown reason. */
function systemReason(error: unknown): string | undefined {
  if (error instanceof FileKindError) return error.message;
  if (error instanceof RangeError && TOO_LARGE.test(error.message))
    return "it needs more memory than there is";
  const { code = "", path } = error as NodeJS.ErrnoException;
  // Node puts this character in place of bytes that are not UTF-8, and then cannot find the file.
  if (code === "ENOENT" && path?.includes("\ufffd"))
    return "no such file; files whose names are not UTF-8 cannot be read";
  return REASONS[code];
}

/** A file system error as one line with the path; any other error as it is. */
export function fileFailure(error: unknown, path: string): unknown {
  const reason = systemReason(error);
  return reason === undefined ? error : new JpegDomainError(`${path}: ${reason}`);
}

/** Turns anything thrown into the error of one file. */
export function describeFailure(thrown: unknown): Error {
  // A pool does not send the class FileKindError, so the error has the same class on every thread.
  if (thrown instanceof JpegDomainError && !(thrown instanceof FileKindError)) return thrown;
  const reason = systemReason(thrown);
  if (reason !== undefined) return new JpegDomainError(reason);
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** An error as plain fields, some of which structured cloning would drop. */
export interface SentError {
  kind: string;
  message: string;
  offset?: number;
  marker?: number;
}

export function sendError(error: Error): SentError {
  const { offset, marker } = error as Partial<JpegError>;
  const kind = error instanceof JpegDomainError ? error.name : "";
  return {
    kind,
    message: error.message,
    ...(offset !== undefined && { offset }),
    ...(marker !== undefined && { marker }),
  };
}

export function receiveError({ kind, message, offset = 0, marker }: SentError): Error {
  if (kind === "JpegError") return new JpegError(message, offset, marker);
  if (kind === "UnsupportedJpegError") return new UnsupportedJpegError(message, offset, marker);
  return kind === "" ? new Error(message) : new JpegDomainError(message);
}
