import { statSync } from "node:fs";
import { resolve } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { writeOnnx, writePreprocess } from "@jpeg-domain/conversion";
import { targetOf } from "@jpeg-domain/node/internal";
import {
  resnet,
  type Samples,
  type ScheduleName,
  TRAINING,
  type TrainingHooks,
  type TrainingResult,
  train,
} from "@jpeg-domain/training";
import { SCHEDULE_NAMES } from "@jpeg-domain/training/internal";
import { type Command, Option } from "commander";
import {
  ANY_KIND,
  checkOutput,
  dataOption,
  experimentCommand,
  formatPercent,
  INTERRUPTED,
  interruptible,
  isStandardOutput,
  KINDS,
  lock,
  openProgress,
  type Progress,
  positiveNumber,
  print,
  printJson,
  say,
  wholeNumber,
  withFile,
  writeOutput,
} from "jpeg-domain/internal";
import { type LabelledImages, loadImageSet, paddedSize, planes, preprocessOf } from "../data/mnist.js";

interface TrainFlags {
  data?: string;
  out: string;
  epochs: number;
  batch: number;
  lr: number;
  schedule: ScheduleName;
  seed: number;
  checkpoint?: string;
  resume?: boolean;
  limit?: number;
  json?: boolean;
}

/** `jpeg-domain train`: trains the notebook's ResNet on pixels and writes it as ONNX. */
export function trainCommand(): Command {
  return experimentCommand("train")
    .addOption(dataOption())
    .option("--out <file>", "the model to write", "out/mnist-resnet.onnx")
    .option("--epochs <n>", "passes over the training images", wholeNumber(1), TRAINING.epochs)
    .option("--batch <n>", "images per step", wholeNumber(1), TRAINING.batch)
    .option("--lr <rate>", "Adam's learning rate at the start", positiveNumber, TRAINING.learningRate)
    .addOption(
      new Option("--schedule <name>", "how the learning rate changes from there")
        .choices(SCHEDULE_NAMES)
        .default(TRAINING.schedule),
    )
    .option(
      "--seed <n>",
      "random seed for the weights and the order of the images",
      wholeNumber(0),
      TRAINING.seed,
    )
    .option("--checkpoint <file>", "written after every epoch (default: --out with .checkpoint.onnx)")
    .option("--resume", "continue from the checkpoint, exactly where it stopped")
    .option("--limit <n>", "use only the first n training and test images", wholeNumber(1))
    .option("--json", "print the result as one JSON object")
    .action(runTrain);
}

async function runTrain(flags: TrainFlags, command: Command): Promise<void> {
  const checkpoint = flags.checkpoint ?? flags.out.replace(/(\.onnx)?$/, ".checkpoint.onnx");
  const release = await prepareOutputs(flags, checkpoint, command);
  try {
    await trainInto(flags, checkpoint);
  } finally {
    release();
  }
}

/** Checks before the first epoch that both files can be written, and keeps other processes away from them. */
async function prepareOutputs(
  { out, resume = false }: TrainFlags,
  checkpoint: string,
  command: Command,
): Promise<() => void> {
  if (targetOf(resolve(out)) === targetOf(resolve(checkpoint)))
    command.error("error: --out and --checkpoint name the same file");
  const isReplaced = await checkOutput(out, KINDS.trained);
  const hasCheckpoint = await checkOutput(checkpoint, resume ? ANY_KIND : KINDS.checkpoint);
  for (const path of [out, checkpoint])
    if (isStandardOutput(path) || statSync(path, { throwIfNoEntry: false })?.isCharacterDevice())
      throw new JpegDomainError(`${path}: it is a device, expected a file`);
  if (isReplaced) say(`${out} will be replaced at the end of the training`);
  if (hasCheckpoint && !resume)
    say(`${checkpoint} will be replaced after the first epoch; --resume continues from it`);
  return withFile(checkpoint, () => lock(targetOf(checkpoint)));
}

