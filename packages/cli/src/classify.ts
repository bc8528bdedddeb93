import type { JpegDamage } from "@jpeg-domain/coefficients";
import type { InputValues } from "@jpeg-domain/conversion";
import {
  type ClassesOptions,
  type JpegModel,
  type JpegResult,
  loadModel,
  topClasses,
} from "@jpeg-domain/node";
import { pickClasses } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import { env } from "onnxruntime-node";
import { MODEL_HELP, maxPixelsOption, positiveInteger, strictOption, valuesOption } from "./arguments.js";
import { withFile } from "./files.js";
import { findImages } from "./images.js";
import { interruptible } from "./interrupt.js";
import { readLabels } from "./labels.js";

import { isStandardOutput } from "./outputs.js";
import { addPreprocessOptions, type PreprocessFlags, preprocessOf } from "./preprocess.js";
import { print, printJson, say, sayDamage, sayError } from "./print.js";
import { openProgress } from "./progress.js";
import { provenanceOf } from "./provenance.js";
import { openResults } from "./results-file.js";

interface Flags extends PreprocessFlags {
  top: number;
  labels?: string;
  output?: string;
  input?: InputValues;
  jsonl?: boolean;
  out?: string;
  resume?: boolean;
  batch?: number;
  threads?: number;
  provider?: string;
  strict?: boolean;
  maxPixels?: number;
}

/** `jpeg-domain classify`: finds the most probable classes of JPEG files. */
export function classifyCommand(): Command {
  const command = new Command("classify")
    .description("classify JPEG files: the most probable classes of each")
    .argument("<model.onnx>", MODEL_HELP)
    .argument("<paths...>", "JPEG files, folders (with subfolders), globs")
    .option("--top <n>", "classes per file", positiveInteger, 5)
    .option("--labels <file>", "class names: one per line, or JSON (such as a config.json with id2label)")
    .option("--output <name>", "the output that holds the classes (default: the one that looks like classes)")
    .addOption(valuesOption())
    .option("--jsonl", "print JSON lines: each file with its classes or its error, and the model and options")
    .option("--out <file.jsonl>", "write the JSON lines to a file")
    .option(
      "--resume",
      "continue an interrupted --out file; failed files are tried again and their lines replaced; results of another model or other options are refused",
    )
    .option("--batch <n>", "images that go through the network at once", positiveInteger)
    .option(
      "--threads <n>",
      "threads that process files in parallel (default: one per core)",
      positiveInteger,
    )
    .option("--provider <name>", "ONNX Runtime's execution provider: cpu, cuda, webgpu, coreml, dml");
  command.addOption(strictOption()).addOption(maxPixelsOption());
  return addPreprocessOptions(command).action(run);
}

/** One file's result. */
type Entry =
  | {
      file: string;
      top: { class: number; label?: string; probability: number }[];
      damage?: JpegDamage[];
    }
  | { file: string; error: string };

/** Where results go. */
interface Sink {
  write(entry: Entry): void | Promise<void>;
  close(): void;
}

async function run(path: string, paths: string[], flags: Flags, command: Command): Promise<void> {
  if (flags.resume && flags.out === undefined)
    command.error("error: --resume needs the file to continue, expected --out FILE");
  const names = flags.labels === undefined ? undefined : await readLabels(flags.labels);
  const preprocess = await preprocessOf(flags);
  const files = await findImages(paths);
  // ONNX Runtime would also print an error if a provider cannot be loaded, before there is a session to configure.
  env.logLevel = "fatal";
  const model = await withFile(path, () =>
    loadModel(path, {
      preprocess,
      ...(flags.batch && { batch: flags.batch }),
      ...(flags.threads && { threads: flags.threads }),
      ...(flags.input && { inputs: flags.input }),
      ...(flags.output !== undefined && { outputs: [flags.output] }),
      ...(flags.provider && { executionProviders: [flags.provider] }),
      ...(flags.strict && { strict: true }),
      ...(flags.maxPixels && { maxPixels: flags.maxPixels }),
    }),
  );
  try {
    if (model.assumed) say(`${path}: ${model.assumed}`);
    const labels = names ?? model.labels;
    const output = pickClasses(model.outputs, labels?.length).name;
    if (model.outputs.length > 1)
      say(
        `${path}: its outputs are ${model.outputNames.join(", ")}; ${output} is taken as the classes (choose another with --output)`,
      );
    const { sink, done } = await openSink(path, model, labels, flags);
    const left = files.filter((file) => !done?.has(file));
    const from = files.length - left.length;
    try {
      const work = { model, files: left, from, output, labels, top: flags.top, sink };
      const outcome = await interruptible((signal) => classify({ ...work, signal }));
      sayOutcome(files.length, { ...outcome, done: from + outcome.done }, flags);
    } finally {
      sink.close();
    }
  } finally {
    await model.close();
  }
}

