/** Where a network's pixels lie in a photograph: `file → upright → precrop → resized → crop → padded`. */
import { type Area, type CropRounding, NO_PAD, type Preprocess, padded } from "./preprocess.js";

/** A part of an image. */
export type Part = Area & { top: number; left: number };

export interface Geometry {
  /** The part of the upright image that is resized. */
  source: Part;
  /** That part after resizing. */
  resized: Area;
  /** The part of it that the network gets. */
  crop: Part;
  /** The part of the planes up to which there are black pixels, if the crop is larger than the resized image. */
  frame: Part;
  /** Where the crop begins in the planes. */
  at: { top: number; left: number };
  /** What the network takes: the frame and the padding around it. */
  planes: Area;
}

type Sizes = Pick<Preprocess, "precrop" | "resize" | "crop" | "cropRounding" | "pad">;

/** @param upright The image's size as a viewer shows it. */
export function geometry(
  { precrop, resize, crop, cropRounding = "down", pad = NO_PAD }: Sizes,
  upright: Area,
): Geometry {
  const source = precrop
    ? middle(upright, shareOf(upright, precrop), "down")
    : { ...upright, top: 0, left: 0 };
  const resized = resizedArea(resize, source);
  const frame = middle(resized, crop ?? resized, cropRounding);
  const place = { top: Math.max(0, -frame.top), left: Math.max(0, -frame.left) };
  const [top, left] = [Math.max(0, frame.top), Math.max(0, frame.left)];
  return {
    source,
    resized,
    crop: {
      ...{ top, left },
      height: Math.min(frame.height - place.top, resized.height - top),
      width: Math.min(frame.width - place.left, resized.width - left),
    },
    frame: { ...frame, top: pad.top, left: pad.left },
    at: { top: pad.top + place.top, left: pad.left + place.left },
    planes: padded(frame, pad),
  };
}

/** Whether the planes have pixels that are not the image's. */
export const isPadded = ({ crop, planes }: Pick<Geometry, "crop" | "planes">): boolean =>
  crop.height !== planes.height || crop.width !== planes.width;

/** Whether an image's resized part can be smaller than the crop. */
export function canBeSmaller({ resize, crop }: Pick<Preprocess, "resize" | "crop">): boolean {
  if (crop === undefined) return false;
  if (resize === undefined) return true;
  const least = "height" in resize ? resize : { height: resize.shortestEdge, width: resize.shortestEdge };
  return crop.height > least.height || crop.width > least.width;
}

/** The centre of `area`. It begins before a smaller area. */
function middle(area: Area, { height, width }: Area, rounding: CropRounding): Part {
  const start = (length: number, part: number) => ROUNDINGS[rounding]((length - part) / 2);
  return { top: start(area.height, height), left: start(area.width, width), height, width };
}

/** How half of the pixels left over is rounded: see {@link Preprocess.cropRounding}. `|| 0` avoids -0. */
const ROUNDINGS: Record<CropRounding, (half: number) => number> = {
  down: Math.floor,
  zero: (half) => Math.trunc(half) || 0,
  // Torchvision has another rule for padding an image that is too small.
  even: (half) => (half < 0 ? Math.trunc(half) || 0 : Math.floor(half) + (half % 2 === 1.5 ? 1 : 0)),
};

/** A share in pixels, as processors compute it: the float64 product with the edge, cut to a whole number. */
function shareOf({ height, width }: Area, share: Area): Area {
  const edge = Math.min(height, width);
  const side = (of: number) => Math.max(1, Math.trunc(of * edge));
  return { height: side(share.height), width: side(share.width) };
}

function resizedArea(resize: Preprocess["resize"], { height, width }: Area): Area {
  if (resize === undefined) return { height, width };
  if (!("shortestEdge" in resize)) return resize;
  // The longer side is cut to a whole number, as in torchvision and Hugging Face.
  const shortest = Math.min(width, height);
  const side = (length: number) => Math.trunc((resize.shortestEdge * length) / shortest);
  return { width: side(width), height: side(height) };
}
