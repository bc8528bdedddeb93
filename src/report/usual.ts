/** The usual way from a JPEG file to a network's planes, as a peer: `sharp: decode, resize → crop and normalise here`. */
import type { ResizeOptions } from "sharp";
import type { Preprocess, Resample } from "../convert/entrance/preprocess.js";
import { JpegDomainError } from "../errors.js";
import type { PlaneSize } from "../runtime/entrance.js";

/** Pixels as decoders give them: `[height, width, channels]`, 0 to 255. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

/** The two stages before the network. */
export interface UsualWay {
  /** Decodes and resizes, at a smaller scale of the inverse transform where the file's size allows it. */
  decode(bytes: Uint8Array, preprocess: Preprocess): Promise<Pixels>;
  normalize: typeof normalize;
}

const KERNELS = { nearest: "nearest", bilinear: "linear", bicubic: "cubic", lanczos: "lanczos3" } as const;

/**
 * The usual way with sharp, which is not among this package's dependencies.
 * @throws {JpegDomainError} where it is not installed
 */
export async function usualWay(): Promise<UsualWay> {
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => {
      throw new JpegDomainError("sharp is not installed, which this compares with: npm install sharp");
    },
  );
  return {
    async decode(bytes, { resize, resample, channels }) {
      let image = sharp(bytes, { autoOrient: true });
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
  return "shortestEdge" in resize
    ? { width: resize.shortestEdge, height: resize.shortestEdge, fit: "outside", kernel }
    : { ...resize, fit: "fill", kernel };
}

/** The middle of the pixels as planes: `(pixel · rescale - mean) / std`, from a table for each channel. */
export function normalize(pixels: Pixels, preprocess: Preprocess, size: PlaneSize, out: Float32Array): void {
  const { data, width, height, channels } = pixels;
  const { rescale, mean, std } = preprocess;
  if (width < size.width || height < size.height)
    throw new JpegDomainError(
      `the image is ${width}x${height} after the resize, the crop is ${size.width}x${size.height}`,
    );
  const top = (height - size.height) >> 1;
  const left = (width - size.width) >> 1;
  for (let c = 0, at = 0; c < size.channels; c++) {
    const table = Float32Array.from(
      { length: 256 },
      (_, value) => (value * rescale - (mean[c] as number)) / (std[c] as number),
    );
    const channel = channels < 3 ? 0 : preprocess.channels === "bgr" ? 2 - c : c;
    for (let y = 0; y < size.height; y++) {
      let from = ((top + y) * width + left) * channels + channel;
      for (const end = at + size.width; at < end; at++, from += channels)
        out[at] = table[data[from] as number] as number;
    }
  }
}
