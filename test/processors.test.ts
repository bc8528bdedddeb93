/**
 * Configs of image processors, read as their classes do: compared with the results of `transformers` for two pictures
 * (test/cases/hf/expected.json), and with the same arithmetic in PIL and NumPy for larger ones.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { encodeJpeg, readHeader } from "@jpeg-domain/coefficients";
import {
  checkPreprocess,
  type Preprocess,
  PreprocessError,
  parsePreprocessorConfig,
} from "@jpeg-domain/conversion";
import { describe, expect, test } from "vitest";
import { geometry } from "../packages/conversion/src/preprocess/geometry.js";
import { channelCount } from "../packages/conversion/src/preprocess/preprocess.js";
import { compare, pythonWithPil } from "./jpeg/pixels.js";
import { filled } from "./jpeg/preprocess.js";
import { describeWith } from "./jpeg/tools.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const read = (name: string) => readFileSync(path(`cases/hf/${name}`));

interface Row {
  /** The name of a file, or of the class and its fields in `config`. */
  name: string;
  config?: object;
  image: "landscape" | "portrait";
  shape: [channels: number, height: number, width: number];
  samples: [channel: number, row: number, column: number, value: number][];
}

const { rows } = JSON.parse(read("expected.json").toString()) as { rows: Row[] };
const PICTURES = {
  landscape: new Uint8Array(read("landscape.jpg")),
  portrait: new Uint8Array(read("portrait.jpg")),
};

/** Normalised values per level of 0 to 255. */
const level = ({ rescale, std }: Preprocess, channel: number) => Math.abs(rescale / (std[channel] as number));

describe("configs are read as transformers reads them", () => {
  test.each(rows.map((row) => [`${row.name}, ${row.image}`, row] as const))("%s", (_, row) => {
    const { name, config, image, shape, samples } = row;
    const preprocess = parsePreprocessorConfig(config ?? read(name).toString());
    expect(checkPreprocess(JSON.parse(JSON.stringify(preprocess)))).toEqual(preprocess);
    const [channels, height, width] = shape;
    const jpeg = PICTURES[image];
    const found = filled(jpeg, preprocess, { height, width });
    expect(geometry(preprocess, readHeader(jpeg)).planes).toEqual({ height, width });
    expect(channelCount(preprocess)).toBe(channels);
    // PIL rounds to bytes after each direction; we shrink from fewer coefficients.
    const upright = geometry(preprocess, readHeader(jpeg));
    const shrinks =
      upright.resized.height < upright.source.height || upright.resized.width < upright.source.width;
    for (const [channel, y, x, value] of samples) {
      const difference = (found[(channel * height + y) * width + x] as number) - value;
      const levels = Math.abs(difference) / level(preprocess, channel);
      expect(levels, `${channel} ${y} ${x}: ${value}`).toBeLessThan(shrinks ? 12 : 6);
    }
  });
});

/** Files whose configs ask for something unsupported, and what the error must name. */
const REFUSED: Record<string, RegExp> = {
  "depth_anything.json": /^DPTImageProcessor has keep_aspect_ratio: not supported$/,
  "glpn.json": /^GLPNImageProcessor has size_divisor: not supported$/,
  "yolos_longest.json": /^YolosImageProcessor has size\.longest_edge: not supported$/,
};

