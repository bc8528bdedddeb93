/** The baseline to compare with, from a JPEG file to a network's planes: sharp decodes and resizes, we crop and normalise. */

import { JpegDomainError } from "@jpeg-domain/coefficients";
import { MAX_PIXELS } from "@jpeg-domain/coefficients/internal";
import type { PlaneSize, Preprocess, Resample } from "@jpeg-domain/conversion";
import { geometry } from "@jpeg-domain/conversion/internal";
import type { ResizeOptions } from "sharp";

/** A decoder's pixels: `[height, width, channels]`, 0 to 255. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

/** The two stages before the network. */
export interface Baseline {
  /** Decodes and resizes, with a scaled inverse transform if the file is large enough. */
  decode(bytes: Uint8Array, preprocess: Preprocess): Promise<Pixels>;
  normalize: typeof normalize;
}

const KERNELS: Partial<Record<Resample, NonNullable<ResizeOptions["kernel"]>>> = {
  nearest: "nearest",
  bilinear: "linear",
  bicubic: "cubic",
  lanczos: "lanczos3",
};

/**
 * Opens the baseline. It needs sharp, which is not one of this package's dependencies.
 * @throws {JpegDomainError} if sharp is not installed
 */
export async function openBaseline({ strict = false, maxPixels = MAX_PIXELS } = {}): Promise<Baseline> {
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => {
      throw new JpegDomainError("this compares with sharp, which is not installed: npm install sharp");
    },
  );
  return {
    async decode(bytes, { precrop, resize, resample, antialias, channels }) {
      if (precrop !== undefined)
        throw new JpegDomainError(
          "the preprocessing has a precrop, which the comparison with sharp does not support",
        );
      if (antialias === false && resample !== "nearest")
        throw new JpegDomainError(
          "the preprocessing resizes without antialiasing, which the comparison with sharp does not support",
        );
      const failOn = strict ? "warning" : "none";
      let image = sharp(bytes, { autoOrient: true, failOn, limitInputPixels: maxPixels });
      if (resize !== undefined) image = image.resize(resizeOptions(resize, resample));
      if (channels === "grayscale") image = image.toColourspace("b-w");
      const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
      return { data, width: info.width, height: info.height, channels: info.channels };
    },
    normalize,
  };
}

function resizeOptions(resize: NonNullable<Preprocess["resize"]>, resample: Resample): ResizeOptions {
  const kernel = KERNELS[resample];
  if (kernel === undefined)
    throw new JpegDomainError(`sharp has no filter ${resample}; expected ${Object.keys(KERNELS).join(", ")}`);
  return "shortestEdge" in resize
    ? { width: resize.shortestEdge, height: resize.shortestEdge, fit: "outside", kernel }
    : { ...resize, fit: "fill", kernel };
}

/** Crops the pixels and writes them as planes: `(pixel · rescale - mean) / std`, from a table for each channel. */
export function normalize(pixels: Pixels, preprocess: Preprocess, size: PlaneSize, out: Float32Array): void {
  const { data, width, channels } = pixels;
  const { rescale, mean, std, crop: part, cropRounding, pad } = preprocess;
  const sizes = { ...(part && { crop: part }), ...(cropRounding && { cropRounding }), ...(pad && { pad }) };
  const { crop, at: place, planes, frame } = geometry(sizes, pixels);
  if (planes.width !== size.width || planes.height !== size.height)
    throw new JpegDomainError(
      `the preprocessing gives planes of ${planes.width}x${planes.height}, but the network takes ${size.width}x${size.height}`,
    );
  const area = size.height * size.width;
  for (let c = 0; c < size.channels; c++) {
    const normal = (value: number) => (value * rescale - (mean[c] as number)) / (std[c] as number);
    const table = Float32Array.from({ length: 256 }, (_, value) => normal(value));
    const channel = channels < 3 ? 0 : preprocess.channels === "bgr" ? 2 - c : c;
    const plane = out.subarray(c * area, (c + 1) * area);
    if (crop.height < size.height || crop.width < size.width) plane.fill(normal(pad?.value ?? 0));
    const line = (y: number) => (place.top + y) * size.width + place.left;
    for (let y = frame.top; y < frame.top + frame.height && pad?.value; y++)
      plane.fill(normal(0), y * size.width + frame.left, y * size.width + frame.left + frame.width);
    for (let y = 0; y < crop.height; y++) {
      let from = ((crop.top + y) * width + crop.left) * channels + channel;
      let at = line(y);
      for (const end = at + crop.width; at < end; at++, from += channels)
        plane[at] = table[data[from] as number] as number;
    }
  }
}
