/** Test accuracy after training with the defaults of `jpeg-domain train`, for several seeds. */

import { resnet, TRAINING, train } from "@jpeg-domain/training";
import { Command } from "commander";
import {
  columns,
  formatPercent,
  openProgress,
  positiveInteger,
  print,
  printJson,
} from "jpeg-domain/internal";
import { samplesOf } from "../commands/train.js";
import { loadImageSet } from "../data/mnist.js";

const REQUIRED = 0.988;

export const command = () =>
  new Command("seeds")
    .description("test accuracy after training, for several seeds (minutes each)")
    .option("--seeds <n>", "number of seeds", positiveInteger, 3)
    .option("--epochs <n>", "passes over the training images", positiveInteger, TRAINING.epochs)
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run({
  seeds,
  epochs,
  json,
}: {
  seeds: number;
  epochs: number;
  json?: boolean;
}): Promise<void> {
  const set = await loadImageSet();
  const data = { train: samplesOf(set.train), test: samplesOf(set.test) };
  const accuracies: number[][] = [];
  const perSeed = epochs * Math.ceil(data.train.count / TRAINING.batch);
  const progress = openProgress({ label: "seeds", total: seeds * perSeed, unit: "steps" });
  for (let seed = 0; seed < seeds; seed++) {
    const { history } = await train(
      resnet(seed),
      data,
      { ...TRAINING, epochs, seed },
      {
        onStep: ({ step, loss }) =>
          progress.update(seed * perSeed + step, `seed ${seed}, loss ${loss.toFixed(4)}`),
      },
    );
    accuracies.push(history.flatMap(({ testAccuracy }) => testAccuracy ?? []));
  }
  progress.stop();
  if (json) {
    await printJson({ epochs, required: REQUIRED, accuracies });
    return;
  }
  const header = ["seed", ...Array.from({ length: epochs }, (_, i) => `epoch ${i + 1}`)];
  await print(
    ...columns([header, ...accuracies.map((row, seed) => [String(seed), ...row.map(formatPercent)])]),
  );
  await print("", `required after the last epoch: ${formatPercent(REQUIRED)}`);
}