async function trainInto(flags: TrainFlags, checkpoint: string): Promise<void> {
  const set = await loadImageSet(flags.data);
  const data = { train: samplesOf(set.train, flags.limit), test: samplesOf(set.test, flags.limit) };
  const { epochs, batch, lr: learningRate, schedule, seed } = flags;
  const options = { epochs, batch, learningRate, schedule, seed };
  const start = performance.now();
  const result = await interruptible((signal) => {
    const hooks = { checkpoint, resume: flags.resume ?? false, signal };
    return withProgress(flags.epochs, (shown) => train(resnet(seed), data, options, { ...hooks, ...shown }));
  });
  if (!result.finished) {
    say(`stopped after step ${result.step} of ${result.steps}; saved in ${checkpoint}. To continue:`);
    say(`  ${commandLine(flags, checkpoint, true)}`);
    process.exitCode = INTERRUPTED;
    return;
  }
  const history = result.history;
  const training = { ...options, data: set.name, history };
  const testAccuracy = history.at(-1)?.testAccuracy ?? 0;
  const metadata = new Map([
    ["command", commandLine(flags, checkpoint, false)],
    ["seed", String(seed)],
    ["epochs", String(epochs)],
    ["testAccuracy", String(testAccuracy)],
    ["training", JSON.stringify(training)],
  ]);
  const model = { ...result.model, metadata };
  writePreprocess(model, preprocessOf(set.train));
  await writeModel(flags.out, writeOnnx(model), checkpoint);
  await report(flags, result, {
    model: flags.out,
    checkpoint,
    testAccuracy,
    correct: Math.round(testAccuracy * data.test.count),
    total: data.test.count,
    seconds: (performance.now() - start) / 1000,
  });
}

async function writeModel(path: string, bytes: Uint8Array, checkpoint: string): Promise<void> {
  try {
    await writeOutput(path, bytes, KINDS.trained);
  } catch (error) {
    if (!(error instanceof JpegDomainError)) throw error;
    throw new JpegDomainError(
      `${error.message}; the training is saved in ${checkpoint}, and --resume writes the model`,
    );
  }
}

interface Summary {
  model: string;
  checkpoint: string;
  testAccuracy: number;
  correct: number;
  total: number;
  seconds: number;
}

function report(flags: TrainFlags, { step, history }: TrainingResult, summary: Summary): Promise<void> {
  const { seed, epochs, batch, lr: learningRate } = flags;
  const accuracies = history.flatMap(({ testAccuracy }) => testAccuracy ?? []);
  const { model, correct, total, testAccuracy, seconds } = summary;
  if (flags.json)
    return printJson({ ...summary, seed, epochs, batch, learningRate, steps: step, accuracies });
  const after = `after ${epochs} ${epochs === 1 ? "epoch" : "epochs"}, ${seconds.toFixed(1)} s`;
  return print(
    `${model}: ${correct} of ${total} test images correct (${formatPercent(testAccuracy)}) ${after}`,
  );
}

/** The images of a set, as input for the network. */
export function samplesOf(set: LabelledImages, limit = set.count): Samples {
  const { rows, columns } = paddedSize(set);
  return {
    name: set.name,
    count: Math.min(limit, set.count),
    dims: [1, rows, columns],
    classes: set.labels.reduce((most, label) => Math.max(most, label), 0) + 1,
    fill(indices, inputs, labels) {
      planes(set, indices, inputs);
      for (const [n, index] of indices.entries()) labels[n] = BigInt(set.labels[index] as number);
    },
  };
}

/** Shows a run's progress while `work` does it. */
async function withProgress<T>(epochs: number, work: (hooks: TrainingHooks) => Promise<T>): Promise<T> {
  let progress: Progress | undefined;
  try {
    return await work({
      onStart({ step, steps }) {
        progress = openProgress({ label: "train", total: steps, unit: "steps", from: step });
      },
      onStep({ epoch, step, loss }) {
        progress?.update(step, `epoch ${epoch} of ${epochs}, loss ${loss.toFixed(4)}`);
      },
      onEpoch({ epoch, evaluation: { correct, total, meanLoss } }) {
        const accuracy = `${correct} of ${total} (${formatPercent(correct / total)})`;
        say(`epoch ${epoch} of ${epochs}: test ${accuracy}, test loss ${meanLoss.toFixed(4)}`);
      },
    });
  } finally {
    progress?.stop();
  }
}

/** The command that starts or resumes this run. */
function commandLine(flags: TrainFlags, checkpoint: string, resume: boolean): string {
  const { data, out, epochs, batch, lr, schedule, seed, limit } = flags;
  const given = {
    data,
    out,
    epochs,
    batch,
    lr,
    schedule,
    seed,
    limit,
    checkpoint: resume ? checkpoint : flags.checkpoint,
  };
  const words = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, quoted(String(value))],
  );
  return [
    "jpeg-domain train",
    ...words,
    ...(resume ? ["--resume"] : []),
    ...(flags.json ? ["--json"] : []),
  ].join(" ");
}

const quoted = (word: string) =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