describe("unsupported configs", () => {
  test("each file is read or refused", () => {
    const files = readdirSync(path("cases/hf")).filter(
      (name) => name.endsWith(".json") && name !== "expected.json",
    );
    expect(files.length).toBeGreaterThanOrEqual(36);
    const known = new Set(rows.map(({ name }) => name));
    for (const name of files) expect(known.has(name) !== name in REFUSED, name).toBe(true);
  });

  test.each(Object.entries(REFUSED))("%s is refused by name", (name, message) => {
    const parse = () => parsePreprocessorConfig(read(name).toString());
    expect(parse).toThrow(PreprocessError);
    expect(parse).toThrow(message);
  });

  const vit = { image_processor_type: "ViTImageProcessor", size: { height: 224, width: 224 } };
  test.each<[string, object, RegExp]>([
    ["padding", { ...vit, do_pad: true }, /^ViTImageProcessor has do_pad: not supported$/],
    ["several", { ...vit, do_pad: true, do_thumbnail: true }, /do_pad, do_thumbnail/],
    [
      "a class's own",
      { image_processor_type: "DonutImageProcessor" },
      /^DonutImageProcessor: .*do_thumbnail/,
    ],
    [
      "of its default",
      { image_processor_type: "MaskFormerImageProcessor" },
      /size_divisor, size\.longest_edge/,
    ],
    ["a share of another class", { ...vit, crop_pct: 0.9 }, /crop_pct/],
    ["a field that nobody knows", { ...vit, sharpen: 2 }, /^ViTImageProcessor has sharpen: not supported$/],
    [
      "a middle that the class does not take",
      { ...vit, do_center_crop: true, crop_size: 200 },
      /do_center_crop/,
    ],
    ["channels last", { ...vit, data_format: "channels_last" }, /data_format/],
    [
      "videos",
      { feature_extractor_type: "VideoMAEFeatureExtractor" },
      /^VideoMAEFeatureExtractor: it prepares videos/,
    ],
    [
      "a class that is not known",
      { ...vit, image_processor_type: "NewImageProcessor" },
      /^NewImageProcessor is not known/,
    ],
    ["no class's name", { ...vit, image_processor_type: 7 }, /image_processor_type is 7/],
    ["a class of objects", { ...vit, image_processor_type: "constructor" }, /^constructor is not known/],
    [
      "a number that can be two things",
      { image_processor_type: "SiglipImageProcessor", size: 224 },
      /^size is 224/,
    ],
    [
      "a share of 0",
      { image_processor_type: "ConvNextImageProcessor", size: 224, crop_pct: 0 },
      /crop_pct is 0/,
    ],
    [
      "sides of a ConvNeXt",
      { ...vit, image_processor_type: "ConvNextImageProcessor" },
      /expected \{shortest_edge\}/,
    ],
    [
      "flipped channels of different means",
      { size: 8, do_flip_channel_order: true, image_mean: [1, 2, 3], image_std: [1, 1, 1] },
      /do_flip_channel_order/,
    ],
    [
      "a size beyond reason",
      { image_processor_type: "PoolFormerImageProcessor", size: 224, crop_pct: 1e-9 },
      /whole number/,
    ],
    ["a timm border", { pretrained_cfg: { crop_mode: "border" } }, /crop_mode is "border"/],
    ["a timm oblong", { pretrained_cfg: { input_size: [3, 224, 160] } }, /input_size is/],
  ])("%s is refused by name", (_, config, message) => {
    expect(() => parsePreprocessorConfig(config)).toThrow(PreprocessError);
    expect(() => parsePreprocessorConfig(config)).toThrow(message);
  });

  test("null means the class's default, and false means no", () => {
    const plain = parsePreprocessorConfig(vit);
    const nulls = { resample: null, do_pad: null, size_divisor: null, image_mean: null, crop_pct: null };
    const off = { do_pad: false, do_thumbnail: false, _commit_hash: "a", processor_class: "ViTProcessor" };
    expect(parsePreprocessorConfig({ ...vit, ...nulls, ...off })).toEqual(plain);
    expect(parsePreprocessorConfig({ image_processor: { ...vit }, processor_class: "X" })).toEqual(plain);
  });
});

test("timm's configs: the shares, filters and rounding of its evaluation", () => {
  const mean = [0.5, 0.5, 0.5];
  const pretrained_cfg = {
    input_size: [3, 224, 224],
    crop_pct: 0.9,
    interpolation: "bicubic",
    mean,
    std: mean,
  };
  const timm = {
    cropRounding: "even",
    resample: "bicubic",
    rescale: 1 / 255,
    mean,
    std: mean,
    channels: "rgb",
  };
  const crop = { height: 224, width: 224 };
  expect(parsePreprocessorConfig({ pretrained_cfg })).toEqual({
    ...timm,
    resize: { shortestEdge: 248 },
    crop,
  });
  const squash = { ...pretrained_cfg, crop_mode: "squash", crop_pct: 1 };
  expect(parsePreprocessorConfig({ pretrained_cfg: squash })).toEqual({ ...timm, resize: crop, crop });
});

/** A picture with smooth parts and edges. */
function photograph(width: number, height: number): Uint8Array {
  const plane = (shift: number) =>
    Uint8Array.from({ length: width * height }, (_, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      const disc = Math.hypot(x - width / 3, y - height / 2) < height / 4 ? 40 : 0;
      return 110 + 60 * Math.sin(x / 41 + shift) * Math.cos(y / 37 - shift) + 8 * Math.sin(x / 9) + disc;
    });
  const planes = [plane(0), plane(1), plane(2)];
  return encodeJpeg({ width, height, colorSpace: "rgb", planes }, { quality: 92, subsampling: "4:2:0" });
}

const PYTHON = pythonWithPil();
describeWith(
  PYTHON !== undefined,
  "PIL and NumPy",
  "against the processors' arithmetic in PIL and NumPy",
  () => {
    const names = [...new Set(rows.flatMap(({ name, config }) => (config === undefined ? [name] : [])))];

    test.each([
      [641, 427],
      [255, 333],
    ])("photographs of %i x %i", (width, height) => {
      const jpeg = photograph(width, height);
      for (const name of names) {
        const preprocess = parsePreprocessorConfig(read(name).toString());
        const script = path("reference/processors.py");
        const output = execFileSync(PYTHON as string, [script, path(`cases/hf/${name}`)], {
          input: jpeg,
          maxBuffer: 2 ** 28,
        });
        const expected = new Float32Array(new Uint8Array(output).buffer);
        const { planes } = geometry(preprocess, { width, height });
        const { mean } = compare(filled(jpeg, preprocess, planes), expected);
        expect(mean / level(preprocess, 0), name).toBeLessThan(1.2);
      }
    });
  },
);
