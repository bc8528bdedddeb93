/**
 * How Hugging Face's image processors read a `preprocessor_config.json`: what a plain number as `size` means, the default of
 * an absent field, and what else they do. From the sources of `transformers` 4.57 (models/<name>/image_processing_<name>.py;
 * before 2023 feature_extraction_<name>.py). The names are those of the classes, without `ImageProcessor`.
 */
import type { Fields } from "../fields.js";

export interface Processor {
  /** What a plain number as `size` means. `undefined`: the processor refuses it. */
  plainSize: "square" | "shortest" | undefined;
  /** The values of absent fields. */
  defaults: Fields;
  /** Other defaults of the "Fast" class, which uses torchvision. */
  fast?: Fields;
  /** Whether it can crop the centre: always, only as the "Fast" class, or never. */
  crops: boolean | "fast";
  /** Whether it knows `do_normalize`. */
  normalizes: boolean;
  /** Whether it resizes without antialiasing. */
  isPlain?: boolean;
  /** Its rule for sizes, if not the usual: ./sizes.ts. */
  steps?: "convnext" | "levit" | "perceiver" | "poolformer" | "multiple";
  /** Fields that it has beside those of all classes. */
  reads?: readonly string[];
  /** Why its preprocessing cannot be done here. */
  refused?: string;
}

const square = (edge: number): Fields => ({ height: edge, width: edge });

const HALF = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const OPENAI_CLIP = {
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};

/** Pillow's codes. */
const [NEAREST, LANCZOS, BILINEAR, BICUBIC] = [0, 1, 2, 3] as const;

const USUAL: Fields = {
  do_resize: true,
  resample: BILINEAR,
  do_center_crop: false,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
};

type Row = Partial<Omit<Processor, "defaults">>;

/** A processor that resizes to a height and width. */
const toSize = (edge: number, defaults: Fields, row: Row = {}): Processor => ({
  ...{ plainSize: "square", crops: "fast", normalizes: true, ...row },
  defaults: { ...USUAL, size: square(edge), ...defaults },
});

/** A processor that resizes to a height and width, and crops the centre. */
const toSizeAndCrop = (edge: number, crop: number, defaults: Fields, row: Row = {}): Processor =>
  toSize(edge, { do_center_crop: true, crop_size: square(crop), ...defaults }, { crops: true, ...row });

/** A processor that resizes the shortest edge, and crops the centre. */
const toEdgeAndCrop = (edge: number, crop: number, defaults: Fields, row: Row = {}): Processor =>
  toSizeAndCrop(
    edge,
    crop,
    { size: { shortest_edge: edge }, ...defaults },
    { plainSize: "shortest", ...row },
  );

const refuse = (...reasons: [reason: string, names: string][]): [string, Processor][] =>
  reasons.flatMap(([refused, names]) =>
    names.split(" ").map((name): [string, Processor] => [name, toSize(224, {}, { refused })]),
  );

const CLIP = toEdgeAndCrop(224, 224, { resample: BICUBIC, ...OPENAI_CLIP });
const MOBILE_NET = toEdgeAndCrop(256, 224, HALF);
const DEPTH = toSize(
  384,
  { resample: BICUBIC, ...HALF, do_pad: false, keep_aspect_ratio: false, ensure_multiple_of: 1 },
  { steps: "multiple", reads: ["ensure_multiple_of"] },
);
/** The default, a longest edge, is refused: images would differ in size. Padding only fills up a batch, so it is idle here. */
const DETECTION = toSize(
  800,
  { ...IMAGENET, size: { shortest_edge: 800, longest_edge: 1333 } },
  { plainSize: undefined, crops: false, reads: ["do_pad", "pad_and_return_pixel_mask"] },
);
const SEGMENTATION = toSize(
  800,
  { ...IMAGENET, size: { shortest_edge: 800, longest_edge: 1333 }, size_divisor: 32 },
  { plainSize: undefined },
);
const DOCUMENT = toSize(384, { resample: BICUBIC, ...OPENAI_CLIP, crop_to_patches: false });

