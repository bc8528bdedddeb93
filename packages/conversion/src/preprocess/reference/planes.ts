/**
 * The definition, in float64 and written for reading. The graph and WebAssembly are held to it.
 *
 *   coefficients → samples → pixels → colours → resampled → upright → padded → normalised
 *
 * What a decoder rounds is rounded here too, since networks were trained on it. Coefficients are smoothed first if scans
 * are missing (packages/coefficients/src/jpeg/smoothing.ts).
 */
import type { JpegComponent, JpegImage } from "@jpeg-domain/coefficients";
import { smoothed } from "@jpeg-domain/coefficients/internal";
import { jobOf, needed } from "../job.js";
import { channelCount, type PlaneSize, type Preprocess } from "../preprocess.js";
import type { ScaledComponent } from "../scaling.js";
import { colors } from "./color.js";
import { inverse } from "./inverse.js";
import { normalized, surrounded } from "./normalize.js";
import { upright } from "./orientation.js";
import { resample } from "./resample.js";
import { upsample } from "./upsample.js";

export interface Planes extends PlaneSize {
  /** `[channels, height, width]` */
  data: Float32Array;
}

/**
 * The planes that a network takes of an image.
 * @throws {UnsupportedJpegError} if there are two components, whose colours no marker tells
 */
export function planesOf(file: JpegImage, preprocess: Preprocess): Planes {
  const image = needed(smoothed(file), preprocess);
  const { geometry, layout, rows, columns, orientation } = jobOf(image, preprocess);
  const pixels = image.components.map((component: JpegComponent, c) => {
    const scaled = layout.components[c] as ScaledComponent;
    return upsample(inverse(component, scaled, image.coefficientsPerBlock ?? 64), scaled, layout);
  });
  const planes = colors(pixels, image.colorSpace, preprocess.channels)
    .map((plane) => upright(resample(plane, layout.width, rows, columns), geometry.crop, orientation))
    .map((plane, c) => normalized(surrounded(plane, geometry, preprocess.pad?.value), c, preprocess));
  const data = Float32Array.from(planes.flatMap((plane) => Array.from(plane)));
  return { data, channels: channelCount(preprocess), ...geometry.planes };
}
