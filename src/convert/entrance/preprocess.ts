/**
 * What stands between a photograph and a network that takes planes: `resize → crop → rescale → normalise`,
 *
 *   plane[c] = (pixel[c] · rescale - mean[c]) / std[c]
 *
 * as torchvision's transforms and Hugging Face's `preprocessor_config.json` describe it.
 */
import { ConvertError } from "../errors.js";

export interface Preprocess {
  /** To the shortest edge, the other one in proportion, or to a size whatever the proportions; none: as it is. */
  resize?: { shortestEdge: number } | Area;
  /** Then the middle of it. */
  crop?: Area;
  /** PIL's filters, which widen as the image shrinks ("antialias"). */
  resample: Resample;
  /** Usually 1/255. */
  rescale: number;
  /** For each channel, in the network's order, after `rescale`. */
  mean: number[];
  std: number[];
  channels: "rgb" | "bgr" | "grayscale";
}

export interface Area {
  height: number;
  width: number;
}

export const RESAMPLES = ["nearest", "bilinear", "bicubic", "lanczos"] as const;
export type Resample = (typeof RESAMPLES)[number];

const CHANNELS = ["rgb", "bgr", "grayscale"] as const;

/** Of torchvision's classifiers: 256 at the shortest edge, the middle 224x224, ImageNet's mean and deviation. */
export const TORCHVISION: Preprocess = {
  resize: { shortestEdge: 256 },
  crop: { height: 224, width: 224 },
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

/** How many planes it makes. */
export const channelCount = ({ channels }: Preprocess): number => (channels === "grayscale" ? 1 : 3);

/**
 * Checks a value that should be a {@link Preprocess}, such as one that comes from JSON.
 * @throws {ConvertError} that names the field, what was found and what was expected.
 */
export function checkPreprocess(value: unknown): Preprocess {
  const fields = object(value, "preprocess");
  const { resize, crop } = fields;
  const channels = oneOf(fields.channels ?? "rgb", CHANNELS, "preprocess.channels");
  const count = channels === "grayscale" ? 1 : 3;
  return {
    ...(resize !== undefined && { resize: checkResize(resize, "preprocess.resize") }),
    ...(crop !== undefined && { crop: area(crop, "preprocess.crop") }),
    resample: oneOf(fields.resample ?? "bilinear", RESAMPLES, "preprocess.resample"),
    rescale: number(fields.rescale ?? 1 / 255, "preprocess.rescale"),
    mean: perChannel(fields.mean ?? 0, count, "preprocess.mean"),
    std: perChannel(fields.std ?? 1, count, "preprocess.std", true),
    channels,
  };
}

/**
 * The preprocessing that a Hugging Face `preprocessor_config.json` describes.
 * @param config The file's text, or its parsed content.
 * @throws {ConvertError} where it asks for something else than resize, centre crop, rescale and normalise.
 */
export function parsePreprocessorConfig(config: string | object): Preprocess {
  const fields = object(typeof config === "string" ? parse(config) : config, "preprocessor_config");
  const crops = fields.do_center_crop ?? fields.crop_size !== undefined;
  const resizes = fields.do_resize ?? fields.size !== undefined;
  let resize = resizes ? configSize(fields.size, crops === true) : undefined;
  let crop = crops ? square(fields.crop_size ?? fields.size, "crop_size") : undefined;
  // ConvNeXt: below 384 the image is made larger than `size` by 1 / crop_pct, and cropped to it.
  if (fields.crop_pct != null && resize !== undefined && "shortestEdge" in resize) {
    const edge = resize.shortestEdge;
    crop = { height: edge, width: edge };
    const share = number(fields.crop_pct, "crop_pct");
    resize = edge < 384 ? { shortestEdge: Math.trunc(edge / share) } : { ...crop };
  }
  const channels = fields.do_flip_channel_order === true ? "bgr" : "rgb";
  const normalizes = fields.do_normalize ?? fields.image_mean !== undefined;
  return {
    ...(resize !== undefined && { resize }),
    ...(crop !== undefined && { crop }),
    resample: configResample(fields.resample ?? 2),
    rescale: fields.do_rescale === false ? 1 : number(fields.rescale_factor ?? 1 / 255, "rescale_factor"),
    mean: normalizes ? perChannel(fields.image_mean, 3, "image_mean") : [0, 0, 0],
    std: normalizes ? perChannel(fields.image_std, 3, "image_std", true) : [1, 1, 1],
    channels,
  };
}

/** PIL.Image.Resampling. */
const PIL_RESAMPLE: Record<string, Resample> = { 0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic" };

function configResample(value: unknown): Resample {
  if (typeof value === "string") return oneOf(value.toLowerCase(), RESAMPLES, "resample");
  const found = PIL_RESAMPLE[String(value)];
  if (found === undefined)
    throw wrong("resample", value, "0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)");
  return found;
}

/** A plain number is the shortest edge where a crop follows, and a square where none does. */
function configSize(value: unknown, crops: boolean): NonNullable<Preprocess["resize"]> {
  if (typeof value === "number")
    return crops ? { shortestEdge: whole(value, "size") } : square(value, "size");
  const { shortest_edge: edge, longest_edge: longest, height, width } = object(value, "size");
  if (edge !== undefined && longest === undefined) return { shortestEdge: whole(edge, "size.shortest_edge") };
  if (height !== undefined && width !== undefined) return area(value, "size");
  throw wrong("size", value, "a number, {shortest_edge} or {height, width}");
}

function checkResize(value: unknown, name: string): NonNullable<Preprocess["resize"]> {
  const fields = object(value, name);
  return fields.shortestEdge === undefined
    ? area(value, name)
    : { shortestEdge: whole(fields.shortestEdge, `${name}.shortestEdge`) };
}

function square(value: unknown, name: string): Area {
  if (typeof value === "number") return { height: whole(value, name), width: whole(value, name) };
  const edge = object(value, name).shortest_edge;
  return edge === undefined ? area(value, name) : square(edge, `${name}.shortest_edge`);
}

function area(value: unknown, name: string): Area {
  const { height, width } = object(value, name);
  return { height: whole(height, `${name}.height`), width: whole(width, `${name}.width`) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConvertError(`preprocessor_config is not JSON: ${text.slice(0, 60)}`);
  }
}

const wrong = (name: string, found: unknown, expected: string) =>
  new ConvertError(`${name} is ${JSON.stringify(found) ?? "missing"}; expected ${expected}`);

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(name, value, "an object");
  return value as Record<string, unknown>;
}

function number(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(name, value, "a number");
  return value;
}

/** Sides beyond this are a slip, and would ask for gigabytes. */
const MAX_SIDE = 16384;

function whole(value: unknown, name: string): number {
  const result = number(value, name);
  if (!Number.isInteger(result) || result < 1 || result > MAX_SIDE)
    throw wrong(name, value, `a whole number from 1 to ${MAX_SIDE}`);
  return result;
}

/** One value stands for all channels. */
function perChannel(value: unknown, count: number, name: string, divides = false): number[] {
  const list = typeof value === "number" ? Array<number>(count).fill(value) : value;
  const sound = (entry: unknown) => typeof entry === "number" && Number.isFinite(entry);
  if (!Array.isArray(list) || list.length !== count || !list.every(sound) || (divides && list.includes(0)))
    throw wrong(name, value, `${count} numbers${divides ? ", none of them 0" : ""}`);
  return list as number[];
}

function oneOf<T extends string>(value: unknown, choices: readonly T[], name: string): T {
  if (!choices.includes(value as T)) throw wrong(name, value, choices.join(", "));
  return value as T;
}