export const PROCESSORS: ReadonlyMap<string, Processor> = new Map<string, Processor>([
  [
    "Beit",
    toSizeAndCrop(
      256,
      224,
      { resample: BICUBIC, ...HALF },
      { fast: { size: square(224), do_center_crop: false } },
    ),
  ],
  ["Bit", CLIP],
  ["Blip", toSize(384, { resample: BICUBIC, ...OPENAI_CLIP })],
  [
    "Chameleon",
    toEdgeAndCrop(512, 512, {
      resample: LANCZOS,
      rescale_factor: 0.0078,
      image_mean: [1, 1, 1],
      image_std: [1, 1, 1],
    }),
  ],
  ["ChineseCLIP", CLIP],
  ["CLIP", CLIP],
  ["ConditionalDetr", DETECTION],
  [
    "ConvNext",
    toSize(
      384,
      { size: { shortest_edge: 384 }, crop_pct: 224 / 256, ...HALF },
      { plainSize: "shortest", crops: false, steps: "convnext", reads: ["crop_pct"] },
    ),
  ],
  ["DeformableDetr", DETECTION],
  ["DeiT", toSizeAndCrop(256, 224, { resample: BICUBIC, ...HALF })],
  ["Deta", DETECTION],
  ["Detr", DETECTION],
  // It resizes what is normalised, by PyTorch's interpolate.
  ["DepthPro", toSize(1536, HALF, { crops: false, isPlain: true })],
  ["DINOv3ViT", toSize(224, IMAGENET)],
  ["DPT", DEPTH],
  ["EfficientFormer", toSizeAndCrop(224, 224, { resample: BICUBIC, ...IMAGENET })],
  [
    "EfficientNet",
    toSizeAndCrop(
      346,
      289,
      { resample: NEAREST, ...HALF, do_center_crop: false, rescale_offset: false, include_top: true },
      { reads: ["rescale_offset", "include_top"] },
    ),
  ],
  ["Flava", toSizeAndCrop(224, 224, { resample: BICUBIC, ...OPENAI_CLIP })],
  ["Gemma3", toSize(224, HALF, { crops: false })],
  ["GLPN", toSize(0, { size_divisor: 32 }, { plainSize: undefined, normalizes: false })],
  ["GotOcr2", DOCUMENT],
  ["GroundingDino", DETECTION],
  [
    "LayoutLMv2",
    toSize(
      224,
      { do_rescale: false, do_flip_channel_order: true },
      { crops: false, normalizes: false, reads: ["do_flip_channel_order"] },
    ),
  ],
  ["LayoutLMv3", toSize(224, HALF)],
  ["Levit", toEdgeAndCrop(224, 224, { resample: BICUBIC, ...IMAGENET }, { steps: "levit" })],
  ["Llava", CLIP],
  ["Mask2Former", SEGMENTATION],
  ["MaskFormer", SEGMENTATION],
  ["MobileNetV1", MOBILE_NET],
  ["MobileNetV2", MOBILE_NET],
  [
    "MobileViT",
    toEdgeAndCrop(
      224,
      256,
      { do_flip_channel_order: true },
      { normalizes: false, reads: ["do_flip_channel_order"] },
    ),
  ],
  ["OneFormer", SEGMENTATION],
  ["Ovis2", { ...DOCUMENT, plainSize: undefined }],
  [
    "OwlViT",
    toSizeAndCrop(
      768,
      768,
      { resample: BICUBIC, ...OPENAI_CLIP, do_center_crop: false },
      { fast: { do_normalize: false } },
    ),
  ],
  ["Perceiver", toSizeAndCrop(224, 256, { resample: BICUBIC, ...IMAGENET }, { steps: "perceiver" })],
  [
    "PoolFormer",
    toEdgeAndCrop(
      224,
      224,
      { resample: BICUBIC, ...IMAGENET, crop_pct: 0.9 },
      { steps: "poolformer", reads: ["crop_pct", "do_resize_and_center_crop"] },
    ),
  ],
  ["PromptDepthAnything", { ...DEPTH, crops: false }],
  ["Pvt", toSize(224, IMAGENET)],
  [
    "RTDetr",
    toSize(
      640,
      { ...IMAGENET, do_normalize: false },
      { plainSize: undefined, crops: false, reads: ["do_pad"] },
    ),
  ],
  ["Sam2", toSize(1024, IMAGENET)],
  ["Segformer", toSize(512, IMAGENET, { crops: false })],
  ["Siglip", toSize(224, { resample: BICUBIC, ...HALF }, { plainSize: undefined })],
  [
    "SuperPoint",
    toSize(
      480,
      { size: { height: 480, width: 640 }, do_grayscale: false },
      { plainSize: undefined, crops: false, normalizes: false },
    ),
  ],
  ["ViT", toSize(224, HALF)],
  ["ViTHybrid", CLIP],
  ["Yolos", DETECTION],
  ...refuse(
    ["it prepares videos", "InstructBlipVideo LlavaNextVideo Tvlt Tvp VideoLlama3 VideoLlava VideoMAE Vivit"],
    ["it makes rows of patches", "Fuyu Glm4v Kosmos2_5 Pix2Struct Qwen2VL Siglip2"],
    [
      "it cuts an image into tiles",
      "Aria Cohere2Vision Idefics2 Idefics3 Lfm2Vl Llama4 LlavaNext LlavaOnevision Mllama PerceptionLM Phi4Multimodal SmolVLM",
    ],
    [
      "its images differ in size (size_divisor, do_pad)",
      "BridgeTower Eomt Emu3 Pixtral Swin2SR TextNet Vilt ZoeDepth",
    ],
    ["it pads to the longest edge (do_pad)", "DeepseekVL DeepseekVLHybrid Janus Owlv2 Sam"],
    ["it makes thumbnails (do_thumbnail, do_pad)", "Donut Nougat"],
    ["it makes colours into numbers of a palette (do_color_quantize)", "ImageGPT"],
    ["it takes more than one image", "EfficientLoFTR LightGlue SegGpt SuperGlue VitMatte VitPose"],
    ["it has fields of its own (image_size)", "Idefics"],
  ),
]);

