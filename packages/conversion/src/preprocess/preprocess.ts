/**
 * The preprocessing of a photograph for a network, step by step:
 *
 *   upright image → precrop → resize → crop → pad → rescale → normalise
 *
 *   plane[c] = (pixel[c] · rescale - mean[c]) / std[c]
 *
 * The steps and their rules are those of torchvision's transforms and Hugging Face's image processors (./processors).
 */
import { boolean, number, object, objectOf, oneOf, perChannel, whole, wrong } from "./fields.js";
import { PLAIN_RESAMPLES, RESAMPLES, type Resample } from "./filters.js";

export interface Preprocess {
  /** First the centre of the image. Its sides are shares of the image's shortest edge, up to 1, cut to whole pixels. */
  precrop?: Area;
  /** To the shortest edge in proportion, or to a size in any proportion. Without it the image keeps its size. */
  resize?: { shortestEdge: number } | Area;
  /** Then the centre of it. A smaller image gets black pixels (0) around it. */
  crop?: Area;
  /**
   * Where the centre begins if an odd number of pixels is left over. `"down"`: half a pixel is rounded down (Hugging
   * Face's processors, the default). `"even"`: to the even number (torchvision's `CenterCrop`). `"zero"`: towards 0,
   * which differs from `"down"` if the image is smaller than the crop (Hugging Face's "Fast" processors).
   */
  cropRounding?: CropRounding;
  /** Then pixels around it: `value`, 0 to 255, in all channels, by default 0. They are normalised like the others. */
  pad?: Pad;
  /** The filter for resizing, as in PIL: it widens as the image shrinks, unless `antialias` is false. */
  resample: Resample;
  /**
   * `false`: the filter keeps its width as the image shrinks, as PyTorch's `interpolate` and torchvision on tensors by
   * default, and OpenCV's INTER_LINEAR and INTER_CUBIC. Only `bilinear` and `bicubic` can be so; `nearest` always is.
   */
  antialias?: boolean;
  /** Usually 1/255. */
  rescale: number;
  /** Of each channel, in the network's order, after `rescale`. */
  mean: number[];
  std: number[];
  channels: "rgb" | "bgr" | "grayscale";
}

export interface Area {
  height: number;
  width: number;
}

/** The planes that a network takes. */
export interface PlaneSize extends Area {
  channels: number;
}

/** In pixels. */
export interface Pad {
  top: number;
  left: number;
  bottom: number;
  right: number;
  value?: number;
}

export const CHANNELS = ["rgb", "bgr", "grayscale"] as const;

export const CROP_ROUNDINGS = ["down", "even", "zero"] as const;
export type CropRounding = (typeof CROP_ROUNDINGS)[number];

/** Of torchvision's classifiers: 256 at the shortest edge, the middle 224x224, ImageNet's mean and deviation. */
export const TORCHVISION: Preprocess = {
  resize: { shortestEdge: 256 },
  crop: { height: 224, width: 224 },
  cropRounding: "even",
  resample: "bilinear",
  rescale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  channels: "rgb",
};

export const toldResize = (resize: NonNullable<Preprocess["resize"]>): string =>
  "height" in resize
    ? `resize to ${resize.height}x${resize.width}`
    : `resize the shortest edge to ${resize.shortestEdge}`;

/** How many planes the preprocessing gives. */
export const channelCount = ({ channels }: Pick<Preprocess, "channels">): number =>
  channels === "grayscale" ? 1 : 3;

/** The size after padding. */
export const padded = ({ height, width }: Area, { top, left, bottom, right }: Pad = NO_PAD): Area => ({
  height: height + top + bottom,
  width: width + left + right,
});

export const NO_PAD: Pad = { top: 0, left: 0, bottom: 0, right: 0 };

const FIELDS = [
  "precrop",
  "resize",
  "crop",
  "cropRounding",
  "pad",
  "resample",
  "antialias",
  "rescale",
  "mean",
  "std",
  "channels",
] as const satisfies readonly (keyof Preprocess)[];

/**
 * Checks a value that should be a {@link Preprocess}, such as one that comes from JSON.
 * @throws {PreprocessError} that names the field, what was found and what was expected.
 */
export function checkPreprocess(value: unknown): Preprocess {
  const fields = objectOf(value, FIELDS, "preprocess");
  const { precrop, resize, crop, cropRounding, pad, antialias } = fields;
  const resample = oneOf(fields.resample ?? "bilinear", RESAMPLES, "preprocess.resample");
  const channels = oneOf(fields.channels ?? "rgb", CHANNELS, "preprocess.channels");
  const count = channelCount({ channels });
  return {
    ...(precrop !== undefined && { precrop: shares(precrop, "preprocess.precrop") }),
    ...(resize !== undefined && { resize: checkResize(resize, "preprocess.resize") }),
    ...(crop !== undefined && { crop: area(crop, "preprocess.crop") }),
    ...(cropRounding !== undefined && {
      cropRounding: oneOf(cropRounding, CROP_ROUNDINGS, "preprocess.cropRounding"),
    }),
    ...(pad !== undefined && { pad: checkPad(pad, "preprocess.pad") }),
    resample,
    ...(antialias !== undefined && {
      antialias: checkAntialias(antialias, resample, "preprocess.antialias"),
    }),
    rescale: number(fields.rescale ?? 1 / 255, "preprocess.rescale"),
    mean: perChannel(fields.mean ?? 0, count, "preprocess.mean"),
    std: perChannel(fields.std ?? 1, count, "preprocess.std", true),
    channels,
  };
}

function checkResize(value: unknown, name: string): NonNullable<Preprocess["resize"]> {
  if (object(value, name).shortestEdge === undefined) return area(value, name);
  const { shortestEdge } = objectOf(value, ["shortestEdge"], name);
  return { shortestEdge: whole(shortestEdge, `${name}.shortestEdge`) };
}

function checkAntialias(value: unknown, resample: Resample, name: string): boolean {
  const antialias = boolean(value, name);
  if (!antialias && !PLAIN_RESAMPLES.includes(resample))
    throw wrong(name, value, `true with ${resample}; only ${PLAIN_RESAMPLES.join(", ")} can be without`);
  return antialias;
}

function area(value: unknown, name: string): Area {
  const { height, width } = objectOf(value, ["height", "width"], name);
  return { height: whole(height, `${name}.height`), width: whole(width, `${name}.width`) };
}

function shares(value: unknown, name: string): Area {
  const share = (found: unknown, field: string) => {
    if (typeof found === "number" && found > 0 && found <= 1) return found;
    throw wrong(`${name}.${field}`, found, "a share of the shortest edge, above 0 and up to 1");
  };
  const { height, width } = objectOf(value, ["height", "width"], name);
  return { height: share(height, "height"), width: share(width, "width") };
}

function checkPad(value: unknown, name: string): Pad {
  const sides = ["top", "left", "bottom", "right"] as const;
  const fields = objectOf(value, [...sides, "value"], name);
  const [top, left, bottom, right] = sides.map((side) => whole(fields[side] ?? 0, `${name}.${side}`, 0)) as [
    number,
    number,
    number,
    number,
  ];
  const level = number(fields.value ?? 0, `${name}.value`);
  if (level < 0 || level > 255) throw wrong(`${name}.value`, level, "a level from 0 to 255");
  return { top, left, bottom, right, ...(fields.value !== undefined && { value: level }) };
}
