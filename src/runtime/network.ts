/** A model file as what runs behind the entrance: `model file → network on planes or coefficients, its preprocessing`. */
import { convertGraph } from "../convert/convert.js";
import { findImage, type ImageInput } from "../convert/image-input.js";
import { type Metadata, readMetadata, readPreprocess } from "../convert/metadata.js";
import type { ConvertOptions } from "../convert/options.js";
import { type InputValues, type OtherInput, otherInputs } from "../convert/other-inputs.js";
import { planeSize } from "../convert/plane-size.js";
import { preparationFor } from "../convert/preparation.js";
import { JpegDomainError } from "../errors.js";
import { writeOnnx } from "../onnx/file.js";
import type { Dimension, Graph, ValueInfo } from "../onnx/graph.js";
import { JPEG_INPUTS } from "../preprocess/graph/planes.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import type { FillOptions, PlaneSize } from "../preprocess/preprocessor.js";
import { checkConstants } from "./check-constants.js";
import { cutAt } from "./cut.js";
import { type ReadModel, readModel } from "./model-files.js";
import { type Readable, type ReadOutput, readableOutputs } from "./outputs.js";

/** What a thread needs to run a model; plain data, so that it can be sent to one. */
export interface Network {
  /** The ONNX file that ONNX Runtime opens: its bytes, or its path. */
  model: Uint8Array | string;
  planes: PlaneSize;
  preprocess: Preprocess;
  /** The quantisation table of the coefficients that the network takes; `undefined`: it takes the planes themselves. */
  table: number[] | undefined;
  /** The batch the file was made for, where it is not free. */
  fixedBatch: number | undefined;
  /** The name of the input that takes the planes or their coefficients. */
  input: string;
  /** Inputs beside it, which have the same values for all images. */
  others: OtherInput[];
  outputs: ReadOutput[];
  /** How files are read. */
  reading: FillOptions;
  /** Whether several images can be run at once: every output has its batch. */
  isTogether: boolean;
}

export interface OpenedNetwork extends Network {
  metadata: Metadata | undefined;
  /** What the model did not say and was assumed, as a sentence. */
  assumed: string | undefined;
  /** The classes' names, where the model's folder has them. */
  labels?: string[];
}

export interface NetworkOptions extends Pick<ConvertOptions, "plan" | "relu"> {
  /** A part of it replaces that part of what the model says, or of what is assumed. */
  preprocess?: Partial<Preprocess>;
  /** Values of the model's inputs beside the image, such as a size or a scale. */
  inputs?: InputValues;
  /** The names of the outputs that are computed and given; by default all. */
  outputs?: readonly string[];
  /**
   * Damaged files are errors. By default they are read as libjpeg reads them, and results say what was missing.
   */
  strict?: boolean;
  /** The largest file, in pixels of its full size; a larger one is an error. 268 million by default, as sharp's. */
  maxPixels?: number;
}

/**
 * Reads a model and finds out how to feed it.
 * @throws {JpegDomainError} where it is no model of images.
 */
export async function openNetwork(
  model: Uint8Array | string,
  options: NetworkOptions = {},
): Promise<OpenedNetwork> {
  return { ...(await openModel(model, options)), reading: readingOf(options) };
}

/** @throws {JpegDomainError} where the limit is no number of pixels. */
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

/** @param known - how images are prepared, where others than the model's file say it */
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
    // The runtime's entrance ends at the planes; what the caller asked for is a matter of the layers behind them.
    const { plan, relu, inputs, ...others } = options;
    const { graph: made } = convertGraph(graph, {
      ...(plan && { plan }),
      ...(relu && { relu }),
      ...(inputs && { inputs }),
    });
    const about = readMetadata(made) as Metadata;
    return { ...converted(writeOnnx(made), made, about, { ...others, preprocess }), assumed };
  }
  const readable = readableOutputs(source, image.batch, options.outputs);
  // The file itself where its input is planes already, and its outputs can be read; its weights may lie beside it.
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

/** What the caller gives of a network's inputs, and how it is run. */
interface Run extends Pick<Network, "input" | "others" | "outputs" | "isTogether" | "fixedBatch"> {}

/**
 * @param image - as the graph's inputs name its lengths
 * @param batch - what a run takes, where it is another than the network's own
 * @throws {JpegDomainError} where a run is always of several images, and its outputs are not of one each; or an input
 *   has no value
 */
function runOf(
  { graph, outputs, isTogether }: Readable,
  image: Pick<ImageInput, "batch" | "height" | "width">,
  planes: PlaneSize,
  given: InputValues | undefined,
  batch: Dimension = image.batch,
): Run {
  const fixedBatch = fixed(batch);
  const odd = outputs.find(({ isBatched }) => !isBatched);
  if (fixedBatch !== undefined && fixedBatch > 1 && odd !== undefined)
    throw new JpegDomainError(
      `the model takes ${fixedBatch} images at once, and its output "${odd.name}" is [${odd.shape?.join(", ") ?? "?"}], so it cannot be told which part is whose; expected ${fixedBatch} as its first length, or a batch of 1`,
    );
  const [input, ...beside] = graph.inputs as [ValueInfo, ...ValueInfo[]];
  const lengths = new Map([
    [`${image.height}`, planes.height],
    [`${image.width}`, planes.width],
  ]);
  const others = otherInputs(beside, { name: input.name, batch: image.batch, lengths }, given);
  // A length that may be the batch or may not.
  const isOpen = beside.some(({ shape }) => typeof shape?.[0] === "string" && shape[0] !== image.batch);
  return { input: input.name, others, outputs, isTogether: isTogether && !isOpen, fixedBatch };
}

/** A converted model: its file's metadata say what it takes. */
function converted(
  bytes: Uint8Array,
  graph: Graph,
  metadata: Metadata,
  options: NetworkOptions,
): OpenedModel {
  const isJpeg = metadata.input === "jpeg";
  // A file in each call is the entrance's limit; the network behind it may take more.
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
  // The file holds the entrance as nodes; the runtime does their work faster, and runs what is behind them.
  const shape = [batch, planes.channels, planes.height, planes.width];
  // Older files have other names where the network had values of these.
  const ofFile = graph.inputs.slice(0, JPEG_INPUTS.length).map(({ name }) => name);
  const behind = cutAt(graph, metadata.planes, shape, ofFile);
  const readable = readableOutputs(behind, own, options.outputs, metadata);
  const run = runOf(readable, image, planes, options.inputs, batch);
  return { ...common, model: writeOnnx(readable.graph), table: undefined, ...run };
}

const fixed = (batch: Dimension | undefined) => (typeof batch === "number" && batch > 0 ? batch : undefined);
