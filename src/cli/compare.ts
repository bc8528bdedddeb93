import { Command } from "commander";
import type { InputValues } from "../convert/other-inputs.js";
import { type Comparison, compareWays, type FileComparison } from "../report/compare.js";
import { columns, formatSmall } from "../report/format.js";
import { describeFailure } from "../runtime/failure.js";
import { MOST_BYTES, readRegularFile } from "../runtime/read-file.js";
import { MODEL_HELP, maxPixelsOption, positiveInteger, strictOption, valuesOption } from "./arguments.js";
import { withFile } from "./files.js";
import { findImages } from "./images.js";
import { interruptible } from "./interrupt.js";
import { addPreprocessOptions, type PreprocessFlags, preprocessOf } from "./preprocess.js";
import { print, printJson, say, sayDamage, sayError } from "./print.js";
import { openProgress } from "./progress.js";

interface Flags extends PreprocessFlags {
  spatial?: string;
  rounds: number;
  input?: InputValues;
  json?: boolean;
  strict?: boolean;
  maxPixels?: number;
}

/** `jpeg-domain compare`: the usual pipeline beside ours, over the same files. */
export function compareCommand(): Command {
  const command = new Command("compare")
    .description(
      "run sharp, resize, normalise and the spatial model beside ours: agreement, and time for each stage",
    )
    .argument("<model.onnx>", `${MODEL_HELP}; a converted one with --spatial`)
    .argument("<paths...>", "JPEG files, folders (with those below), globs")
    .option("--spatial <file>", "the model that a converted one was made from")
    .addOption(valuesOption())
    .option("--rounds <n>", "turns for each file, of which the median counts", positiveInteger, 5)
    .option("--json", "print the result as one JSON object")
    .addOption(strictOption())
    .addOption(maxPixelsOption());
  return addPreprocessOptions(command).action(run);
}

async function run(model: string, paths: string[], flags: Flags): Promise<void> {
  const files = await findImages(paths);
  const preprocess = await preprocessOf(flags);
  const { spatial, input: inputs, strict = false, maxPixels } = flags;
  const comparison = await withFile(model, () =>
    compareWays({
      ...{ model, spatial, preprocess, strict },
      ...(inputs && { inputs }),
      ...(maxPixels && { maxPixels }),
    }),
  );
  if (comparison.assumed) say(`${model}: ${comparison.assumed}`);
  const rows = await interruptible((signal) => compareFiles(comparison, files, flags.rounds, signal));
  const failed = rows.flatMap((row) => ("error" in row ? [row] : []));
  if (failed.length > 0) process.exitCode ??= 1;
  const summary = comparison.summary(rows.flatMap((row) => ("error" in row ? [] : [row])));
  if (flags.json) {
    await printJson({ model, ...summary, failed: failed.length, files: rows });
    return;
  }
  for (const { file, error } of failed) sayError(`${file}: ${error}`);
  for (const row of rows) if ("damage" in row) sayDamage(row.file, row.damage);
  if (summary !== undefined) await print(...lines(summary));
}

type Row = { file: string } & (FileComparison | { error: string });

/** Compares file after file; what is done when the work is stopped counts. */
async function compareFiles(
  comparison: Comparison,
  files: readonly string[],
  rounds: number,
  signal: AbortSignal,
): Promise<Row[]> {
  const progress = openProgress({ label: "compare", total: files.length, unit: "files" });
  const rows: Row[] = [];
  try {
    for (const file of files) {
      if (signal.aborted) break;
      rows.push({ file, ...(await compareFile(comparison, file, rounds)) });
      progress.update(rows.length);
    }
  } finally {
    progress.stop();
    await comparison.close();
  }
  if (rows.length < files.length) {
    process.exitCode = signal.reason as number;
    say(`stopped after ${rows.length} of ${files.length} files`);
  }
  return rows;
}

async function compareFile(
  comparison: Comparison,
  file: string,
  rounds: number,
): Promise<FileComparison | { error: string }> {
  try {
    const bytes = readRegularFile(file, MOST_BYTES.jpeg);
    return await comparison.compare(bytes, rounds);
  } catch (error) {
    return { error: describeFailure(error).message };
  }
}

function lines(summary: NonNullable<ReturnType<Comparison["summary"]>>): string[] {
  const { files, sameTop1, logitDifference, largestLogit, planeDifference, ours, usual } = summary;
  const milliseconds = (value: number) => `${value.toFixed(2)} ms`;
  return [
    `${sameTop1} of ${files} files have the same first class`,
    `logits differ by ${formatSmall(logitDifference)} at most, the largest is ${largestLogit.toPrecision(3)}`,
    `planes differ by ${planeDifference.toFixed(2)} of 255 levels in the mean`,
    "",
    ...columns([
      ["median of the files", "sharp", "jpeg-domain"],
      ["bytes → planes", milliseconds(usual.decode + usual.normalize), milliseconds(ours.entrance)],
      ["  decode, resize", milliseconds(usual.decode), ""],
      ["  crop, normalise", milliseconds(usual.normalize), ""],
      ["network", milliseconds(usual.network), milliseconds(ours.network)],
      ["bytes → logits", milliseconds(usual.total), milliseconds(ours.total)],
    ]),
    `jpeg-domain is ${summary.ratio.toFixed(2)} times as fast (geometric mean of the files)`,
  ];
}
