/** Configs of image processors: `preprocessor_config.json → Preprocess`. */
import { PreprocessError } from "../errors.js";
import { type Fields, number, object, oneOf, perChannel, shown, wrong } from "../fields.js";
import { FILTERS, RESAMPLES, type Resample } from "../filters.js";
import type { Area, Preprocess } from "../preprocess.js";
import { IDLE, PROCESSORS, type Processor } from "./classes.js";
import { sizesOf, timmSizes } from "./sizes.js";

/**
 * Reads a Hugging Face `preprocessor_config.json` as the class does that it names (`image_processor_type`,
 * `feature_extractor_type`), or a config of timm, with `pretrained_cfg`.
 *
 * Without a class, absent steps are not done, and a plain number as `size` is the shortest edge if there is a crop.
 *
 * @param config The file's text, or its parsed content.
 * @throws {PreprocessError} if it asks for something that is not supported; the message names the fields
 */
export function parsePreprocessorConfig(config: string | object): Preprocess {
  const whole = object(typeof config === "string" ? parse(config) : config, "preprocessor_config");
  // A processor_config.json has several.
  const fields = whole.image_processor == null ? whole : object(whole.image_processor, "image_processor");
  const type = fields.image_processor_type ?? fields.feature_extractor_type;
  if (fields.pretrained_cfg != null || type === "TimmWrapperImageProcessor") return timm(fields);
  const { name, isFast, processor } = type == null ? withoutType(fields) : ofType(type);
  if (processor.refused !== undefined)
    throw new PreprocessError(`${name}: ${processor.refused}; not supported`);
  // Null is Python's None, which means the class's default.
  const said = Object.fromEntries(
    Object.entries(fields).filter(([key, value]) => value !== null || isMeant(key, processor, isFast)),
  );
  const all: Fields = { ...processor.defaults, ...(isFast && processor.fast), ...said };
  checkUnderstood(name, all, processor);
  const sizes = sizesOf(all, processor, isFast);
  const { crop, resize } = sizes;
  const isIdle = crop && resize && "height" in resize && sameArea(crop, resize);
  const isCropped = processor.crops === "fast" ? isFast : processor.crops;
  if (all.do_center_crop && !isCropped && !isIdle)
    throw new PreprocessError(`${name} does not crop the centre, and has do_center_crop: not supported`);
  return { ...sizes, ...colors(all, processor) };
}

const sameArea = (a: Area, b: Area) => a.height === b.height && a.width === b.width;

/** Whether null has a meaning: PoolFormer without crop_pct does not enlarge the image. */
const isMeant = (key: string, { steps }: Processor, isFast: boolean) =>
  key === "crop_pct" && steps === "poolformer" && !isFast;

interface Named {
  name: string;
  isFast: boolean;
  processor: Processor;
}

const NAME = /^(\w+?)(?:FeatureExtractor|ImageProcessor(Fast|Pil)?)$/;

function ofType(type: unknown): Named {
  if (typeof type !== "string") throw wrong("image_processor_type", type, "the name of a class");
  const [, base = "", variant] = NAME.exec(type) ?? [];
  return {
    name: shown(type).slice(1, -1),
    isFast: variant === "Fast",
    processor: PROCESSORS.get(base) ?? UNKNOWN,
  };
}

/** The defaults of an unknown class are not known, so its config has to say everything. */
const UNKNOWN: Processor = {
  plainSize: undefined,
  crops: true,
  normalizes: true,
  defaults: { do_resize: undefined, do_rescale: undefined, do_normalize: undefined, resample: undefined },
};

/** Absent steps are not done. `crop_pct` without a crop is ConvNeXt's. */
function withoutType(fields: Fields): Named {
  const isCropped = fields.do_center_crop ?? fields.crop_size != null;
  const defaults: Fields = {
    do_resize: fields.size != null,
    do_center_crop: isCropped,
    crop_size: fields.size,
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: fields.image_mean != null,
  };
  const own = { crops: true, normalizes: true, reads: ["do_flip_channel_order"] };
  const plainSize = isCropped ? "shortest" : "square";
  const isConvNext = fields.crop_pct != null && !isCropped;
  const processor: Processor = isConvNext
    ? { ...own, defaults, plainSize: "shortest", steps: "convnext", reads: ["crop_pct"] }
    : { ...own, defaults, plainSize };
  return { name: "preprocessor_config", isFast: false, processor };
}

/** The fields that every class has. */
const READ: ReadonlySet<string> = new Set([
  ...["do_resize", "size", "resample", "do_center_crop", "crop_size"],
  ...["do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"],
]);
/** Parts of `size` with which images differ in size. */
const FREE_SIZES = ["longest_edge", "max_height", "max_width", "min_pixels", "max_pixels"];

