/** Normalisation, which the engine does as it resamples, and padding, which the host does. */
import type { Geometry } from "../geometry.js";
import { channelCount, type Preprocess } from "../preprocess.js";

/** `pixel · factor + offset` of a channel. */
export const scaleAndShift = ({ rescale, mean, std }: Preprocess, c: number) => ({
  factor: rescale / (std[c] as number),
  offset: -(mean[c] as number) / (std[c] as number),
});

/** Fills the planes with what is around the crop: black up to the frame, then the level of the padding. */
export function surround({ planes, frame }: Geometry, preprocess: Preprocess, out: Float32Array): void {
  const { rescale, mean, std, pad } = preprocess;
  const area = planes.height * planes.width;
  for (let c = 0; c < channelCount(preprocess); c++) {
    const normal = (level: number) => (level * rescale - (mean[c] as number)) / (std[c] as number);
    const plane = out.subarray(c * area, (c + 1) * area);
    plane.fill(normal(pad?.value ?? 0));
    if (!pad?.value) continue;
    for (let y = frame.top; y < frame.top + frame.height; y++) {
      const from = y * planes.width + frame.left;
      plane.fill(normal(0), from, from + frame.width);
    }
  }
}
