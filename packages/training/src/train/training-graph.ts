import { type Dimension, type Graph, OnnxError } from "@jpeg-domain/conversion";
import { budgetOf, entryOf, foldConstants } from "@jpeg-domain/conversion/internal";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { type AdamOptions, adam } from "./adam.js";
import { backward } from "./backward.js";
import { signature } from "./classifier.js";
import { forwardPass, resolve } from "./forward.js";
import { flatLength, type Layout, layoutOf } from "./layout.js";
import { crossEntropy } from "./loss.js";
import { reshape, TrainingError } from "./rule.js";

/** The inputs of each operator that are trained, if they are float32 initialisers. */
const TRAINED: Record<string, number[]> = {
  Conv: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
  Add: [0, 1],
  BatchNormalization: [1, 2],
};
/** The inputs that are running statistics: they follow the data without a gradient. */
const RUNNING: Record<string, number[]> = { BatchNormalization: [3, 4] };

/** Operator sets in which every operator that the derivatives emit has the same meaning. */
const OPSETS: [number, number] = [13, 17];

/**
 * A graph that takes one step of training. Inputs: those of the forward graph, `labels` (int64 `[N]`), `learningRate`, and
 * the state: `parameters`, `moment1`, `moment2` (`[P]`), `statistics` (`[S]`), `step`. `learningRate` and `step` are float64
 * scalars. Outputs: `loss` (the batch's mean), `correct`, and the next state, with `next.` before the same names.
 */
export interface TrainingGraph {
  graph: Graph;
  /** Where each parameter is in `parameters`, `moment1` and `moment2`. */
  parameters: Layout;
  /** Where each running mean and variance is in `statistics`; empty if the network has none. */
  statistics: Layout;
}

/**
 * Rewrites a classifier into the graph that trains it: forward in training mode, cross-entropy, backward, Adam,
 * all in standard operators.
 *
 * @param classifier - any graph of operators that have a derivative, with one output, logits `[N, K]`, and its parameters
 *   as initialisers; operator sets 13 to 17. Every float32 weight, bias, scale and shift is trained
 * @throws {TrainingError} if something cannot be differentiated, with the node, its operator and the reason
 * @throws {OnnxError} if shapes cannot be inferred
 */
export function trainingGraph(classifier: Graph, options: AdamOptions): TrainingGraph {
  const { g, forward, values } = open(classifier);
  const parameters = layoutOf(forward, initializersAt(forward, TRAINED));
  const statistics = layoutOf(forward, initializersAt(forward, RUNNING));
  const vector = (name: string, layout: Layout) => g.input(name, "float32", [flatLength(layout)]);
  const state = {
    parameters: vector("parameters", parameters),
    moment1: vector("moment1", parameters),
    moment2: vector("moment2", parameters),
    step: g.input("step", "float64", []),
  };
  unpack(g, state.parameters, parameters, values);
  if (statistics.length > 0) unpack(g, vector("statistics", statistics), statistics, values);

  const { gradients, updates } = lossAndGradients(g, forward, values, parameters);
  const join = (layout: Layout, parts: Map<string, string>) =>
    g.node(
      "Concat",
      layout.map(({ name }) => reshape(g, resolve(parts, name), [-1])),
      { axis: 0 },
    );
  const inputs = {
    gradient: join(parameters, gradients),
    learningRate: g.input("learningRate", "float64", []),
  };
  const next = adam(g, options, state, inputs);
  for (const name of ["parameters", "moment1", "moment2"] as const)
    g.output(next[name], `next.${name}`, "float32", [flatLength(parameters)]);
  g.output(next.step, "next.step", "float64", []);
  if (statistics.length > 0)
    g.output(join(statistics, updates), "next.statistics", "float32", [flatLength(statistics)]);
  return { graph: g.build(), parameters, statistics };
}

/**
 * Rewrites a classifier into the graph that computes `loss`, `correct`, its logits in training mode, and the
 * gradient `d.NAME` of every parameter `NAME`. Arguments and errors as for {@link trainingGraph}.
 */
export function gradientGraph(classifier: Graph): Graph {
  const { g, forward, values } = open(classifier);
  const parameters = layoutOf(forward, initializersAt(forward, TRAINED));
  for (const [name, value] of forward.initializers)
    if (!values.has(name)) values.set(name, g.constant(name, value));
  const { gradients } = lossAndGradients(g, forward, values, parameters);
  for (const { name, dims } of parameters) g.output(resolve(gradients, name), `d.${name}`, "float32", dims);
  const [logits] = forward.outputs as [Graph["outputs"][number]];
  g.output(resolve(values, logits.name), logits.name, logits.type, logits.shape as Dimension[]);
  return g.build();
}

/** A builder with the classifier's inputs and its constants: the initialisers that are neither trained nor running. */
function open(classifier: Graph) {
  const opset = classifier.opsets.get("") ?? 0;
  if (opset < OPSETS[0] || opset > OPSETS[1])
    throw new OnnxError(`the model uses operator set ${opset}, but training supports ${OPSETS.join(" to ")}`);
  const forward = foldConstants(classifier);
  const g = new GraphBuilder(`${forward.name}-training`, opset, budgetOf(forward));
  const values = new Map<string, string>();
  for (const { name, type, shape } of forward.inputs)
    values.set(name, g.input(name, type, shape as Dimension[]));
  const variable = new Set([...initializersAt(forward, TRAINED), ...initializersAt(forward, RUNNING)]);
  for (const [name, value] of forward.initializers)
    if (!variable.has(name)) values.set(name, g.constant(name, value));
  return { g, forward, values };
}

function lossAndGradients(g: GraphBuilder, forward: Graph, values: Map<string, string>, parameters: Layout) {
  const { logits: output, batch, classes } = signature(forward);
  const { contexts, updates } = forwardPass(
    g,
    forward,
    values,
    parameters.map(({ name }) => name),
  );
  const logits = resolve(values, output);
  const loss = crossEntropy(g, logits, g.input("labels", "int64", [batch]), classes);
  const found = backward(g, contexts, [logits, loss.gradient]);
  const gradients = parameters.map(({ name }) => {
    const gradient = found.get(resolve(values, name));
    if (gradient === undefined) throw new TrainingError(`the logits do not depend on parameter "${name}"`);
    return [name, gradient] as const;
  });
  g.output(loss.mean, "loss", "float32", []);
  g.output(loss.correct, "correct", "int64", []);
  return { gradients: new Map(gradients), updates };
}

/** The float32 initialisers at these inputs of these operators, in the order of the file. */
function initializersAt(graph: Graph, places: Record<string, number[]>): string[] {
  const found = new Set(
    graph.nodes.flatMap(({ op, inputs }) => (entryOf(places, op) ?? []).map((i) => inputs[i] ?? "")),
  );
  return [...graph.initializers]
    .filter(([name, { type }]) => found.has(name) && type === "float32")
    .map(([name]) => name);
}

/** Splits a flat vector into its tensors. */
function unpack(g: GraphBuilder, flat: string, layout: Layout, values: Map<string, string>): void {
  const lengths = g.ints(layout.map(({ length }) => length));
  const parts = g.nodes("Split", [flat, lengths], layout.length, { axis: 0 }, "parts");
  for (const [i, { name, dims }] of layout.entries())
    values.set(name, g.node("Reshape", [parts[i] as string, g.ints(dims)], {}, name));
}
