/** The rules of image processors for sizes: `size, crop_size, … → precrop, resize, crop`. */
import { type Fields, number, object, oneOf, whole, wrong } from "../fields.js";
import type { Area, CropRounding, Preprocess } from "../preprocess.js";
import type { Processor } from "./classes.js";

export type Sizes = Pick<Preprocess, "precrop" | "resize" | "crop" | "cropRounding">;
type Resize = NonNullable<Preprocess["resize"]>;

/** The sizes that a config gives; undefined if the step is not done. */
interface Said {
  fields: Fields;
  size: Resize | undefined;
  crop: Area | undefined;
  /** Whether it is a "Fast" class. */
  isFast: boolean;
}

/** @param fields Those of the config, and the processor's defaults for absent ones. */
export function sizesOf(fields: Fields, { plainSize, steps }: Processor, isFast: boolean): Sizes {
  const crop = fields.do_center_crop ? cropSize(fields.crop_size) : undefined;
  const size = fields.do_resize ? resizeSize(fields.size, plainSizeOf(fields, plainSize, isFast)) : undefined;
  const said: Said = { fields, size, crop, isFast };
  const cropRounding: CropRounding = isFast ? "zero" : "down";
  return { cropRounding, ...(steps ? STEPS[steps](said) : plain(said)) };
}

const plain = ({ size, crop }: Said): Sizes => ({ ...(size && { resize: size }), ...(crop && { crop }) });

const STEPS: Record<NonNullable<Processor["steps"]>, (said: Said) => Sizes> = {
  /** Below 384 the image is resized to `size / crop_pct` and cropped to `size`. From 384 on it becomes a square. */
  convnext({ fields, size, isFast }) {
    if (size === undefined) return {};
    if (!("shortestEdge" in size)) throw wrong("size", fields.size, "{shortest_edge}");
    const { shortestEdge: edge } = size;
    const square = { height: edge, width: edge };
    if (edge >= 384) return { resize: square };
    const resize = { shortestEdge: larger(edge, fields) };
    return { resize, crop: square, ...(isFast && { cropRounding: "even" as const }) };
  },
  /** The shortest edge is 256/224 of `size`. */
  levit: ({ size, ...said }) =>
    plain({ ...said, size: size && shortest(size, (edge) => Math.trunc((256 / 224) * edge)) }),
  /** The shortest edge, or that of a square, is `size / crop_pct`. */
  poolformer({ fields, size, ...said }) {
    const isSquare = size && "height" in size && size.height === size.width;
    const edge = isSquare ? { shortestEdge: size.height } : size;
    const isPlain = edge === undefined || fields.crop_pct === null;
    return plain({
      ...{ fields, ...said },
      size: isPlain
        ? size
        : "height" in edge
          ? { height: larger(edge.height, fields), width: larger(edge.width, fields) }
          : shortest(edge, (length) => larger(length, fields)),
    });
  },
  /** The crop comes first: `size / crop_size` of the shortest edge. */
  perceiver({ fields, size, crop }) {
    if (crop === undefined) return plain({ fields, size, crop, isFast: false });
    const whole = resizeSize(fields.size, "square");
    if (!("height" in whole)) throw wrong("size", fields.size, "{height, width}");
    const precrop = { height: whole.height / crop.height, width: whole.width / crop.width };
    if (precrop.height > 1 || precrop.width > 1)
      throw wrong("crop_size", fields.crop_size, "no less than size, of which it is the divisor");
    return { precrop, ...(size && { resize: size }) };
  },
  /** Rounded to multiples, a half to the even one. In proportion, images would differ in size. */
  multiple({ fields, size, ...said }) {
    const of = number(fields.ensure_multiple_of, "ensure_multiple_of");
    const rounded = (length: number) => {
      const low = Math.floor(length / of);
      const rest = length / of - low;
      return (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low) * of;
    };
    if (size === undefined || !("height" in size) || of === 1) return plain({ fields, size, ...said });
    const sides = { height: rounded(size.height), width: rounded(size.width) };
    return plain({
      ...{ fields, ...said },
      size: { height: whole(sides.height, "size.height"), width: whole(sides.width, "size.width") },
    });
  },
};

const shortest = (size: Resize, change: (edge: number) => number): Resize =>
  "shortestEdge" in size ? { shortestEdge: whole(change(size.shortestEdge), "size") } : size;

function larger(edge: number, { crop_pct }: Fields): number {
  const share = number(crop_pct, "crop_pct");
  if (share <= 0) throw wrong("crop_pct", crop_pct, "a number above 0");
  return whole(Math.trunc(edge / share), "size / crop_pct");
}

function plainSizeOf(fields: Fields, own: Processor["plainSize"], isFast: boolean): Processor["plainSize"] {
  if (!isFast || typeof fields.default_to_square !== "boolean") return own;
  return fields.default_to_square ? "square" : "shortest";
}

function resizeSize(value: unknown, plainSize: Processor["plainSize"]): Resize {
  const forms = "[height, width], {height, width} or {shortest_edge}";
  if (typeof value === "number") {
    if (plainSize === undefined) throw wrong("size", value, forms);
    const edge = whole(value, "size");
    return plainSize === "shortest" ? { shortestEdge: edge } : { height: edge, width: edge };
  }
  if (Array.isArray(value)) return sides(value, "size", forms);
  const { shortest_edge: edge, height, width } = object(value, "size");
  if (edge !== undefined && height === undefined && width === undefined)
    return { shortestEdge: whole(edge, "size.shortest_edge") };
  if (edge === undefined && height !== undefined && width !== undefined)
    return { height: whole(height, "size.height"), width: whole(width, "size.width") };
  throw wrong("size", value, `a number, ${forms}`);
}

function cropSize(value: unknown): Area {
  const forms = "a number, [height, width] or {height, width}";
  if (typeof value === "number")
    return { height: whole(value, "crop_size"), width: whole(value, "crop_size") };
  if (Array.isArray(value)) return sides(value, "crop_size", forms);
  const { height, width } = object(value, "crop_size");
  if (height === undefined || width === undefined) throw wrong("crop_size", value, forms);
  return { height: whole(height, "crop_size.height"), width: whole(width, "crop_size.width") };
}

function sides(value: unknown[], name: string, forms: string): Area {
  if (value.length !== 2) throw wrong(name, value, forms);
  return { height: whole(value[0], `${name}[0]`), width: whole(value[1], `${name}[1]`) };
}

const CROP_MODES = ["center", "squash"] as const;

/** The sizes of a timm config, as in `transforms_imagenet_eval` (timm/data/transforms_factory.py). */
export function timmSizes(config: Fields): Sizes {
  const input = config.input_size ?? [3, 224, 224];
  if (!Array.isArray(input) || input.length !== 3)
    throw wrong("input_size", input, "[channels, height, width]");
  const crop = sides(input.slice(1), "input_size", "[channels, height, width]");
  const share = { crop_pct: config.crop_pct || 0.875 };
  const mode = oneOf(config.crop_mode || "center", CROP_MODES, "crop_mode");
  const size = { height: larger(crop.height, share), width: larger(crop.width, share) };
  if (mode === "center" && size.height !== size.width)
    throw wrong("input_size", input, 'a square, or crop_mode "squash"');
  const resize = mode === "center" ? { shortestEdge: size.height } : size;
  return { resize, crop, cropRounding: "even" };
}
