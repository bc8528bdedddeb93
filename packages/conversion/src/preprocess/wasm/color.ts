/** The colours that the host does: those of three colours for a network that sees gray. */
import { LUMA, ORDERS } from "../colors.js";
import { channelCount, type Preprocess } from "../preprocess.js";

/** For each plane that the engine makes of an image, which of the image's it is: red 0, green 1, blue 2, or gray alone 0. */
export const madeOf = ({ channels }: Preprocess, components: number): readonly number[] =>
  channels === "grayscale" ? [0, 1, 2].slice(0, components === 1 ? 1 : 3) : ORDERS[channels];

/** Of the planes that the engine made those of the network. */
export function mixed(planes: Float32Array, count: number, preprocess: Preprocess): Float32Array {
  if (channelCount(preprocess) === count) return planes;
  const area = planes.length / 3;
  return Float32Array.from({ length: area }, (_, i) =>
    LUMA.reduce((sum, weight, plane) => sum + weight * (planes[plane * area + i] as number), 0),
  );
}
