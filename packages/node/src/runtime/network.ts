/** Opens a model file: `model file → network on planes or coefficients + its preprocessing`. */

import { JpegDomainError } from "@jpeg-domain/coefficients";
import {
  type ConvertOptions,
  convertGraph,
  type Dimension,
  type FillOptions,
  type Graph,
  type InputValues,
  JPEG_INPUTS,
  type Metadata,
  type PlaneSize,
  type Preprocess,
  readMetadata,
  readPreprocess,
  type ValueInfo,
  writeOnnx,
} from "@jpeg-domain/conversion";
import {
  findImage,
  type ImageInput,
  type OtherInput,
  otherInputs,
  planeSize,
  preparationFor,
} from "@jpeg-domain/conversion/internal";
import { checkConstants } from "./check-constants.js";
import { extractSubgraph } from "./extract-subgraph.js";
import { type ReadModel, readModel } from "./model-files.js";
import { type Readable, type ReadOutput, readableOutputs } from "./outputs.js";

/** What a thread needs to run a model; plain data, so that it can be sent to the thread. */
export interface Network {
  /** The ONNX file that ONNX Runtime opens: its bytes, or its path. */
  model: Uint8Array | string;
  planes: PlaneSize;
  preprocess: Preprocess;
  /** The quantisation table of the coefficients that the network takes; `undefined` if it takes planes. */
  table: number[] | undefined;
  /** The batch that the file requires; `undefined` if any batch works. */
  fixedBatch: number | undefined;
  /** The name of the input that takes the planes or their coefficients. */
  input: string;
  /** The other inputs, which have the same values for all images. */
  others: OtherInput[];
  outputs: ReadOutput[];
  /** How files are read. */
  reading: FillOptions;
  /** Whether several images can run at once: every output has a batch axis. */
  isBatchable: boolean;
}

export interface OpenedNetwork extends Network {
  metadata: Metadata | undefined;
  /** What the model did not say and was assumed, as a sentence. */
  assumed: string | undefined;
  /** The class names, if the model's folder has them. */
  labels?: string[];
}

export interface NetworkOptions extends Pick<ConvertOptions, "plan" | "relu"> {
  /** Replaces these parts of what the model says, or of what is assumed. */
  preprocess?: Partial<Preprocess>;
  /** Values for the model's inputs other than the image, such as a size or a scale. */
  inputs?: InputValues;
  /** The names of the outputs to compute and return; by default all. */
  outputs?: readonly string[];
  /** Makes damaged files errors. By default they are read as libjpeg reads them, and results say what was missing. */
  strict?: boolean;
  /** The largest file, in pixels at full size; a larger one is an error. The default is 268 million, as in sharp. */
  maxPixels?: number;
}

/**
 * Reads a model and works out how to feed it.
 * @throws {JpegDomainError} if it is not an image model
 */
export async function openNetwork(
  model: Uint8Array | string,
  options: NetworkOptions = {},
): Promise<OpenedNetwork> {
  return { ...(await openModel(model, options)), reading: readingOf(options) };
}

/** @throws {JpegDomainError} if `maxPixels` is not a whole number from 1 */
function readingOf({ strict = false, maxPixels }: NetworkOptions): FillOptions {
  if (maxPixels !== undefined && !(Number.isInteger(maxPixels) && maxPixels >= 1))
    throw new JpegDomainError(`maxPixels is ${maxPixels}, expected a whole number from 1`);
  return { tolerant: !strict, ...(maxPixels !== undefined && { maxPixels }) };
}

type OpenedModel = Omit<OpenedNetwork, "reading">;

async function openModel(model: Uint8Array | string, options: NetworkOptions): Promise<OpenedModel> {
  const { labels, preprocess, ...read } = readModel(model);
  return { ...openGraph(read, options, preprocess), ...(labels && { labels }) };
}

/** @param known - the preprocessing, if a file other than the model's says it */
function openGraph(
  { file, bytes, graph }: Pick<ReadModel, "file" | "bytes" | "graph">,
  options: NetworkOptions,
  known?: Preprocess,
): OpenedModel {
  const metadata = readMetadata(graph);
  checkConstants(graph, metadata);
  if (metadata !== undefined) return converted(bytes, graph, withKnown(metadata, known), options);
  const { source, image } = findImage(graph, options.inputs);
  const { preprocess, assumed } = preparationFor(image, readPreprocess(graph) ?? known, options.preprocess);
  if (options.plan !== undefined || options.relu !== undefined) {
    // The runtime's preprocessing ends at the planes; plan and ReLU concern the layers after them.
    const { plan, relu, inputs, ...others } = options;
    const { graph: convertedGraph } = convertGraph(graph, {
      ...(plan !== undefined && { plan }),
      ...(relu !== undefined && { relu }),
      ...(inputs && { inputs }),
    });
    const ofConverted = readMetadata(convertedGraph) as Metadata;
    const bytes = writeOnnx(convertedGraph);
    return { ...converted(bytes, convertedGraph, ofConverted, { ...others, preprocess }), assumed };
  }
  const readable = readableOutputs(source, image.batch, options.outputs);
  // ONNX Runtime opens the file itself if nothing has to change, because its weights may be in files beside it.
  const isItself = graph.inputs.some(({ name }) => name === image.name) && readable.graph === source;
  const planes = planeSize(image, preprocess);
  return {
    preprocess,
    assumed,
    model: isItself ? file : writeOnnx(readable.graph),
    planes,
    table: undefined,
    metadata: undefined,
    ...runOf(readable, image, planes, options.inputs),
  };
}

