import { InvalidArgumentError, Option } from "commander";
import { INPUTS, PLAN_NAMES, parseRelu, type Relu } from "../convert/options.js";

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

export const inputOption = () =>
  new Option(
    "--input <kind>",
    "planes: one input [N, C, H/8, W/8, 64]; jpeg: coefficients and tables of files",
  )
    .choices(INPUTS)
    .default("planes");

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
  new Option("--data <dir>", "folder of IDX files, gzipped or not (default: MNIST itself)");
