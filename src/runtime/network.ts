/** A model file as what runs behind the entrance: `model file → network on planes or coefficients, its preprocessing`. */
import { readFile } from "node:fs/promises";
import { convertGraph } from "../convert/convert.js";
import { findImage } from "../convert/image-input.js";
import { type Metadata, readMetadata } from "../convert/metadata.js";
import type { ConvertOptions } from "../convert/options.js";
import { checkCrop, toldResize } from "../convert/plane-area.js";
import {
  type Area,
  channelCount,
  checkPreprocess,
  type Preprocess,
  TORCHVISION,
} from "../convert/preprocess.js";
import { JpegDomainError } from "../errors.js";
import { readOnnx, writeOnnx } from "../onnx/file.js";
import type { Dimension, Graph } from "../onnx/graph.js";
import { cutAt } from "./cut.js";
import type { PlaneSize } from "./entrance.js";
import { fileFailure } from "./failure.js";
import { parseModel } from "./model-files.js";

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
}

export interface OpenedNetwork extends Network {
  metadata: Metadata | undefined;
  /** What the model did not say and was assumed, as a sentence. */
  assumed: string | undefined;
}

export interface NetworkOptions extends Pick<ConvertOptions, "plan" | "relu"> {
  /** A part of it replaces that part of what the model says, or of what is assumed. */
  preprocess?: Partial<Preprocess>;
}

/**
 * Reads a model and finds out how to feed it.
 * @throws {JpegDomainError} where it is no model of images.
 */
export async function openNetwork(
  model: Uint8Array | string,
  options: NetworkOptions = {},
): Promise<OpenedNetwork> {
  const bytes = typeof model === "string" ? await read(model) : model;
  const graph = typeof model === "string" ? parseModel(model, bytes) : readOnnx(bytes);
  const metadata = readMetadata(graph);
  if (metadata !== undefined) return converted(bytes, graph, metadata, options);
  const { source, image } = findImage(graph);
  const shape: Shape = [image.batch, colors(image.channels), image.height, image.width];
  const { preprocess, assumed } = preprocessing(shape, undefined, options.preprocess);
  const spatial = { preprocess, assumed, fixedBatch: fixed(shape[0]) };
  if (options.plan !== undefined || options.relu !== undefined) {
    // The runtime's entrance ends at the planes; what the caller asked for is a matter of the layers behind them.
    const { graph: made } = convertGraph(graph, {
      ...(options.plan && { plan: options.plan }),
      ...(options.relu && { relu: options.relu }),
    });
    const about = readMetadata(made) as Metadata;
    return { ...converted(writeOnnx(made), made, about, { preprocess }), assumed };
  }
  return {
    ...spatial,
    // The file itself where its input is planes already; its weights may lie beside it.
    model: source.inputs[0]?.name === graph.inputs[0]?.name ? model : writeOnnx(source),
    planes: planeSize(shape, preprocess),
    table: undefined,
    metadata: undefined,
  };
}

const read = (path: string): Promise<Uint8Array> =>
  readFile(path).catch((error: unknown) => {
    throw fileFailure(error, path);
  });

/** A converted model: its file's metadata say what it takes. */
function converted(
  bytes: Uint8Array,
  graph: Graph,
  metadata: Metadata,
  options: NetworkOptions,
): OpenedNetwork {
  const { channels, height, width } = metadata;
  const isJpeg = metadata.input === "jpeg";
  // A file in each call is the entrance's limit; the network behind it may take more.
  const from = isJpeg ? graph.outputs[0] : graph.inputs[0];
  const takesPlanes = metadata.plan === "fused" && metadata.relu === "exact";
  const batch = isJpeg && !takesPlanes ? 1 : (from?.shape?.[0] ?? 1);
  const shape: Shape = [batch, channels, height, width];
  const found = preprocessing(shape, metadata.preprocess, options.preprocess);
  const planes = planeSize(shape, found.preprocess);
  const common = { ...found, planes, metadata, fixedBatch: fixed(batch) };
  if (metadata.planes === undefined) return { ...common, model: bytes, table: metadata.table };
  // The file holds the entrance as nodes; the runtime does their work faster, and runs what is behind them.
  const behind = cutAt(graph, metadata.planes, shape);
  return { ...common, model: writeOnnx(behind), table: undefined };
}

