/** What the entrance computes, in float64: `image → pixels → upright → resampled → clamped → padded → planes`. */
import type { JpegComponent, JpegImage } from "../../jpeg/image.js";
import { spanOf, type Taps, taps } from "../filters.js";
import { type Geometry, geometry, isTransposed, type Part, scaleFor } from "../geometry.js";
import { type Area, channelCount, type Preprocess } from "../preprocess.js";
import { decodePixels, type Pixels } from "./pixels.js";

export interface Planes {
  /** `[C, H, W]` */
  data: Float32Array;
  channels: number;
  height: number;
  width: number;
}

/**
 * The planes a network takes of an image: the definition, to which the faster ways are held.
 *
 * @throws {UnsupportedJpegError} where the colours are not grayscale, YCbCr or RGB
 */
export function planesOf(image: JpegImage, preprocess: Preprocess): Planes {
  const { width, height, orientation = 1 } = image;
  const swapped = isTransposed(orientation);
  const turned = (area: Area): Area => (swapped ? { width: area.height, height: area.width } : area);
  const upright = turned({ width, height });
  const where = geometry(preprocess, upright);
  const { source, resized, crop } = where;
  const scale = scaleFor(turned(source), turned(resized), preprocess);
  const pixels = turnUpright(decodePixels(seen(image, preprocess), scale), orientation);
  const { flipX, flipY } = flips(orientation);
  const axis = (side: "height" | "width", from: "top" | "left") => {
    const isFlipped = (side === "width") !== swapped ? flipX : flipY;
    const span = spanOf(scale, pixels[side], [source[from], source[side], upright[side]], isFlipped);
    return taps(preprocess.resample, pixels[side], resized[side], crop[from], crop[side], span);
  };
  const [rows, columns] = [axis("height", "top"), axis("width", "left")];
  const sources = channelPlanes(pixels, preprocess).map((plane) =>
    surrounded(resample(plane, pixels.width, rows, columns), where, preprocess.pad?.value),
  );
  const { rescale, mean, std } = preprocess;
  const planes = sources.map((plane, c) =>
    plane.map((value) => (value * rescale - (mean[c] as number)) / (std[c] as number)),
  );
  const data = Float32Array.from(planes.flatMap((plane) => Array.from(plane)));
  return { data, channels: channelCount(preprocess), ...where.planes };
}

/** Levels around the crop: black up to the frame, `value` around that. */
function surrounded(plane: Float64Array, { crop, frame, at, planes }: Geometry, value = 0): Float64Array {
  return Float64Array.from({ length: planes.height * planes.width }, (_, index) => {
    const [y, x] = [Math.floor(index / planes.width), index % planes.width];
    const lies = ({ top, left, height, width }: Part) =>
      y >= top && y < top + height && x >= left && x < left + width;
    if (lies({ ...crop, ...at })) return plane[(y - at.top) * crop.width + x - at.left] as number;
    return lies(frame) ? 0 : value;
  });
}

/** What of the image takes part: for a network that sees gray, luma is enough of YCbCr, where no chroma is finer. */
export function seen<Image extends Pick<JpegImage, "colorSpace"> & { components: Sampling[] }>(
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

type Sampling = Pick<JpegComponent, "horizontalSampling" | "verticalSampling">;

/** Luma (ITU-R BT.601), which is PIL's gray. */
export const LUMA = [0.299, 0.587, 0.114] as const;

/** The planes in the network's order. */
function channelPlanes({ planes }: Pixels, { channels }: Preprocess): Float64Array[] {
  const [red, green = red, blue = red] = planes as [Float64Array, Float64Array?, Float64Array?];
  if (channels === "rgb") return [red, green, blue];
  if (channels === "bgr") return [blue, green, red];
  if (planes.length === 1) return [red];
  // As bytes, which PIL's gray is too.
  return [
    red.map((r, i) =>
      Math.floor(0.5 + LUMA[0] * r + LUMA[1] * (green[i] as number) + LUMA[2] * (blue[i] as number)),
    ),
  ];
}

/** As a viewer shows the image. */
function turnUpright(pixels: Pixels, orientation: number): Pixels {
  const swapped = isTransposed(orientation);
  const { flipX, flipY } = flips(orientation);
  const { width, height, planes } = pixels;
  const [w, h] = swapped ? [height, width] : [width, height];
  return {
    width: w,
    height: h,
    planes: planes.map((plane) =>
      plane.map((_, at) => {
        const x = at % w;
        const y = Math.floor(at / w);
        const [fx, fy] = swapped ? [y, x] : [x, y];
        return plane[(flipY ? height - 1 - fy : fy) * width + (flipX ? width - 1 - fx : fx)] as number;
      }),
    ),
  };
}

/** Whether the file's columns, and its rows, run backwards in the upright image (EXIF 2.3, tag 0x112). */
export function flips(orientation = 1): { flipX: boolean; flipY: boolean } {
  return { flipX: [2, 3, 7, 8].includes(orientation), flipY: [3, 4, 6, 7].includes(orientation) };
}

function resample(plane: Float64Array, width: number, rows: Taps, columns: Taps): Float64Array {
  const [h, w] = [rows.first.length, columns.first.length];
  const result = new Float64Array(h * w);
  const line = new Float64Array(width);
  for (let y = 0; y < h; y++) {
    line.fill(0);
    for (let t = 0; t < rows.count; t++) {
      const weight = rows.weights[y * rows.count + t] as number;
      const at = ((rows.first[y] as number) + t) * width;
      for (let x = 0; x < width; x++) line[x] = (line[x] as number) + weight * (plane[at + x] as number);
    }
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let t = 0; t < columns.count; t++)
        sum +=
          (columns.weights[x * columns.count + t] as number) *
          (line[(columns.first[x] as number) + t] as number);
      result[y * w + x] = Math.min(255, Math.max(0, sum));
    }
  }
  return result;
}
