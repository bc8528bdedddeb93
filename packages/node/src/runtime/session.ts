import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type Graph, writeOnnx } from "@jpeg-domain/conversion";
import { InferenceSession } from "onnxruntime-node";
import { disableTelemetry } from "./telemetry.js";

export type SessionOptions = InferenceSession.SessionOptions;

/**
 * Opens a model in ONNX Runtime. Operators run one after another, each on all cores, and an arena keeps memory between
 * runs: both measured faster than the alternatives on networks of this size.
 * @throws {JpegDomainError} if ONNX Runtime refuses the model, or would crash: see ./telemetry.ts
 */
export async function openSession(
  model: Uint8Array | string | Graph,
  options: SessionOptions = {},
): Promise<InferenceSession> {
  const file =
    typeof model === "string" ? model : model instanceof Uint8Array ? unshared(model) : writeOnnx(model);
  disableTelemetry();
  const defaults: SessionOptions = {
    executionMode: "sequential",
    enableCpuMemArena: true,
    // Errors are thrown; by default ONNX Runtime prints them too.
    logSeverityLevel: 4,
  };
  // By default its threads spin for a while after a run, and take the cores from other work.
  const session = { force_spinning_stop: "1", ...(options.extra?.session as object | undefined) };
  try {
    const settings = { ...defaults, ...options, extra: { ...options.extra, session } };
    // One overload for each type.
    return await (typeof file === "string"
      ? InferenceSession.create(file, settings)
      : InferenceSession.create(file, settings));
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    throw new JpegDomainError(`ONNX Runtime refuses the model: ${reason}`);
  }
}

/** ONNX Runtime takes no shared memory. */
const unshared = (bytes: Uint8Array): Uint8Array =>
  bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes;