type Shape = [batch: Dimension, channels: number, height: Dimension, width: Dimension];

function colors(channels: number): number {
  if (channels === 1 || channels === 3) return channels;
  throw new JpegDomainError(
    `the model takes images of ${channels} channels, expected 1 (grey) or 3 (colour)`,
  );
}

const fixed = (batch: Dimension | undefined) => (typeof batch === "number" && batch > 0 ? batch : undefined);

/** Sides up to this are taken to be small images' own (MNIST, CIFAR), larger ones a crop of photographs. */
const SMALL = 64;
/** Torchvision's classifiers take the middle 224 of 256. */
const SHARE = 224 / 256;

/** The preprocessing that the model says, or the usual one of networks of this size, with what is given instead. */
function preprocessing(
  shape: Shape,
  known: Preprocess | undefined,
  given: Partial<Preprocess> = {},
): { preprocess: Preprocess; assumed: string | undefined } {
  const channels = shape[1];
  // A whole description stands for itself: without a resize, it means none.
  const preprocess = checkPreprocess(
    isWhole(given) ? given : { ...(known ?? usual(shape, given)), ...given },
  );
  if (channelCount(preprocess) !== channels)
    throw new JpegDomainError(
      `the preprocessing gives ${channelCount(preprocess)} planes (${preprocess.channels}), the model takes ${channels}`,
    );
  const isSaid =
    known !== undefined || isWhole(given) || ((given.resize ?? given.crop) && given.mean && given.std);
  return {
    preprocess,
    assumed: isSaid
      ? undefined
      : `the model does not say how images are prepared; assumed ${told(preprocess)}`,
  };
}

const isWhole = ({ resample, rescale, mean, std, channels }: Partial<Preprocess>): boolean =>
  [resample, rescale, mean, std, channels].every((field) => field !== undefined);

/** Torchvision's for photographs; small images as they are. A given size is the whole of it where the model has none. */
function usual([, channels, height, width]: Shape, given: Partial<Preprocess>): Preprocess {
  const area = TORCHVISION.crop as Area;
  const size = {
    height: typeof height === "number" ? height : area.height,
    width: typeof width === "number" ? width : area.width,
  };
  const edge = Math.max(size.height, size.width);
  const isSized = typeof height !== "number" && given.resize !== undefined && "height" in given.resize;
  const { crop: _, resize: __, ...color } = TORCHVISION;
  return {
    ...color,
    ...(channels === 1 && { mean: [0], std: [1], channels: "grayscale" as const }),
    ...(edge <= SMALL || isSized
      ? { resize: size }
      : { resize: { shortestEdge: Math.round(edge / SHARE) }, crop: size }),
  };
}

function told({ resize, crop, channels, resample, mean, std }: Preprocess): string {
  const steps = [
    resize && `${toldResize(resize)}, ${resample}`,
    crop && `the middle ${crop.height}x${crop.width}`,
    channels,
    `mean ${mean.join(" ")}`,
    `std ${std.join(" ")}`,
  ];
  return steps.filter(Boolean).join(", ");
}

/**
 * The model's own size where its file has one, else what the preprocessing comes out at.
 * @throws {JpegDomainError} where there is none, or where no file at all would come out at it
 */
function planeSize([, channels, height, width]: Shape, preprocess: Preprocess): PlaneSize {
  checkCrop(preprocess, { channels, height, width });
  const { crop, resize } = preprocess;
  const area = crop ?? (resize && "height" in resize ? resize : undefined);
  const side = (own: Dimension, name: "height" | "width"): number => {
    const made = area?.[name] ?? own;
    if (typeof made !== "number")
      throw new JpegDomainError(
        `the model takes images of any ${name}, and the preprocessing gives no size; expected a crop or a size of height and width`,
      );
    if (typeof own === "number" && made !== own)
      throw new JpegDomainError(
        `the preprocessing gives images of ${name} ${made}, the network takes ${own}`,
      );
    return made;
  };
  return { channels, height: side(height, "height"), width: side(width, "width") };
}
