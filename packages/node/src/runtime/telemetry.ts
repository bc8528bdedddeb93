/**
 * Turns off ONNX Runtime's telemetry. From version 1.29 on, except on Windows, it reports models and machines to its
 * makers unless ORT_DISABLE_TELEMETRY is set before the process's first session. It can also crash: it matches the whole
 * command line (/proc/self/cmdline) with a recursive std::regex. From about 24 kB on, which `*.jpg` reaches in a large
 * folder, the stack overflows and the process ends with a segmentation fault.
 */
import { readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { JpegDomainError } from "@jpeg-domain/coefficients";

const SWITCH = "ORT_DISABLE_TELEMETRY";
/** The longest command line, in bytes, that is safe on any thread's stack, with a margin. */
const SAFE_BYTES = 8192;

/**
 * Call this before a session is created.
 * @throws {JpegDomainError} if the session would crash the process: a thread cannot change the process's environment
 */
export function disableTelemetry(): void {
  if (process.env[SWITCH] === "1") return;
  const bytes = isMainThread ? 0 : commandLineBytes();
  if (bytes > SAFE_BYTES)
    throw new JpegDomainError(
      `the process's command line has ${bytes} bytes, with which ONNX Runtime's telemetry would crash in a worker thread; expected ${SWITCH}=1 in the process's environment`,
    );
  process.env[SWITCH] = "1";
}

function commandLineBytes(): number {
  try {
    return readFileSync("/proc/self/cmdline").length;
  } catch {
    // Only Linux has this file, and telemetry reads it only there.
    return 0;
  }
}
