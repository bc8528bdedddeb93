/** The preprocessing for a network that does not state it: the usual one for networks of its size. */
import type { ElementType } from "../onnx/graph.js";
import {
  type Area,
  channelCount,
  checkPreprocess,
  type Pad,
  type Preprocess,
  TORCHVISION,
  toldResize,
} from "../preprocess/preprocess.js";
import { ConvertError } from "./errors.js";
import { wholeRange } from "./image-types.js";
import type { Planes } from "./layers.js";

export interface Preparation {
  preprocess: Preprocess;
  /** What was not stated and is assumed, as a sentence. */
  assumed: string | undefined;
}

/** The planes of a network, and the element type of its image: float32 if absent. */
export interface Prepared extends Planes {
  type?: ElementType;
}

/** Networks with sides up to this take small images whole (MNIST, CIFAR), larger ones a crop of photographs. */
const SMALL = 64;
/** Torchvision's classifiers take the middle 224 of 256. */
const SHARE = 224 / 256;

/**
 * The preprocessing that the model states, or else the usual one. Given parts replace its parts.
 * @throws {ConvertError} if it does not give as many planes as the network takes
 */
export function preparationFor(
  network: Prepared,
  known: Preprocess | undefined,
  given: Partial<Preprocess> = {},
): Preparation {
  const { channels } = network;
  if (channels !== 1 && channels !== 3)
    throw new ConvertError(
      `the model takes images of ${channels} channels, expected 1 (grey) or 3 (colour)${channels === 4 ? "; JPEG files have no alpha" : ""}`,
    );
  // A complete description without a resize means that there is none.
  const preprocess = checkPreprocess(
    isWhole(given) ? given : replaced(network, known ?? usual(network, given), given),
  );
  if (channelCount(preprocess) !== channels)
    throw new ConvertError(
      `the preprocessing gives ${channelCount(preprocess)} planes (${preprocess.channels}), the model takes ${channels}`,
    );
  const isSaid =
    known !== undefined || isWhole(given) || ((given.resize ?? given.crop) && given.mean && given.std);
  const assumed = [
    isSaid ? undefined : `the model does not say how images are prepared; assumed ${told(preprocess)}`,
    misfit(network, preprocess),
  ].filter((sentence) => sentence !== undefined);
  return { preprocess, assumed: assumed.join("; ") || undefined };
}

/** Whether a description leaves nothing to the model. */
export const isWhole = (given: Partial<Preprocess>): given is Preprocess =>
  [given.resample, given.rescale, given.mean, given.std, given.channels].every(
    (field) => field !== undefined,
  );

/** Torchvision's for photographs, none for small images. If the model has no size, a given one is all there is. */
function usual({ channels, height, width, type }: Prepared, given: Partial<Preprocess>): Preprocess {
  const area = TORCHVISION.crop as Area;
  const size = {
    height: typeof height === "number" ? height : area.height,
    width: typeof width === "number" ? width : area.width,
  };
  const edge = Math.max(size.height, size.width);
  const isGiven = typeof height !== "number" && given.resize !== undefined && "height" in given.resize;
  const { crop: _, resize: __, ...color } = TORCHVISION;
  return {
    ...color,
    ...(channels === 1 && { mean: [0], std: [1], channels: "grayscale" as const }),
    ...wholeNumbers(channels, type),
    ...(edge <= SMALL || isGiven
      ? { resize: size }
      : { resize: { shortestEdge: Math.round(edge / SHARE) }, crop: size }),
  };
}

/** Inputs of whole numbers get the pixels 0 to 255, and int8 gets them less 128. */
function wholeNumbers(channels: number, type: ElementType = "float32"): Partial<Preprocess> {
  const range = wholeRange(type);
  if (range === undefined) return {};
  const fill = (value: number) => Array<number>(channels).fill(value);
  return { rescale: 1, mean: fill(range[1] < 255 ? -range[0] : 0), std: fill(1) };
}

/** A sentence that says so, if a type of whole numbers cannot hold the results of the preprocessing. */
function misfit({ type = "float32" }: Prepared, { rescale, mean, std }: Preprocess): string | undefined {
  const range = wholeRange(type);
  if (range === undefined) return undefined;
  const ends = mean.flatMap((value, c) =>
    [0, 255].map((pixel) => (pixel * rescale - value) / (std[c] as number)),
  );
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  if (most - least >= FEW_LEVELS && least > range[0] - 1 && most < range[1] + 1) return undefined;
  return `the model takes ${type}, and the preprocessing gives ${least.toPrecision(3)} to ${most.toPrecision(3)}, which is rounded and ends at ${range.join(" and ")}; expected 0 to 255 (rescale 1, mean 0, std 1) or the like`;
}

/** A picture has at least so many levels. */
const FEW_LEVELS = 32;

/** The model's padding belongs to its own size. If a given size fills the network, nothing is left to pad. */
function replaced({ height, width }: Planes, known: Preprocess, given: Partial<Preprocess>) {
  const { pad, ...others } = { ...known, ...given };
  const { crop, resize } = others;
  const area = crop ?? (resize && "height" in resize ? resize : undefined);
  const isFull = (given.resize ?? given.crop) && area?.height === height && area?.width === width;
  return pad === undefined || (isFull && given.pad === undefined) ? others : { ...others, pad };
}

/** The steps of a preprocessing in words. */
export function toldSteps(preprocess: Preprocess): string[] {
  const { precrop, resize, crop, pad, channels, resample, antialias, rescale, mean, std } = preprocess;
  const filter = antialias === false ? `${resample} without antialiasing` : resample;
  const steps = [
    precrop && `the middle ${precrop.height} by ${precrop.width} of the shortest edge`,
    resize && `${toldResize(resize)}, ${filter}`,
    crop && `the middle ${crop.height}x${crop.width}`,
    pad && toldPad(pad),
    channels,
    rescale !== 1 / 255 && `rescale ${rescale}`,
    `mean ${mean.join(" ")}`,
    `std ${std.join(" ")}`,
  ];
  return steps.filter((step) => typeof step === "string");
}

const told = (preprocess: Preprocess): string => toldSteps(preprocess).join(", ");

function toldPad({ top, left, bottom, right, value = 0 }: Pad): string {
  const sides = [top, left, bottom, right];
  const lengths = sides.every((side) => side === top) ? `${top}` : sides.join(" ");
  return `${lengths} around it${value === 0 ? "" : ` of ${value}`}`;
}
