import type { Graph } from "@jpeg-domain/conversion";
import type { Score } from "@jpeg-domain/node/internal";
import { ADAM } from "./adam.js";
import { type HistoryEntry, type RunSettings, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { signature } from "./classifier.js";
import { evaluate } from "./evaluate.js";
import { TrainingError } from "./rule.js";
import { eachBatch, type Samples, shuffledOrder } from "./samples.js";
import { openTrainer } from "./trainer.js";

export interface TrainingOptions {
  epochs: number;
  /** Samples per step; the last step of an epoch takes the rest. */
  batch: number;
  learningRate: number;
  schedule: ScheduleName;
  /** For the order of the samples. The same seed on the same machine gives the same model, bit for bit. */
  seed: number;
}

/** The learning rate as a fraction of the initial one, from the fraction of steps that are done. */
const SCHEDULES = {
  constant: () => 1,
  /** Falls to 0 along half a cosine (Loshchilov & Hutter 2017, SGDR, without restarts). */
  cosine: (done: number) => (1 + Math.cos(Math.PI * done)) / 2,
};
export type ScheduleName = keyof typeof SCHEDULES;
export const SCHEDULE_NAMES = Object.keys(SCHEDULES) as ScheduleName[];

export const TRAINING: TrainingOptions = {
  epochs: 5,
  batch: 128,
  learningRate: 1e-3,
  schedule: "cosine",
  seed: 0,
};

export interface TrainingHooks {
  /** Written after every epoch, and when the run is aborted. */
  checkpoint?: string;
  /** Continues from `checkpoint`, exactly as if the run had not stopped. */
  resume?: boolean;
  /** Stops the run after the current step. */
  signal?: AbortSignal;
  onStart?(at: { step: number; steps: number }): void;
  onStep?(at: { epoch: number; step: number; steps: number; loss: number }): void;
  onEpoch?(at: { epoch: number; evaluation: Score }): void;
}

export interface TrainingResult {
  /** The classifier with the trained parameters and running statistics. */
  model: Graph;
  /** Every tenth step and the end of each epoch. */
  history: HistoryEntry[];
  /** `false` if the signal stopped it. */
  finished: boolean;
  /** Steps taken, and steps in all. */
  step: number;
  steps: number;
}

const HISTORY_INTERVAL = 10;

/**
 * Trains a classifier with cross-entropy and Adam. The samples are shuffled anew in every epoch; after each epoch the
 * classifier is evaluated on the test samples.
 *
 * @throws {TrainingError} if the classifier cannot be trained, or the samples do not fit it
 * @throws {CheckpointError} if `resume` finds no checkpoint of the same run
 */
export async function train(
  classifier: Graph,
  data: { train: Samples; test: Samples },
  options: TrainingOptions = TRAINING,
  hooks: TrainingHooks = {},
): Promise<TrainingResult> {
  const { epochs, batch, learningRate, schedule, seed } = options;
  for (const samples of [data.train, data.test]) checkFit(classifier, samples);
  const { name, count } = data.train;
  const stepsPerEpoch = Math.ceil(count / batch);
  const steps = epochs * stepsPerEpoch;
  const shape = schedule === "constant" ? schedule : `${schedule} over ${steps} steps`;
  const settings: RunSettings = { data: name, samples: count, batch, learningRate, schedule: shape, seed };

  const trainer = await openTrainer(classifier, ADAM);
  const history: HistoryEntry[] = [];
  const save = () => {
    if (hooks.checkpoint === undefined) return;
    const [state, model] = [trainer.state(), trainer.model()];
    writeCheckpoint(hooks.checkpoint, { settings, history, state, model });
  };
  try {
    if (hooks.resume) {
      const checkpoint = readCheckpoint(hooks.checkpoint ?? "", settings, trainer.state());
      trainer.load(checkpoint.state);
      history.push(...checkpoint.history);
    }
    let { step } = trainer.state();
    hooks.onStart?.({ step, steps });
    while (step < steps) {
      const epoch = Math.floor(step / stepsPerEpoch) + 1;
      const order = shuffledOrder(count, seed, epoch);
      for (const { inputs, labels } of eachBatch(data.train, order, batch, step % stepsPerEpoch)) {
        if (hooks.signal?.aborted) {
          save();
          return { model: trainer.model(), history, finished: false, step, steps };
        }
        const rate = learningRate * SCHEDULES[schedule](step / steps);
        const { loss } = await trainer.step(inputs, labels, rate);
        step++;
        const ends = step % stepsPerEpoch === 0;
        if (step % HISTORY_INTERVAL === 0 || ends) history.push({ epoch, step, loss });
        hooks.onStep?.({ epoch, step, steps, loss });
      }
      const evaluation = await evaluate(trainer.model(), data.test);
      Object.assign(history.at(-1) as HistoryEntry, { testAccuracy: evaluation.correct / evaluation.total });
      save();
      hooks.onEpoch?.({ epoch, evaluation });
    }
    return { model: trainer.model(), history, finished: true, step, steps };
  } finally {
    await trainer.release();
  }
}

function checkFit(classifier: Graph, { name, dims, classes }: Samples): void {
  const network = signature(classifier);
  if (network.dims.join() !== dims.join())
    throw new TrainingError(
      `${name} has inputs [${dims.join(", ")}], but the network takes [${network.dims.join(", ")}]`,
    );
  if (classes > network.classes)
    throw new TrainingError(
      `${name} has labels up to ${classes - 1}, but the network has ${network.classes} classes`,
    );
}
