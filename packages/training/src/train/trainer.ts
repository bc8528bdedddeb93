import type { Graph } from "@jpeg-domain/conversion";
import { foldConstants } from "@jpeg-domain/conversion/internal";
import { openSession, type SessionOptions } from "@jpeg-domain/node/internal";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import type { AdamOptions } from "./adam.js";
import { signature } from "./classifier.js";
import { flatLength, gatherValues, tensorsOf } from "./layout.js";
import { trainingGraph } from "./training-graph.js";

/** Everything that one step passes to the next. */
export interface TrainingState {
  /** `[P]` each, laid out as `TrainingGraph.parameters` says. */
  parameters: Float32Array;
  moment1: Float32Array;
  moment2: Float32Array;
  /** `[S]`, laid out as `TrainingGraph.statistics` says. */
  statistics: Float32Array;
  /** Steps taken. */
  step: number;
}

/** A classifier during training: ONNX Runtime with its training graph, and the state. */
export interface Trainer {
  /**
   * Takes one step. The arrays are only read.
   * @param inputs - `[N, …]` as the classifier's input
   * @param labels - `[N]`
   * @param learningRate - for this step
   * @returns the batch's mean loss and number of correct predictions, both before the step
   */
  step(
    inputs: Float32Array,
    labels: BigInt64Array,
    learningRate: number,
  ): Promise<{ loss: number; correct: number }>;
  /** A copy of the state. */
  state(): TrainingState;
  /** Continues from this state. */
  load(state: TrainingState): void;
  /** The classifier with its current parameters and running statistics. */
  model(): Graph;
  /** The training graph's session, for profiling. */
  readonly session: InferenceSession;
  release(): Promise<void>;
}

/** No layout optimisation: it needs constant weights, and only adds reorders if they change. */
const TRAINING_SESSION: SessionOptions = { graphOptimizationLevel: "extended" };

/**
 * Opens a classifier for training, with its own values and with moments of zero.
 *
 * @throws {TrainingError} as {@link trainingGraph} does
 */
export async function openTrainer(
  model: Graph,
  options: AdamOptions,
  sessionOptions?: SessionOptions,
): Promise<Trainer> {
  const classifier = foldConstants(model);
  const { graph, parameters, statistics } = trainingGraph(classifier, options);
  const { input, dims } = signature(classifier);
  const session = await openSession(graph, { ...TRAINING_SESSION, ...sessionOptions });
  const size = flatLength(parameters);
  // Two sets of tensors: ONNX Runtime reads one and writes the other, then they swap. Nothing is copied.
  let current = stateTensors({
    parameters: gatherValues(classifier, parameters),
    moment1: new Float32Array(size),
    moment2: new Float32Array(size),
    statistics: gatherValues(classifier, statistics),
    step: 0,
  });
  let next = stateTensors(stateOf(current));

  return {
    session,
    async step(inputs, labels, learningRate) {
      const feeds = {
        ...present(current, graph.inputs),
        [input]: new Tensor("float32", inputs, [labels.length, ...dims]),
        labels: new Tensor("int64", labels, [labels.length]),
        learningRate: new Tensor("float64", Float64Array.of(learningRate), []),
      };
      const outputs = Object.entries(next).map(([name, tensor]) => [`next.${name}`, tensor] as const);
      const fetches = { loss: null, correct: null, ...present(Object.fromEntries(outputs), graph.outputs) };
      const results = await session.run(feeds, fetches);
      [current, next] = [next, current];
      return { loss: Number(results.loss?.data[0]), correct: Number(results.correct?.data[0]) };
    },
    state: () => stateOf(current),
    load(state) {
      current = stateTensors(state);
    },
    model() {
      const now = stateOf(current);
      const values = [...tensorsOf(parameters, now.parameters), ...tensorsOf(statistics, now.statistics)];
      return { ...classifier, initializers: new Map([...classifier.initializers, ...values]) };
    },
    release: () => session.release(),
  };
}

type StateTensors = Record<keyof TrainingState, Tensor>;

const vector = (values: Float32Array) => new Tensor("float32", values.slice(), [values.length]);

const stateTensors = (state: TrainingState): StateTensors => ({
  parameters: vector(state.parameters),
  moment1: vector(state.moment1),
  moment2: vector(state.moment2),
  statistics: vector(state.statistics),
  step: new Tensor("float64", Float64Array.of(state.step), []),
});

const floatsOf = (tensor: Tensor) => (tensor.data as Float32Array).slice();

const stateOf = (tensors: StateTensors): TrainingState => ({
  parameters: floatsOf(tensors.parameters),
  moment1: floatsOf(tensors.moment1),
  moment2: floatsOf(tensors.moment2),
  statistics: floatsOf(tensors.statistics),
  step: Number(tensors.step.data[0]),
});

/** The tensors that the graph declares: a graph without batch normalisation has no statistics. */
function present(tensors: Record<string, Tensor>, declared: { name: string }[]): Record<string, Tensor> {
  const names = new Set(declared.map(({ name }) => name));
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => names.has(name)));
}