const withKnown = (metadata: Metadata, preprocess: Preprocess | undefined): Metadata =>
  metadata.preprocess === undefined && preprocess !== undefined ? { ...metadata, preprocess } : metadata;

/** The inputs and outputs of a run, and how many images it takes. */
interface Run extends Pick<Network, "input" | "others" | "outputs" | "isBatchable" | "fixedBatch"> {}

/**
 * @param image - its lengths, as the graph's inputs name them
 * @param batch - what a run takes, if that differs from the network's own batch
 * @throws {JpegDomainError} if every run has several images, but an output has no batch axis; or an input has no value
 */
function runOf(
  { graph, outputs, isBatchable }: Readable,
  image: Pick<ImageInput, "batch" | "height" | "width">,
  planes: PlaneSize,
  given: InputValues | undefined,
  batch: Dimension = image.batch,
): Run {
  const fixedBatch = fixed(batch);
  const unbatched = outputs.find(({ isBatched }) => !isBatched);
  if (fixedBatch !== undefined && fixedBatch > 1 && unbatched !== undefined)
    throw new JpegDomainError(
      `the model takes ${fixedBatch} images at once, but its output "${unbatched.name}" is [${unbatched.shape?.join(", ") ?? "?"}], which cannot be split by image; expected ${fixedBatch} as its first length, or a batch of 1`,
    );
  const [input, ...rest] = graph.inputs as [ValueInfo, ...ValueInfo[]];
  const lengths = new Map([
    [`${image.height}`, planes.height],
    [`${image.width}`, planes.width],
  ]);
  const others = otherInputs(rest, { name: input.name, batch: image.batch, lengths }, given);
  // A first length that may or may not be the batch.
  const isUnclear = rest.some(({ shape }) => typeof shape?.[0] === "string" && shape[0] !== image.batch);
  return { input: input.name, others, outputs, isBatchable: isBatchable && !isUnclear, fixedBatch };
}

/** Opens a converted model, whose metadata say what it takes. */
function converted(
  bytes: Uint8Array,
  graph: Graph,
  metadata: Metadata,
  options: NetworkOptions,
): OpenedModel {
  const isJpeg = metadata.input === "jpeg";
  // The preprocessing nodes take one file per call; the network after them may take more images.
  const takesPlanes = metadata.plan === "fused" && metadata.relu === "exact";
  const own = metadata.batch ?? (isJpeg ? graph.outputs[0] : graph.inputs[0])?.shape?.[0] ?? 1;
  const batch = isJpeg && !takesPlanes ? 1 : own;
  const found = preparationFor(metadata, readPreprocess(graph) ?? metadata.preprocess, options.preprocess);
  const planes = planeSize(metadata, found.preprocess);
  const common = { ...found, planes, metadata };
  const image = { batch: own, height: metadata.height, width: metadata.width };
  if (metadata.planes === undefined) {
    const readable = readableOutputs(graph, own, options.outputs, metadata);
    const model = readable.graph === graph ? bytes : writeOnnx(readable.graph);
    return {
      ...common,
      model,
      table: metadata.table,
      ...runOf(readable, image, planes, options.inputs, batch),
    };
  }
  // The model has the preprocessing as nodes. The runtime does their work faster, and runs only the network after them.
  const shape = [batch, planes.channels, planes.height, planes.width];
  // By position: files from older versions have other names if the network already used these.
  const jpegInputs = graph.inputs.slice(0, JPEG_INPUTS.length).map(({ name }) => name);
  const onPlanes = extractSubgraph(graph, metadata.planes, shape, jpegInputs);
  const readable = readableOutputs(onPlanes, own, options.outputs, metadata);
  const run = runOf(readable, image, planes, options.inputs, batch);
  return { ...common, model: writeOnnx(readable.graph), table: undefined, ...run };
}

const fixed = (batch: Dimension | undefined) => (typeof batch === "number" && batch > 0 ? batch : undefined);
