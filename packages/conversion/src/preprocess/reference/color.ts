/**
 * The planes of the components → those of the network's channels, bytes all of them: JFIF's colours (ITU-T T.871, 7); of
 * CMYK and YCCK what PIL makes of the inks, `color · black / 255` as stored; of colours the network's gray.
 */
import type { ColorSpace } from "@jpeg-domain/coefficients";
import { FROM_YCBCR, LUMA, ORDERS } from "../colors.js";
import type { Preprocess } from "../preprocess.js";
import { byte } from "./inverse.js";

type Plane = Float64Array;

export function colors(planes: Plane[], space: ColorSpace, channels: Preprocess["channels"]): Plane[] {
  const found = SPACES[space](planes);
  const [red, green = red, blue = red] = found as [Plane, Plane?, Plane?];
  const rgb = [red, green, blue];
  if (channels !== "grayscale") return ORDERS[channels].map((index) => rgb[index] as Plane);
  return found.length === 1 ? [red] : [mixed(rgb, LUMA)];
}

/** From a file's planes to gray, or to red, green and blue. */
const SPACES: Record<ColorSpace, (planes: Plane[]) => Plane[]> = {
  grayscale: (planes) => planes,
  rgb: (planes) => planes,
  ycbcr: fromYcbcr,
  cmyk: fromInks,
  ycck: (planes) =>
    fromInks([...fromYcbcr(planes).map((ink) => ink.map((v) => 255 - v)), planes[3] as Plane]),
  unknown: (planes) => planes,
};

const mixed = (planes: Plane[], weights: readonly number[]): Plane =>
  (planes[0] as Plane).map((_, at) =>
    byte(weights.reduce((sum, weight, c) => sum + weight * ((planes[c] as Plane)[at] as number), 0)),
  );

function fromYcbcr([luma, ...chroma]: Plane[]): Plane[] {
  const centred = [luma as Plane, ...chroma.slice(0, 2).map((plane) => plane.map((value) => value - 128))];
  return FROM_YCBCR.map((weights) => mixed(centred, weights));
}

/** Inks as Adobe stores them, 255 for none. PIL takes them so with a marker and without. */
function fromInks([cyan, magenta, yellow, black]: Plane[]): Plane[] {
  return [cyan, magenta, yellow].map((ink) =>
    (ink as Plane).map((value, at) => byte((value * ((black as Plane)[at] as number)) / 255)),
  );
}
