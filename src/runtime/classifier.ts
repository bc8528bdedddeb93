import { freemem } from "node:os";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import { type Metadata, readMetadata } from "../convert/metadata.js";
import { JpegDomainError } from "../errors.js";
import { readOnnx } from "../onnx/file.js";
import { compress } from "../transform/images.js";
import { openSession, type SessionOptions } from "./session.js";

/** A classifier of image planes, on pixels or on coefficients, ready to run. */
export interface Classifier {
  /** What the file says of its conversion; `undefined` for a spatial model. */
  metadata: Metadata | undefined;
  /** The planes it was made for. */
  channels: number;
  height: number;
  width: number;
  /**
   * Planes `[N, C, H, W]` as the model's own input: the same values for a spatial model, their coefficient tensor for
   * a converted one.
   */
  prepare(planes: Float32Array): Tensor;
  /** Logits `[N, classes]` of what {@link prepare} made. */
  run(input: Tensor): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a spatial or a converted classifier.
 * @throws {JpegDomainError} where the file is no such model, or would not fit into memory.
 */
export async function openClassifier(bytes: Uint8Array, options: SessionOptions = {}): Promise<Classifier> {
  const graph = readOnnx(bytes);
  const metadata = readMetadata(graph);
  if (metadata) checkMemory(metadata);
  const { channels, height, width } = metadata ?? spatialSize(graph.inputs[0]?.shape);
  const session = await openSession(bytes, options);
  const [input, output] = [session.inputNames[0], session.outputNames[0]] as [string, string];
  return {
    metadata,
    channels,
    height,
    width,
    prepare(planes) {
      const shape = [planes.length / (channels * height * width), channels, height, width];
      if (metadata === undefined) return new Tensor("float32", planes, shape);
      const { data, shape: grid } = compress(planes, shape, { table: metadata.table });
      return new Tensor("float32", data, grid);
    },
    run: (tensor) => logitsOf(session, input, output, tensor),
    close: () => session.release(),
  };
}

async function logitsOf(session: InferenceSession, input: string, output: string, tensor: Tensor) {
  const result = (await session.run({ [input]: tensor }))[output] as Tensor;
  if (result.type !== "float32" || result.dims.length !== 2)
    throw new JpegDomainError(
      `the model's output "${output}" is ${result.type} [${result.dims.join(", ")}], expected logits float32 [N, classes]`,
    );
  return result.data as Float32Array;
}

function spatialSize(shape: (number | string)[] = []): { channels: number; height: number; width: number } {
  const [, channels, height, width] = shape;
  if (
    shape.length !== 4 ||
    typeof channels !== "number" ||
    typeof height !== "number" ||
    typeof width !== "number"
  )
    throw new JpegDomainError(
      `the model's input is [${shape.join(", ")}], expected planes [N, C, H, W] of known size`,
    );
  return { channels, height, width };
}

/**
 * Bytes that ONNX Runtime needs at most while it loads a converted model: it computes each operator tensor, keeps a
 * copy of it as a constant, and drops the first only at the end (measured: 6.2 GB for 2.8 GB of operators).
 */
export const loadingBytes = (cost: { operatorBytes: number; largestOperatorBytes: number }): number =>
  2 * cost.operatorBytes + cost.largestOperatorBytes;

function checkMemory(metadata: Metadata): void {
  const [needed, free] = [loadingBytes(metadata), freemem()];
  if (needed > free)
    throw new JpegDomainError(
      `the ${metadata.plan} model needs ${gigabytes(needed)} while loading, ${gigabytes(free)} are free; ` +
        "plans fused and blockwise need far less",
    );
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;
