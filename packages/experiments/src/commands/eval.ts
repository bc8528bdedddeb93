import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type Classifier, evaluate, type LabelledPlanes, openClassifier } from "@jpeg-domain/node";
import type { Command } from "commander";
import {
  dataOption,
  experimentCommand,
  MODEL_HELP,
  openProgress,
  positiveInteger,
  print,
  printJson,
  withFile,
} from "jpeg-domain/internal";
import { labelledPlanes, loadSplit } from "../data/mnist.js";

interface Flags {
  data?: string;
  limit?: number;
  batch: number;
  json?: boolean;
}

/** `jpeg-domain eval`: evaluates a spatial or converted model on a test set. */
export function evalCommand(): Command {
  return experimentCommand("eval")
    .argument("<model.onnx>", MODEL_HELP)
    .addOption(dataOption())
    .option("--limit <n>", "only the first n test images", positiveInteger)
    .option("--batch <n>", "images per batch", positiveInteger, 128)
    .option("--json", "print the result as one JSON object")
    .action(run);
}

async function run(path: string, { data, limit, batch, json }: Flags): Promise<void> {
  const classifier = await withFile(path, () => openClassifier(path));
  const test = labelledPlanes(await loadSplit(data, "test"));
  checkSize(path, classifier, test);
  const samples = { ...test, count: Math.min(limit ?? test.count, test.count) };
  const progress = openProgress({ label: "eval", total: samples.count, unit: "images" });
  const onProgress = (done: number) => progress.update(done);
  const result = await withFile(path, () => evaluate(classifier, samples, { batch, onProgress })).finally(
    () => progress.stop(),
  );
  const { correct, total, meanLoss, imagesPerSecond } = result;
  const accuracy = correct / total;
  const { plan, relu } = classifier.metadata ?? { plan: "spatial", relu: "exact" };
  if (json) {
    await printJson({ model: path, plan, relu, correct, total, accuracy, meanLoss, imagesPerSecond });
    return;
  }
  await print(
    `${path} (${plan}, ReLU ${relu})`,
    `  correct  ${correct} of ${total} (${(100 * accuracy).toFixed(2)} %)`,
    `  loss     ${meanLoss.toFixed(4)}`,
    `  speed    ${Math.round(imagesPerSecond)} images/s at batch ${batch}`,
  );
}

function checkSize(
  path: string,
  { channels, height, width }: Classifier,
  test: LabelledPlanes & { rows: number; columns: number },
): void {
  if (channels !== 1 || height !== test.rows || width !== test.columns)
    throw new JpegDomainError(
      `${path} takes planes of ${channels}x${height}x${width}, but the test images give 1x${test.rows}x${test.columns}`,
    );
}
