/** How photographs are prepared for a network that does not say it: as is usual for networks of its size. */
import { ConvertError } from "../errors.js";
import type { Planes } from "../layers.js";
import {
  type Area,
  channelCount,
  checkPreprocess,
  type Preprocess,
  TORCHVISION,
  toldResize,
} from "./preprocess.js";

export interface Preparation {
  preprocess: Preprocess;
  /** What was not said and is assumed, as a sentence. */
  assumed: string | undefined;
}

/** Sides up to this are taken to be small images' own (MNIST, CIFAR), larger ones a crop of photographs. */
const SMALL = 64;
/** Torchvision's classifiers take the middle 224 of 256. */
const SHARE = 224 / 256;

/**
 * The preprocessing that the model says, or else the usual one, with what is given in the place of its parts.
 * @throws {ConvertError} where it does not give as many planes as the network takes.
 */
export function preparationFor(
  network: Planes,
  known: Preprocess | undefined,
  given: Partial<Preprocess> = {},
): Preparation {
  const { channels } = network;
  if (channels !== 1 && channels !== 3)
    throw new ConvertError(`the model takes images of ${channels} channels, expected 1 (grey) or 3 (colour)`);
  // A whole description stands for itself: without a resize, it means none.
  const preprocess = checkPreprocess(
    isWhole(given) ? given : { ...(known ?? usual(network, given)), ...given },
  );
  if (channelCount(preprocess) !== channels)
    throw new ConvertError(
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
function usual({ channels, height, width }: Planes, given: Partial<Preprocess>): Preprocess {
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
    ...(edge <= SMALL || isGiven
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
