/** What a file's header and the preprocessing decide together, computed once for all forms. */
import type { JpegImage } from "@jpeg-domain/coefficients";
import { filterOf } from "./filters.js";
import { type Geometry, geometry } from "./geometry.js";
import { flips, isTransposed } from "./orientation.js";
import type { Area, Preprocess } from "./preprocess.js";
import { coefficientsFor, type Sampled, type ScaledLayout, scaledLayout } from "./scaling.js";
import { mirrored, spanOf, type Taps, taps } from "./taps.js";

/** How one file becomes planes. */
export interface Job {
  geometry: Geometry;
  orientation: number;
  /** The inverse transform's size: `scale / 8` of the file's. */
  scale: number;
  layout: ScaledLayout;
  /** How many coefficients of each component's blocks are needed, also of one that is not. */
  needed: readonly number[];
  /** From the pixels at that scale to the crop, both in the file's own directions. */
  rows: Taps;
  columns: Taps;
}

/** What of a file's header a job depends on. */
export interface JobHeader extends Sampled {
  progressive: boolean;
  orientation?: number;
}

/** @throws {UnsupportedJpegError} if there are two components, whose colours no marker tells */
export function jobOf(header: JobHeader, preprocess: Preprocess): Job {
  const { width, height, orientation = 1 } = header;
  const swapped = isTransposed(orientation);
  const turned = (area: Area): Area => (swapped ? { width: area.height, height: area.width } : area);
  const upright = turned({ width, height });
  const where = geometry(preprocess, upright);
  const { source, resized, crop } = where;
  const scale = scaleFor(turned(source), turned(resized), preprocess);
  const layout = scaledLayout(needed(header, preprocess), scale);
  const { flipX, flipY } = flips(orientation);
  const axis = (inputs: number, side: "width" | "height", from: "left" | "top", flip: boolean) => {
    const span = spanOf(scale, inputs, [source[from], source[side], upright[side]], flip);
    const straight = taps(filterOf(preprocess), inputs, resized[side], crop[from], crop[side], span);
    return flip ? mirrored(straight, inputs) : straight;
  };
  const [rows, columns] = swapped
    ? [axis(layout.height, "width", "left", flipY), axis(layout.width, "height", "top", flipX)]
    : [axis(layout.height, "height", "top", flipY), axis(layout.width, "width", "left", flipX)];
  const counts = header.components.map((_, index) => {
    const { points } = layout.components[index] ?? { points: 1 };
    // The transforms of five points and more round a block without other coefficients in another way, and skipping those
    // of the last third of a sequential file's blocks saves no time (measured).
    return header.progressive || points < 5 ? coefficientsFor(points) : 64;
  });
  return { geometry: where, orientation, scale, layout, needed: counts, rows, columns };
}

/**
 * The smallest scale s of 1 to 8 at which the inverse transform gives `s / 8` of the file's size and no less than
 * `resized`; 8 if none does. A filter that is not antialiased takes single pixels, which only 8/8 has.
 * @param source The part that is resized. It and `resized` are in the file's own directions.
 */
function scaleFor(source: Area, resized: Area, preprocess: Preprocess): number {
  if (!filterOf(preprocess).antialiased) return 8;
  const scale = Math.max((8 * resized.width) / source.width, (8 * resized.height) / source.height);
  return Math.min(8, Math.ceil(scale));
}

/** The part of an image that is needed: luma alone, if the network takes gray and no chroma is finer. */
export function needed<Image extends Pick<JpegImage, "colorSpace"> & Pick<Sampled, "components">>(
  image: Image,
  { channels }: Pick<Preprocess, "channels">,
): Image {
  const [luma, ...chroma] = image.components;
  const isFinest = chroma.every(
    ({ horizontalSampling, verticalSampling }) =>
      horizontalSampling <= (luma?.horizontalSampling ?? 0) &&
      verticalSampling <= (luma?.verticalSampling ?? 0),
  );
  return channels === "grayscale" && image.colorSpace === "ycbcr" && isFinest
    ? { ...image, colorSpace: "grayscale", components: image.components.slice(0, 1) }
    : image;
}
