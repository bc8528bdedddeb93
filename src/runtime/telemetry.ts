/**
 * ONNX Runtime from 1.29 on sends what models and machines it runs on to its makers, other than on Windows, unless
 * ORT_DISABLE_TELEMETRY is set before the process's first session. What collects that also fails: it matches the whole
 * command line (/proc/self/cmdline) with a recursive std::regex, so that from about 24 kB on, as of `*.jpg` in a folder
 * of photographs, the stack overflows and the process ends with a segmentation fault.
 */
import { readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { JpegDomainError } from "../errors.js";

const SWITCH = "ORT_DISABLE_TELEMETRY";
/** Bytes of a command line that fit on the stack of any thread, with a margin. */
const SAFE_BYTES = 8192;

/**
 * To be called before a session is made.
 * @throws {JpegDomainError} where it would end the process: a thread cannot change the process's own environment.
 */
export function disableTelemetry(): void {
  if (process.env[SWITCH] === "1") return;
  const bytes = isMainThread ? 0 : commandLineBytes();
  if (bytes > SAFE_BYTES)
    throw new JpegDomainError(
      `the process's command line has ${bytes} bytes, by which ONNX Runtime's telemetry would fail in a worker thread; expected ${SWITCH}=1 in the process's environment`,
    );
  process.env[SWITCH] = "1";
}

function commandLineBytes(): number {
  try {
    return readFileSync("/proc/self/cmdline").length;
  } catch {
    // Only Linux has it, and only there it is read.
    return 0;
  }
}
