import type { InputValues, Relu } from "@jpeg-domain/conversion";
import { INPUTS, type InputName, PLAN_NAMES, parseRelu } from "@jpeg-domain/conversion/internal";
import { InvalidArgumentError, Option } from "commander";

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Expected a whole number from 1.");
  return value;
}

/** A parser for whole numbers from `least` to the largest int32. */
export function wholeNumber(least: number): (text: string) => number {
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
    "exact, or an approximation asm:N or apx:N from the spatial frequencies alpha + beta <= N, N from 0 to 14",
  )
    .argParser(relu)
    .default("exact" as Relu);

export const planOption = () =>
  new Option("--plan <name>", "how each decompress, operator, compress is carried out")
    .choices(PLAN_NAMES)
    .default("fused");

/** Help text of arguments that name a model. */
export const MODEL_HELP =
  "an ONNX file, spatial or converted; or a model hub's folder with config.json and preprocessor_config.json";

/** Parses values for an input other than the image, `NAME=1,2`, and adds them to those of earlier options. */
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
    "values for an input other than the image, such as scale=1,1; repeat for each input",
  ).argParser(inputValues);

/** What a converted model takes, and the values of its network's other inputs. */
export interface InputFlag {
  kind: InputName;
  values?: InputValues;
}

export const inputOption = () =>
  new Option(
    "--input <kind>",
    "planes: one input [N, C, H/8, W/8, 64]; jpeg: a file's coefficients and tables; NAME=1,2: values for an input other than the image, which becomes a constant; repeat for each input",
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
    "make damaged files errors; by default they are read as libjpeg reads them, with a warning",
  );

export const tolerantOption = () =>
  new Option("--tolerant", "continue after damage, as libjpeg does; by default it is an error");

export const dataOption = () =>
  new Option("--data <dir>", "folder of IDX files, gzipped or not (default: MNIST)").argParser((path) => {
    if (path === "") throw new InvalidArgumentError("Expected a folder.");
    return path;
  });
