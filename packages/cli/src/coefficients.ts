import { readCoefficients } from "@jpeg-domain/coefficients";
import { MOST_BYTES } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import { maxPixelsOption, tolerantOption } from "./arguments.js";
import { readInput, withFile } from "./files.js";
import { checkOutput, isStandardOutput, KINDS, writeOutput } from "./outputs.js";
import { print, say, sayDamage } from "./print.js";
import { mosaicPng } from "./views/coefficient-mosaic.js";
import { formatBytes } from "./views/format.js";
import { coefficientsNpz } from "./views/npz.js";

interface Flags {
  out?: string;
  png?: string;
  tolerant?: boolean;
  maxPixels?: number;
}

/** `jpeg-domain coefficients`: writes a file's quantised coefficients for NumPy, and as a picture. */
export function coefficientsCommand(): Command {
  return new Command("coefficients")
    .description("write a JPEG file's quantised DCT coefficients as NumPy arrays, or as a picture")
    .argument("<file.jpg>")
    .option(
      "--out <file.npz>",
      "component0, quantization0, …: int16 [blocks high, blocks wide, 64], zigzag order",
    )
    .option("--png <file.png>", "a picture of the coefficients: by block above, by frequency below")
    .addOption(tolerantOption())
    .addOption(maxPixelsOption())
    .action(run);
}

async function run(input: string, { out, png, ...options }: Flags, command: Command): Promise<void> {
  if (out === undefined && png === undefined)
    command.error("error: nothing to write, expected --out FILE.npz or --png FILE.png or both");
  if (out !== undefined && out === png) command.error("error: --out and --png name the same file");
  const bytes = await readInput(input, MOST_BYTES.jpeg);
  if (out !== undefined) await checkOutput(out, KINDS.npz, [input]);
  if (png !== undefined) await checkOutput(png, KINDS.png, [input]);
  const image = await withFile(input, () => readCoefficients(bytes, options));
  if (image.damage?.length) sayDamage(input, image.damage);
  if (out !== undefined) {
    const file = coefficientsNpz(image);
    await writeOutput(out, file, KINDS.npz, [input]);
    const shapes = image.components.map(({ blocksHigh, blocksWide }) => `[${blocksHigh}, ${blocksWide}, 64]`);
    await printerFor(out)(`${out}: ${shapes.join(", ")}, ${formatBytes(file.length)}`);
  }
  if (png !== undefined) {
    const file = mosaicPng(image);
    await writeOutput(png, file, KINDS.png, [input]);
    await printerFor(png)(`${png}: by block above, by frequency below, ${formatBytes(file.length)}`);
  }
}

/** If the file itself goes to standard output, messages go to standard error. */
const printerFor = (path: string) => (isStandardOutput(path) ? say : print);
