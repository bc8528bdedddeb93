import { freemem } from "node:os";
import { compress, JpegDomainError } from "@jpeg-domain/coefficients";
import { toWholeBlocks } from "@jpeg-domain/coefficients/internal";
import { type Cost, type Metadata, readMetadata } from "@jpeg-domain/conversion";
import {
  findImage,
  gigabytes,
  isSized,
  loadingBytes,
  type Planes,
  type Size,
} from "@jpeg-domain/conversion/internal";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import { checkConstants } from "./check-constants.js";
import { pickClasses } from "./classes.js";
import { readModel } from "./model-files.js";
import { type ReadOutput, readableOutputs, values } from "./outputs.js";
import { openSession, type SessionOptions } from "./session.js";

/** A classifier of image planes, on pixels or on coefficients, ready to run. */
export interface Classifier {
  /** What the file says about its conversion; `undefined` for a spatial model. */
  metadata: Metadata | undefined;
  /** The size of the planes it takes. */
  channels: number;
  height: number;
  width: number;
  /**
   * Turns planes `[N, C, H, W]` into the model's input: the same values for a spatial model, their coefficient tensor
   * for a converted one.
   */
  prepare(planes: Float32Array): Tensor;
  /** Logits `[N, classes]` for an input from {@link prepare}. */
  run(input: Tensor): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a spatial or converted classifier from its bytes or its path, as {@link loadModel} does.
 * @throws {JpegDomainError} if the file is not such a model, or would not fit into memory
 */
export async function openClassifier(
  model: Uint8Array | string,
  options: SessionOptions = {},
): Promise<Classifier> {
  const { file, graph } = readModel(model);
  const metadata = readMetadata(graph);
  const refusal = metadata && checkMemory(`the ${metadata.plan} model`, metadata);
  if (refusal) throw new JpegDomainError(refusal);
  checkConstants(graph, metadata);
  // For a spatial model `findImage` gives a graph that takes float32 planes, whatever its own input is.
  const { source, image } = metadata ? { source: graph, image: metadata } : findImage(graph);
  const { channels, height, width } = spatialSize(image);
  const batch = image.batch ?? source.inputs[0]?.shape?.[0] ?? 1;
  // Operators of several gigabytes are read once per batch: prepacking saves no time and doubles the memory.
  const unpacked = { extra: { session: { disable_prepacking: "1" } } };
  const { name } = pickClasses(readableOutputs(source, batch).outputs);
  const readable = readableOutputs(source, batch, [name]);
  const isItself = readable.graph === source && source.inputs[0]?.name === graph.inputs[0]?.name;
  const opened = isItself ? file : readable.graph;
  const session = await openSession(opened, { ...(metadata?.plan === "exploded" && unpacked), ...options });
  const input = source.inputs[0]?.name as string;
  return {
    metadata,
    channels,
    height,
    width,
    prepare(planes) {
      const shape = [planes.length / (channels * height * width), channels, height, width];
      if (metadata === undefined) return new Tensor("float32", planes, shape);
      const whole = toWholeBlocks(planes, shape);
      const { data, shape: grid } = compress(whole.data, whole.shape, { table: metadata.table });
      return new Tensor("float32", data, grid);
    },
    run: (tensor) => logitsOf(session, input, readable.outputs[0] as ReadOutput, tensor),
    close: () => session.release(),
  };
}

async function logitsOf(
  session: InferenceSession,
  input: string,
  { name, value }: ReadOutput,
  tensor: Tensor,
): Promise<Float32Array> {
  const { type, dims, data } = (await session.run({ [input]: tensor }, [value]))[value] as Tensor;
  if (dims.length !== 2 || dims[0] !== tensor.dims[0])
    throw new JpegDomainError(
      `the model's output "${name}" is ${type} [${dims.join(", ")}], expected logits float32 [${tensor.dims[0]}, classes]`,
    );
  const numbers = values(type, data as Float32Array, 0, data.length);
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers, Number);
}

function spatialSize(image: Planes): Size {
  if (isSized(image)) return image;
  const { channels, height, width } = image;
  throw new JpegDomainError(
    `the model's input is [N, ${channels}, ${height}, ${width}], expected planes [N, C, H, W] of known size`,
  );
}

/** Bytes that this process can still allocate within the limits of the system or its container. */
export const freeBytes = (): number => process.availableMemory?.() ?? freemem();

/** Why a model does not fit into memory; `undefined` if it does. */
export function checkMemory(
  name: string,
  cost: Pick<Cost, "operatorBytes" | "largestOperatorBytes">,
): string | undefined {
  const [needed, free] = [loadingBytes(cost), freeBytes()];
  if (needed <= free) return undefined;
  return `${name} needs ${gigabytes(needed)} while loading, ${gigabytes(free)} are free; the plans fused and blockwise need far less`;
}