/** Refuses settings that are not supported, and names them. */
function checkUnderstood(name: string, fields: Fields, processor: Processor): void {
  const { reads = [] } = processor;
  const isKnown = (key: string) =>
    READ.has(key) || IDLE.has(key) || reads.includes(key) || key.startsWith("_");
  // A value of 0, false or nothing asks for nothing.
  const asked = Object.keys(fields).filter((key) => Boolean(fields[key]) && !isKnown(key));
  const unknown = asked.filter((key) => !(isFormat(key) && fields[key] === "channels_first"));
  if (fields.do_resize && typeof fields.size === "object" && fields.size !== null)
    unknown.push(
      ...FREE_SIZES.filter((key) => (fields.size as Fields)[key] != null).map((key) => `size.${key}`),
    );
  if (unknown.length > 0)
    throw new PreprocessError(
      `${name} has ${unknown.map((key) => key.slice(0, 60)).join(", ")}: not supported`,
    );
  if (processor !== UNKNOWN) return;
  const needed = ["do_resize", "do_rescale", "do_normalize", ...(fields.do_resize ? ["resample"] : [])];
  const absent = needed.filter((key) => fields[key] === undefined);
  if (absent.length > 0)
    throw new PreprocessError(
      `${name} is not known, and so neither is what it does without ${absent.join(", ")}`,
    );
}

const isFormat = (key: string) => key === "data_format" || key === "input_data_format";

type Colors = Pick<Preprocess, "resample" | "antialias" | "rescale" | "mean" | "std" | "channels">;

function colors(fields: Fields, { normalizes, isPlain }: Processor): Colors {
  const { image_mean, image_std } = fields;
  const isNormalized = normalizes && fields.do_normalize;
  // A list of one number is for images with one channel.
  const isGray = normalizes && Array.isArray(image_mean) && image_mean.length === 1;
  const count = isGray ? 1 : 3;
  const isFlipped = fields.do_flip_channel_order === true && !isGray;
  // EfficientNet subtracts it after rescaling.
  const offset = fields.do_rescale && fields.rescale_offset ? 1 : 0;
  const mean = isNormalized ? perChannel(image_mean, count, "image_mean") : Array<number>(count).fill(0);
  const std = isNormalized ? perChannel(image_std, count, "image_std", true) : Array<number>(count).fill(1);
  // EfficientNet's classifier divides by the deviation again.
  const again = fields.include_top ? perChannel(image_std, count, "image_std", true) : undefined;
  if (isFlipped && new Set(mean).size + new Set(std).size > 2)
    throw new PreprocessError(
      "do_flip_channel_order beside image_mean or image_std that differ: not supported",
    );
  const resample = resampleOf(fields.resample ?? "bilinear");
  // Its bicubic is not clamped, and its nearest takes other pixels.
  if (isPlain && fields.do_resize && resample !== "bilinear")
    throw wrong("resample", fields.resample, "2 (bilinear), the only one supported without antialiasing");
  return {
    resample,
    ...(isPlain && { antialias: false }),
    rescale: fields.do_rescale ? number(fields.rescale_factor ?? 1 / 255, "rescale_factor") : 1,
    mean: mean.map((value) => value + offset),
    std: again ? std.map((value, c) => value * (again[c] as number)) : std,
    channels: isGray ? "grayscale" : isFlipped ? "bgr" : "rgb",
  };
}

function resampleOf(value: unknown): Resample {
  if (typeof value === "string") return oneOf(value.toLowerCase() as Resample, RESAMPLES, "resample");
  const found = RESAMPLES.find((name) => FILTERS[name].pillow === value);
  if (found === undefined)
    throw wrong("resample", value, RESAMPLES.map((name) => `${FILTERS[name].pillow} (${name})`).join(", "));
  return found;
}

/** The preprocessing that timm uses in evaluation, from a model's own config. */
function timm(fields: Fields): Preprocess {
  const config = object(fields.pretrained_cfg, "pretrained_cfg");
  const mean = config.mean ?? [0.485, 0.456, 0.406];
  const isGray = Array.isArray(config.input_size) && config.input_size[0] === 1;
  const count = isGray ? 1 : 3;
  const ofOne = (value: unknown) => (Array.isArray(value) && value.length === 1 ? value[0] : value);
  return {
    ...timmSizes(config),
    resample: resampleOf(config.interpolation || "bicubic"),
    rescale: 1 / 255,
    mean: perChannel(ofOne(mean), count, "mean"),
    std: perChannel(ofOne(config.std ?? [0.229, 0.224, 0.225]), count, "std", true),
    channels: isGray ? "grayscale" : "rgb",
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PreprocessError(`preprocessor_config is not JSON: ${text.slice(0, 60)}`);
  }
}
