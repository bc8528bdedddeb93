/** What the entrance computes, in float64: `image → pixels → upright → resampled → clamped → planes`. */
import type { JpegComponent, JpegImage } from "../../jpeg/image.js";
import { decodePixels, type Pixels } from "../../transform/pixels.js";
import { type Taps, taps } from "../../transform/resample.js";
import { geometry, isTransposed, scaleFor } from "./geometry.js";
import { channelCount, type Preprocess } from "./preprocess.js";

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
 * @throws {ConvertError} where the resized image is smaller than the crop
 */
export function planesOf(image: JpegImage, preprocess: Preprocess): Planes {
  const { width, height, orientation = 1 } = image;
  const swapped = isTransposed(orientation);
  const upright = swapped ? { width: height, height: width } : { width, height };
  const { resized, crop } = geometry(preprocess, upright);
  const wanted = swapped ? { width: resized.height, height: resized.width } : resized;
  const pixels = turnUpright(decodePixels(seen(image, preprocess), scaleFor(image, wanted)), orientation);
  const rows = taps(preprocess.resample, pixels.height, resized.height, crop.top, crop.height);
  const columns = taps(preprocess.resample, pixels.width, resized.width, crop.left, crop.width);
  const sources = channelPlanes(pixels, preprocess).map((plane) =>
    resample(plane, pixels.width, rows, columns),
  );
  const area = crop.height * crop.width;
  const channels = channelCount(preprocess);
  const data = new Float32Array(channels * area);
  sources.forEach((plane, c) => {
    const { rescale, mean, std } = preprocess;
    data.set(
      plane.map((value) => (value * rescale - (mean[c] as number)) / (std[c] as number)),
      c * area,
    );
  });
  return { data, channels, height: crop.height, width: crop.width };
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
