import { join } from "node:path";
import type { Command } from "commander";
import {
  checkOutput,
  columns,
  dataOption,
  experimentCommand,
  formatBytes,
  formatCount,
  formatPercent,
  formatSmall,
  KINDS,
  openProgress,
  print,
  printJson,
  readInput,
  say,
  visibleJson,
  writeOutput,
} from "jpeg-domain/internal";
import { loadImageSet } from "../data/mnist.js";
import { SHIPPED_MODEL } from "../data/shipped-model.js";
import { runNotebook } from "../report/notebook.js";
import { labelOf, type NotebookReport } from "../report/results.js";
import { trainCommand } from "./train.js";

interface Flags {
  data?: string;
  model?: string;
  out: string;
  exploded: boolean;
  train?: boolean;
  json?: boolean;
}

/** `jpeg-domain demo`: repeats the notebook with the real data, and writes a table and a report. */
export function demoCommand(): Command {
  return experimentCommand("demo")
    .addOption(dataOption())
    .option("--model <file>", "a spatial model (default: the one in the package)")
    .option("--train", "train the spatial model first (minutes)")
    .option("--no-exploded", "leave out the exploded plan, which needs gigabytes")
    .option("--out <dir>", "folder for results.json and report.html", "out")
    .option("--json", "print the results as one JSON object")
    .action(run);
}

async function run({ data, model, out, exploded, train, json }: Flags): Promise<void> {
  const [results, page] = [join(out, "results.json"), join(out, "report.html")];
  // Before the work, so that no work is lost if the folder cannot be written to.
  await checkOutput(results, KINDS.results);
  await checkOutput(page, KINDS.report);
  const path = train ? join(out, "mnist-resnet.onnx") : (model ?? SHIPPED_MODEL);
  if (train) {
    const dataFlags = data === undefined ? [] : ["--data", data];
    await trainCommand().parseAsync(["--out", path, ...dataFlags], { from: "user" });
    if (process.exitCode) return;
  }
  const bytes = await readInput(path);
  const set = await loadImageSet(data);
  say(`${set.name}: ${formatCount(set.train.count)} training and ${formatCount(set.test.count)} test images`);
  const modelName = path === SHIPPED_MODEL ? "models/mnist-resnet.onnx" : path;
  const report = await runNotebook(bytes, set, { modelName, exploded, stage });
  await writeOutput(results, `${visibleJson(withoutPictures(report), 2)}\n`, KINDS.results);
  // Imported here, so that no other command waits for the plotting library.
  const { renderReport } = await import("../report/page.js");
  await writeOutput(page, await renderReport(report), KINDS.report);
  if (json) await printJson(withoutPictures(report));
  else await print(...table(report));
  say(`Open ${page} for the pictures; the numbers are in ${results}.`);
}

function stage(label: string, total: number, unit: string) {
  const progress = openProgress({ label, total, unit });
  return {
    update: (done: number) => {
      if (done < total) progress.update(done);
    },
    note: (text: string) => say(text),
    done(result: string) {
      progress.stop();
      say(`${label}: ${result}`);
    },
  };
}

/** The numbers without the images, which are only on the page. */
function withoutPictures(report: NotebookReport) {
  const { trainDigits, testDigits, reconstructedDigits, coefficients, ...numbers } = report;
  return numbers;
}

function table(report: NotebookReport): string[] {
  const { spatial, exact, asm10, plans } = report;
  const difference = (value: number) => formatSmall(value);
  const first = [
    ["on all test images", "correct", "accuracy", "logits apart", "images/s"],
    ...[
      ["pixels, the spatial model", spatial, "-"] as const,
      ["coefficients, exact (n = 14)", exact, difference(exact.maxLogitDifference)] as const,
      ["coefficients, ASM (n = 10)", asm10, difference(asm10.maxLogitDifference)] as const,
    ].map(([name, result, logits]) => [
      name,
      `${formatCount(result.correct)} of ${formatCount(result.total)}`,
      formatPercent(result.correct / result.total),
      logits,
      speed(result.imagesPerSecond),
    ]),
  ];
  const second = [
    ["plan", "ReLU", "images/s", "of spatial", "converted", "model file", "operators"],
    ...plans.map((plan) => {
      const milliseconds = report.conversionMilliseconds[labelOf(plan)];
      return [
        plan.plan,
        plan.relu,
        plan.note ? "not run" : speed(plan.imagesPerSecond),
        plan.note ? "-" : plan.ofSpatial.toFixed(3),
        milliseconds === undefined ? "-" : `${Math.ceil(milliseconds)} ms`,
        formatBytes(plan.fileBytes),
        formatBytes(plan.operatorBytes),
      ];
    }),
  ];
  const memory = `peak memory ${formatBytes(report.peakBytes)}, with the comparison of plans ${formatBytes(report.peakBytesWithEveryPlan)}`;
  const notes = plans.flatMap((plan) => (plan.note ? [`${labelOf(plan)}: ${plan.note}`] : []));
  return ["", ...columns(first), "", ...columns(second), ...notes, "", memory, ""];
}

const speed = (value: number) => formatCount(Math.round(value));
