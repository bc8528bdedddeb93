/** Constants of colours that all forms share. */
import type { Preprocess } from "./preprocess.js";

/** The weights of luma (ITU-R BT.601), PIL's gray. */
export const LUMA = [0.299, 0.587, 0.114] as const;

/** Red, green and blue of Y, Cb - 128 and Cr - 128 (ITU-T T.871, 7). */
export const FROM_YCBCR = [
  [1, 0, 1.402],
  [1, -0.344136286, -0.714136286],
  [1, 1.772, 0],
] as const;

/** Which colour each channel of the network is: red 0, green 1, blue 2. */
export const ORDERS: Record<
  Exclude<Preprocess["channels"], "grayscale">,
  readonly [number, number, number]
> = {
  rgb: [0, 1, 2],
  bgr: [2, 1, 0],
};
