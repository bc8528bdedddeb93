import {
  type CropRounding,
  type Pad,
  type Preprocess,
  parsePreprocessorConfig,
  type Resample,
} from "@jpeg-domain/conversion";
import { CHANNELS, CROP_ROUNDINGS, RESAMPLES } from "@jpeg-domain/conversion/internal";
import { MOST_BYTES } from "@jpeg-domain/node/internal";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readInput, withFile } from "./files.js";

/** The options of {@link addPreprocessOptions}. */
export interface PreprocessFlags {
  preprocessor?: string;
  size?: NonNullable<Preprocess["resize"]>;
  crop?: NonNullable<Preprocess["crop"]>;
  mean?: number[];
  std?: number[];
  resample?: Resample;
  antialias?: boolean;
  cropRounding?: CropRounding;
  pad?: Pad;
  channels?: Preprocess["channels"];
}

/** Adds the options for preparing photographs for a network. */
export const addPreprocessOptions = (command: Command): Command =>
  command
    .option("--preprocessor <file>", "the model's preprocessor_config.json from Hugging Face")
    .option("--size <n|HxW>", "resize the shortest edge to n, or the image to HxW", size)
    .option("--crop <n|HxW>", "then crop the centre; a smaller image gets a black border", crop)
    .addOption(
      new Option(
        "--crop-rounding <name>",
        "where the crop starts if one pixel is left over: down as in Hugging Face, even as in torchvision",
      ).choices(CROP_ROUNDINGS),
    )
    .option("--pad <n|T,L,B,R>", "then add a black border: top, left, bottom, right", pad)
    .option("--mean <numbers>", "mean of each channel, 0 to 1, such as 0.485,0.456,0.406", numbers)
    .option("--std <numbers>", "standard deviation of each channel", numbers)
    .addOption(new Option("--resample <name>", "the filter for resizing").choices(RESAMPLES))
    .option("--antialias", "resize as PIL, if the model says otherwise")
    .option(
      "--no-antialias",
      "resize as torchvision on tensors and OpenCV: bilinear or bicubic, no wider as it shrinks",
    )
    .addOption(new Option("--channels <name>", "the network's channels").choices(CHANNELS));

/** The preprocessing that the options give; the model says the rest. */
export async function preprocessOf(flags: PreprocessFlags): Promise<Partial<Preprocess>> {
  const {
    preprocessor,
    size: resize,
    crop,
    cropRounding,
    pad,
    mean,
    std,
    resample,
    antialias,
    channels,
  } = flags;
  const config = preprocessor === undefined ? {} : await readConfig(preprocessor);
  return {
    ...config,
    ...(resize && { resize }),
    ...(crop && { crop }),
    ...(mean && { mean }),
    ...(std && { std }),
    ...(resample && { resample }),
    ...(antialias !== undefined && { antialias }),
    ...(cropRounding && { cropRounding }),
    ...(pad && { pad }),
    ...(channels && { channels }),
  };
}

async function readConfig(path: string): Promise<Preprocess> {
  const bytes = await readInput(path, MOST_BYTES.text);
  return withFile(path, () => parsePreprocessorConfig(new TextDecoder().decode(bytes)));
}

function size(text: string): NonNullable<Preprocess["resize"]> {
  const [height, width] = sides(text);
  return width === undefined ? { shortestEdge: height } : { height, width };
}

function crop(text: string): NonNullable<Preprocess["crop"]> {
  const [height, width = height] = sides(text);
  return { height, width };
}

function pad(text: string): Pad {
  if (!/^\d{1,5}(?:(?:,\d{1,5}){3})?$/.test(text))
    throw new InvalidArgumentError("Expected pixels, such as 2 or 2,2,2,2.");
  const [top = 0, left = top, bottom = top, right = top] = text.split(",").map(Number);
  return { top, left, bottom, right };
}

function sides(text: string): [number, number?] {
  const match = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Expected pixels, such as 224 or 224x224.");
  return match[2] === undefined ? [Number(match[1])] : [Number(match[1]), Number(match[2])];
}

function numbers(text: string): number[] {
  const values = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (!values.every(Number.isFinite)) throw new InvalidArgumentError("Expected numbers separated by commas.");
  return values;
}
