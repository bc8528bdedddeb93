import { InvalidArgumentError, Option } from "commander";
import { INPUTS, type InputName, PLAN_NAMES, parseRelu, type Relu } from "../convert/options.js";
import type { InputValues } from "../convert/other-inputs.js";

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Expected a whole number from 1.");
  return value;
}

/** Whole numbers from `least` to the largest int32. */
export function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > 2 ** 31 - 1)
      throw new InvalidArgumentError(`Expected a whole number from ${least}.`);
    return value;
  };
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function relu(text: string): Relu {
  try {
    return parseRelu(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

export const reluOption = () =>
  new Option(
    "--relu <kind>",
    "exact, asm:N or apx:N: ReLU from the spatial frequencies alpha + beta <= N, 0 to 14",
  )
    .argParser(relu)
    .default("exact" as Relu);

export const planOption = () =>
  new Option("--plan <name>", "how decompress, operator, compress are carried out")
    .choices(PLAN_NAMES)
    .default("fused");

/** How the argument that names a model is told. */
export const MODEL_HELP =
  "an ONNX file, spatial or converted; or a folder of a model hub, with its config.json and preprocessor_config.json";

/** Values of inputs beside the image, `NAME=1,2`, added to those of the options before. */
export function inputValues(text: string, before: InputValues = {}): InputValues {
  const [, name = "", list = ""] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  const values = list
    .split(",")
    .map((part) => WORDS[part.trim()] ?? (part.trim() === "" ? Number.NaN : Number(part)));
  if (name === "" || values.some(Number.isNaN))
    throw new InvalidArgumentError("Expected the input's name and its numbers, such as scale=1,1.");
  return { ...before, [name]: values };
}

const WORDS: Record<string, number> = { true: 1, false: 0 };

export const valuesOption = () =>
  new Option(
    "--input <name=numbers>",
    "values of an input beside the image, such as scale=1,1; again for each",
  ).argParser(inputValues);

/** What a converted model takes, and what its network's other inputs are. */
export interface InputFlag {
  kind: InputName;
  values?: InputValues;
}

export const inputOption = () =>
  new Option(
    "--input <kind>",
    "planes: one input [N, C, H/8, W/8, 64]; jpeg: coefficients and tables of files; or NAME=1,2: values of an input beside the image, which become constants; again for each",
  )
    .argParser((text, before: InputFlag): InputFlag => {
      if (text.includes("=")) return { ...before, values: inputValues(text, before.values) };
      const kind = INPUTS.find((name) => name === text);
      if (kind === undefined)
        throw new InvalidArgumentError(`Allowed choices are ${INPUTS.join(", ")}, or NAME=numbers.`);
      return { ...before, kind };
    })
    .default({ kind: "planes" } satisfies InputFlag, "planes");

export const maxPixelsOption = () =>
  new Option("--max-pixels <n>", "refuse larger files (default: 268402689, which is 16383x16383)").argParser(
    positiveInteger,
  );

export const strictOption = () =>
  new Option(
    "--strict",
    "damaged files are errors; by default what is missing is told, as libjpeg shows them",
  );

export const tolerantOption = () =>
  new Option("--tolerant", "go on after damage, as libjpeg does; by default it is an error");

export const dataOption = () =>
  new Option("--data <dir>", "folder of IDX files, gzipped or not (default: MNIST itself)").argParser(
    (path) => {
      if (path === "") throw new InvalidArgumentError("Expected a folder.");
      return path;
    },
  );
