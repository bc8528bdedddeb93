import { createHash } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { JpegDomainError } from "../errors.js";
import { readOnnx, writeOnnx } from "../onnx/file.js";
import { float32, floats, type Graph } from "../onnx/graph.js";
import type { TrainingState } from "./trainer.js";

/** What must be the same for training to go on exactly as it would have. */
export interface RunSettings {
  data: string;
  samples: number;
  batch: number;
  learningRate: number;
  /** How the learning rate goes on from there, and over how many steps where that matters. */
  schedule: string;
  seed: number;
}

export interface HistoryEntry {
  /** From 1. */
  epoch: number;
  /** Steps taken, this one included. */
  step: number;
  /** Mean loss of this step's batch. */
  loss: number;
  /** Share of the test set, at the end of an epoch. */
  testAccuracy?: number;
}

export interface Checkpoint {
  settings: RunSettings;
  history: HistoryEntry[];
  state: TrainingState;
  /** The classifier as it was. */
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
 * Writes a checkpoint: an ONNX file of the classifier as it is, which any ONNX Runtime can run, with the training
 * state as further constants. The file is complete or, if this fails or is cut off, as it was before.
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { settings, history, state, model } = checkpoint;
  const description = { version: 1, settings, step: state.step, history, sha256: digest(state) };
  const bytes = writeOnnx({
    ...model,
    initializers: new Map([
      ...model.initializers,
      ...VECTORS.map((name) => [prefixed(name), float32(state[name])] as const),
    ]),
    metadata: new Map([...model.metadata, [METADATA, JSON.stringify(description)]]),
  });
  await writeAtomically(path, bytes);
}

/** Writes a file beside `path` and moves it there once it is on the disk. */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new JpegDomainError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads a checkpoint.
 * @param settings - of the run that is to go on
 * @param fresh - a state of that run, for the lengths of its vectors
 * @throws {CheckpointError} where the file is missing, damaged, or of a run with other settings or another network
 */
export async function readCheckpoint(
  path: string,
  settings: RunSettings,
  fresh: TrainingState,
): Promise<Checkpoint> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const reason =
      cause.code === "ENOENT" ? "no such file; without --resume training starts anew" : cause.message;
    throw new CheckpointError(path, reason, { cause });
  });
  const checkpoint = parse(path, bytes);
  for (const [name, wanted] of Object.entries(settings)) {
    const found = checkpoint.settings[name as keyof RunSettings];
    if (found !== wanted)
      throw new CheckpointError(path, `is of a run with ${name} ${found}, this one has ${name} ${wanted}`);
  }
  for (const name of VECTORS) {
    const [found, wanted] = [checkpoint.state[name].length, fresh[name].length];
    if (found !== wanted)
      throw new CheckpointError(
        path,
        `is of another network: it has ${found} numbers of ${name}, this one has ${wanted}`,
      );
  }
  return checkpoint;
}

function parse(path: string, bytes: Uint8Array): Checkpoint {
  const damaged = (reason: string, cause?: unknown) =>
    new CheckpointError(path, `is damaged: ${reason}`, { cause });
  let graph: Graph;
  try {
    graph = readOnnx(bytes);
  } catch (error) {
    throw damaged((error as Error).message, error);
  }
  const text = graph.metadata.get(METADATA);
  if (text === undefined)
    throw new CheckpointError(path, "is a model without training state, expected one that train has written");
  const { version, settings, step, history, sha256 } = JSON.parse(text);
  if (version !== 1) throw new CheckpointError(path, `has version ${version}, expected 1`);
  const vector = (name: (typeof VECTORS)[number]) => {
    const constant = graph.initializers.get(prefixed(name));
    if (constant === undefined) throw damaged(`it lacks ${prefixed(name)}`);
    return floats(constant);
  };
  const state: TrainingState = {
    parameters: vector("parameters"),
    moment1: vector("moment1"),
    moment2: vector("moment2"),
    statistics: vector("statistics"),
    step,
  };
  if (digest(state) !== sha256) throw damaged("its numbers do not match their checksum");
  for (const name of VECTORS) graph.initializers.delete(prefixed(name));
  graph.metadata.delete(METADATA);
  return { settings, history, state, model: graph };
}

function digest(state: TrainingState): string {
  const hash = createHash("sha256").update(String(state.step));
  for (const name of VECTORS) hash.update(new Uint8Array(state[name].slice().buffer));
  return hash.digest("hex");
}