/** Opens the place for results, and finds the files whose results are already there. */
async function openSink(
  path: string,
  { preprocess }: JpegModel,
  labels: readonly string[] | undefined,
  flags: Flags,
): Promise<{ sink: Sink; done?: Set<string> }> {
  const { out, jsonl, strict, resume = false } = flags;
  if (out === undefined && !jsonl) return { sink: textLines };
  const by = { ...(await provenanceOf(path, preprocess, labels, flags)), ...(strict && { strict }) };
  if (out === undefined || isStandardOutput(out))
    return { sink: { write: (entry) => printJson({ ...entry, by }), close: () => undefined } };
  const { done, write, close } = await openResults(out, by, resume);
  return { sink: { write: (entry) => write({ ...entry, by }), close }, done };
}

interface Outcome {
  done: number;
  failed: number;
  damaged: number;
  /** The process's exit status, if the work was stopped. */
  status: number | undefined;
}

/** Says how the work ended, and sets the exit status. */
function sayOutcome(total: number, { done, failed, damaged, status }: Outcome, { out }: Flags): void {
  if (failed > 0) process.exitCode = 1;
  const isStopped = done < total;
  if (isStopped && status !== undefined) process.exitCode = status;
  const more = isStopped && out !== undefined ? "; --resume continues with the others" : "";
  const harm = damaged > 0 ? `, ${damaged} damaged` : "";
  if (total > 1 || failed + damaged > 0) say(`${done} of ${total} files, ${failed} failed${harm}${more}`);
}

interface Work {
  model: JpegModel;
  files: string[];
  /** Files done earlier. */
  from: number;
  /** The name of the output that holds the classes. */
  output: string;
  labels: readonly string[] | undefined;
  top: number;
  sink: Sink;
  signal: AbortSignal;
}

async function classify({ model, files, from, output, labels, top, sink, signal }: Work): Promise<Outcome> {
  const progress = openProgress({ label: "classify", total: from + files.length, unit: "files", from });
  let [done, failed, damaged] = [0, 0, 0];
  try {
    for await (const result of model.stream(files)) {
      const file = files[done] as string;
      const entry = entryOf(file, result, top, { output, labels });
      if ("error" in entry) failed++;
      else if (entry.damage) damaged++;
      await sink.write(entry);
      done++;
      progress.update(from + done, failed > 0 ? `${failed} failed` : "");
      if (signal.aborted) break;
    }
  } finally {
    progress.stop();
  }
  return { done, failed, damaged, status: signal.aborted ? (signal.reason as number) : undefined };
}

function entryOf(
  file: string,
  { outputs, damage, error }: JpegResult,
  top: number,
  options: ClassesOptions,
): Entry {
  if (error) return { file, error: error.message };
  return {
    file,
    top: topClasses(outputs, top, options).map(({ index, probability, label }) => ({
      class: index,
      ...(label !== undefined && { label }),
      probability: Number(probability.toPrecision(4)),
    })),
    ...(damage && { damage }),
  };
}

const textLines: Sink = {
  write(entry) {
    if ("error" in entry) return sayError(`${entry.file}: ${entry.error}`);
    if (entry.damage) sayDamage(entry.file, entry.damage);
    const classes = entry.top.map(
      ({ class: index, label, probability }) => `${label ?? index} ${(100 * probability).toFixed(1)} %`,
    );
    return print(`${entry.file}: ${classes.join(", ")}`);
  },
  close: () => undefined,
};
