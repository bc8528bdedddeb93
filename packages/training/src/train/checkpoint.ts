import { createHash } from "node:crypto";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type Graph, readOnnx, writeOnnx } from "@jpeg-domain/conversion";
import { floats } from "@jpeg-domain/conversion/internal";
import { float32 } from "@jpeg-domain/conversion/onnx";
import { describeFailure, readRegularFile, writeAtomically } from "@jpeg-domain/node/internal";
import type { TrainingState } from "./trainer.js";

/** What must be the same so that resumed training gives exactly the same result. */
export interface RunSettings {
  data: string;
  samples: number;
  batch: number;
  learningRate: number;
  /** How the learning rate changes, and over how many steps if that matters. */
  schedule: string;
  seed: number;
}

export interface HistoryEntry {
  /** From 1. */
  epoch: number;
  /** Steps taken, including this one. */
  step: number;
  /** Mean loss of this step's batch. */
  loss: number;
  /** Share of the test set that is correct, at the end of an epoch. */
  testAccuracy?: number;
}

export interface Checkpoint {
  settings: RunSettings;
  history: HistoryEntry[];
  state: TrainingState;
  /** The classifier at that step. */
  model: Graph;
}

/** A checkpoint that cannot be read or belongs to another run. */
export class CheckpointError extends JpegDomainError {
  override name = "CheckpointError";
  constructor(
    readonly path: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`checkpoint ${path}: ${reason}`, options);
  }
}

const METADATA = "checkpoint";
const VECTORS = ["parameters", "moment1", "moment2", "statistics"] as const;
const prefixed = (name: string) => `checkpoint.${name}`;

/**
 * Writes a checkpoint: an ONNX file of the classifier, which any ONNX Runtime can run, with the training state as extra
 * constants. After a failure or interruption the old file is still there. The checksum covers every byte of the file,
 * with zeros in place of the checksum itself.
 * @throws {JpegDomainError} if it cannot be written
 */
export function writeCheckpoint(path: string, checkpoint: Checkpoint): void {
  const { settings, history, state, model } = checkpoint;
  const description: Description = {
    version: VERSION,
    sha256: NO_DIGEST,
    settings,
    step: state.step,
    history,
  };
  const bytes = writeOnnx({
    ...model,
    initializers: new Map([
      ...model.initializers,
      ...VECTORS.map((name) => [prefixed(name), float32(state[name])] as const),
    ]),
    metadata: new Map([...model.metadata, [METADATA, JSON.stringify(description)]]),
  });
  const digest = createHash("sha256").update(bytes).digest("hex");
  bytes.set(Buffer.from(digest), digestOffset(bytes));
  writeAtomically(path, bytes);
}

/**
 * Reads a checkpoint.
 * @param settings - of the run that resumes
 * @param fresh - a state of that run, for the lengths of its vectors
 * @throws {CheckpointError} if the file is missing, damaged, or of a run with other settings or another network
 */
export function readCheckpoint(path: string, settings: RunSettings, fresh: TrainingState): Checkpoint {
  const checkpoint = parse(path, read(path));
  for (const [name, wanted] of Object.entries(settings)) {
    const found = checkpoint.settings[name as keyof RunSettings];
    if (found !== wanted)
      throw new CheckpointError(
        path,
        `is of a run with ${name} ${found}, but this run has ${name} ${wanted}`,
      );
  }
  for (const name of VECTORS) {
    const [found, wanted] = [checkpoint.state[name].length, fresh[name].length];
    if (found !== wanted)
      throw new CheckpointError(
        path,
        `is of another network: it has ${found} numbers in ${name}, but this network has ${wanted}`,
      );
  }
  return checkpoint;
}

/** A checkpoint's entry in the metadata, in this order. */
interface Description {
  version: number;
  sha256: string;
  settings: RunSettings;
  step: number;
  history: HistoryEntry[];
}

const VERSION = 2;
const NO_DIGEST = "0".repeat(64);
/** The text before the checksum. */
const DIGEST_MARK = JSON.stringify({ version: VERSION, sha256: "" }).slice(0, -2);

/** The position of the checksum, which is after the whole model; -1 if there is none. */
function digestOffset(bytes: Uint8Array): number {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).lastIndexOf(DIGEST_MARK);
  return at < 0 ? -1 : at + DIGEST_MARK.length;
}

/** Whether the bytes match their checksum; `undefined` if there is none. */
function matchesChecksum(bytes: Uint8Array): boolean | undefined {
  const offset = digestOffset(bytes);
  if (offset < 0) return undefined;
  const rest = offset + NO_DIGEST.length;
  const digest = createHash("sha256")
    .update(bytes.subarray(0, offset))
    .update(NO_DIGEST)
    .update(bytes.subarray(rest))
    .digest("hex");
  return digest === Buffer.from(bytes.subarray(offset, rest)).toString("latin1");
}

function read(path: string): Uint8Array {
  try {
    return readRegularFile(path);
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = isMissing
      ? "no such file; without --resume, training starts from the beginning"
      : describeFailure(cause).message;
    throw new CheckpointError(path, reason, { cause });
  }
}

function parse(path: string, bytes: Uint8Array): Checkpoint {
  const damaged = (reason: string, cause?: unknown) =>
    new CheckpointError(path, `is damaged: ${reason}`, { cause });
  // Checked before the bytes are parsed.
  const isIntact = matchesChecksum(bytes);
  if (isIntact === false) throw damaged("its bytes do not match their checksum");
  let graph: Graph;
  try {
    graph = readOnnx(bytes);
  } catch (error) {
    throw damaged((error as Error).message.replace(/\s*\n\s*/g, " "), error);
  }
  const text = graph.metadata.get(METADATA);
  if (text === undefined)
    throw new CheckpointError(
      path,
      "is a model without training state, expected a checkpoint that train wrote",
    );
  const { version, settings, step, history } = describe(text, damaged);
  if (version !== VERSION) throw new CheckpointError(path, `has version ${version}, expected ${VERSION}`);
  if (isIntact === undefined) throw damaged("it has no checksum");
  const vector = (name: (typeof VECTORS)[number]) => {
    const constant = graph.initializers.get(prefixed(name));
    if (constant?.type !== "float32") throw damaged(`it has no ${prefixed(name)}`);
    return floats(constant);
  };
  const state: TrainingState = {
    parameters: vector("parameters"),
    moment1: vector("moment1"),
    moment2: vector("moment2"),
    statistics: vector("statistics"),
    step,
  };
  for (const name of VECTORS) graph.initializers.delete(prefixed(name));
  graph.metadata.delete(METADATA);
  return { settings, history, state, model: graph };
}

function describe(text: string, damaged: (reason: string, cause?: unknown) => CheckpointError): Description {
  let value: Partial<Description>;
  try {
    value = (JSON.parse(text) ?? {}) as Partial<Description>;
  } catch (error) {
    throw damaged("its description is not JSON", error);
  }
  const { version, settings, step, history } = value;
  const isComplete =
    typeof settings === "object" && settings !== null && Number.isSafeInteger(step) && Array.isArray(history);
  if (version === VERSION && !isComplete) throw damaged("its description is incomplete");
  return value as Description;
}
