/** The part of the colours that the host does: gray from red, green and blue. */
import { LUMA, ORDERS } from "../colors.js";
import { channelCount, type Preprocess } from "../preprocess.js";

/** Which of the image's planes the engine puts out: red 0, green 1, blue 2; gray alone is 0. */
export const madeOf = ({ channels }: Preprocess, components: number): readonly number[] =>
  channels === "grayscale" ? [0, 1, 2].slice(0, components === 1 ? 1 : 3) : ORDERS[channels];

/** From the engine's planes to the network's. */
export function mixed(planes: Float32Array, count: number, preprocess: Preprocess): Float32Array {
  if (channelCount(preprocess) === count) return planes;
  const area = planes.length / 3;
  return Float32Array.from({ length: area }, (_, i) =>
    LUMA.reduce((sum, weight, plane) => sum + weight * (planes[plane * area + i] as number), 0),
  );
}