/** Fields that do not change the planes of an image. */
export const IDLE: ReadonlySet<string> = new Set([
  ...["image_processor_type", "feature_extractor_type", "processor_class", "auto_map", "model_input_names"],
  ...[
    "transformers_version",
    "name_or_path",
    "num_channels",
    "patch_size",
    "return_tensors",
    "device",
    "disable_grouping",
    "default_to_square",
  ],
  ...["do_convert_rgb", "do_reduce_labels", "reduce_labels", "num_labels", "ignore_index"],
  ...["format", "do_convert_annotations", "class_info_file", "repo_path", "metadata", "num_text"],
  ...["apply_ocr", "ocr_lang", "tesseract_config", "prompt_scale_to_meter", "mask_size", "mask_pad_size"],
  ...["min_patches", "max_patches", "pan_and_scan_min_crop_size", "pan_and_scan_max_num_crops"],
  ...["pan_and_scan_min_ratio_to_activate", "image_seq_length", "use_covering_area_grid", "do_map_pixels"],
  ...["return_image_mask", "input_size_patches", "total_mask_patches", "mask_group_min_patches"],
  ...["mask_group_max_patches", "mask_group_min_aspect_ratio", "mask_group_max_aspect_ratio"],
  ...["return_codebook_pixels", "codebook_do_resize", "codebook_size", "codebook_resample"],
  ...["codebook_do_center_crop", "codebook_crop_size", "codebook_do_rescale", "codebook_rescale_factor"],
  ...["codebook_do_map_pixels", "codebook_do_normalize", "codebook_image_mean", "codebook_image_std"],
]);
