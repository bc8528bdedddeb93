import type { InputValues } from "@jpeg-domain/conversion";
import { describeFailure, MOST_BYTES, readRegularFile } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import { MODEL_HELP, maxPixelsOption, positiveInteger, strictOption, valuesOption } from "./arguments.js";
import { withFile } from "./files.js";
import { findImages } from "./images.js";
import { interruptible } from "./interrupt.js";
import { addPreprocessOptions, type PreprocessFlags, preprocessOf } from "./preprocess.js";
import { print, printJson, say, sayDamage, sayError } from "./print.js";
import { openProgress } from "./progress.js";
import { type Comparison, comparePipelines, type FileComparison } from "./views/compare.js";
import { columns, formatSmall } from "./views/format.js";

interface Flags extends PreprocessFlags {
  spatial?: string;
  rounds: number;
  input?: InputValues;
  json?: boolean;
  strict?: boolean;
  maxPixels?: number;
}

/** `jpeg-domain compare`: runs sharp and the spatial model, and ours, on the same files. */
export function compareCommand(): Command {
  const command = new Command("compare")
    .description(
      "compare with sharp and the spatial model on the same files: agreement, and time for each stage",
    )
    .argument("<model.onnx>", `${MODEL_HELP}; a converted model needs --spatial`)
    .argument("<paths...>", "JPEG files, folders (with subfolders), globs")
    .option("--spatial <file>", "the spatial model that the converted model was made from")
    .addOption(valuesOption())
    .option("--rounds <n>", "runs per file; the median counts", positiveInteger, 5)
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
    comparePipelines({
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

/** Compares one file after another; if the work is stopped, the files done so far count. */
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
  const { files, sameTop1, logitDifference, largestLogit, planeDifference, ours, baseline } = summary;
  const milliseconds = (value: number) => `${value.toFixed(2)} ms`;
  return [
    `${sameTop1} of ${files} files have the same top class`,
    `logits differ by at most ${formatSmall(logitDifference)}; the largest is ${largestLogit.toPrecision(3)}`,
    `planes differ by ${planeDifference.toFixed(2)} of 255 levels on average`,
    "",
    ...columns([
      ["median over the files", "sharp", "jpeg-domain"],
      [
        "bytes → planes",
        milliseconds(baseline.decode + baseline.normalize),
        milliseconds(ours.preprocessing),
      ],
      ["  decode, resize", milliseconds(baseline.decode), ""],
      ["  crop, normalise", milliseconds(baseline.normalize), ""],
      ["network", milliseconds(baseline.network), milliseconds(ours.network)],
      ["bytes → logits", milliseconds(baseline.total), milliseconds(ours.total)],
    ]),
    `jpeg-domain is ${summary.ratio.toFixed(2)} times as fast (geometric mean over the files)`,
  ];
}
