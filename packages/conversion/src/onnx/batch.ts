/** Which outputs of a model have its batch as their first axis. */
import { Budget } from "./budget.js";
import type { Facts } from "./facts.js";
import type { Dimension, ElementType, Graph, ValueInfo } from "./graph.js";
import { inferShapes } from "./infer.js";
import { reads } from "./subgraph.js";

export interface BatchedOutput {
  /** As inferred, `undefined` where it cannot be. */
  type: ElementType | undefined;
  /** As declared, or else as inferred. */
  shape: Dimension[] | undefined;
  /** Whether its first axis is the batch. */
  isBatched: boolean;
  /** Whether its first axis is a number although the batch is free, as tracing can leave it: right for one image only. */
  isTraced: boolean;
  /** Whether the results of one image depend on the others in its batch. */
  isMixed: boolean;
}

/** A name that no length of a model has. */
const BATCH = "\0batch";

/**
 * For each output, whether its first axis is the batch: inference finds it there, or the axis is declared with the same
 * name or number as the batch of the input.
 * @param batch The declared length of the first input's first axis.
 */
export function batchedOutputs(graph: Graph, batch: Dimension): Map<string, BatchedOutput> {
  // No limit: a model of plan exploded computes gigabytes. What opens or converts a model checks the limits.
  const budget = new Budget(Number.POSITIVE_INFINITY);
  const facts = inferShapes(withBatch(graph, batch), { partial: true, budget });
  const mixed = mixedValues(graph, facts);
  return new Map(
    graph.outputs.map(({ name, shape: declared }) => {
      const made = facts.get(name);
      const shape = declared ?? made?.shape.map((length) => (length === BATCH ? batch : length));
      const [first] = made?.shape ?? [];
      const isTraced = typeof batch === "string" && typeof first === "number";
      // Declared as the batch, but of another length for every batch.
      const isOther = isTraced && first !== 1;
      const isBatched = first === BATCH || (shape?.[0] === batch && !isOther);
      return [name, { type: made?.type, shape, isBatched, isTraced, isMixed: mixed.has(name) }];
    }),
  );
}

/** Operators whose results depend on the shape or type of a batch alone. */
const OF_SHAPE = new Set(["Shape", "Size", "ConstantOfShape"]);
/** Operators that compute one scale for the whole batch. */
const OF_ALL = new Set(["DynamicQuantizeLinear", "DynamicQuantizeMatMul"]);

/** Values in which the images of a batch mix: those without its axis, and all that depend on them. */
function mixedValues({ nodes, inputs }: Graph, facts: ReadonlyMap<string, Facts>): Set<string> {
  const mixed = new Set<string>();
  const ofImages = new Set(inputs.flatMap(({ name }) => (hasBatch(facts.get(name)) ? [name] : [])));
  for (const node of nodes) {
    if (OF_SHAPE.has(node.op)) continue;
    const read = reads(node).filter((name) => ofImages.has(name));
    if (read.length === 0) continue;
    const isBatched = read.some((name) => hasBatch(facts.get(name)));
    const isMixing = OF_ALL.has(node.op) || read.some((name) => mixed.has(name));
    for (const output of node.outputs) {
      ofImages.add(output);
      const lengths = facts.get(output)?.shape;
      const isLost = isBatched && lengths?.every((length) => typeof length === "number") === true;
      if (isMixing || isLost) mixed.add(output);
    }
  }
  return mixed;
}

const hasBatch = (facts: Facts | undefined) => facts?.shape.includes(BATCH) ?? false;

/** The graph with a unique name for the batch, which inference then follows. */
function withBatch(graph: Graph, batch: Dimension): Graph {
  const renamed = (value: ValueInfo, isBatched = value.shape?.[0] === batch): ValueInfo =>
    isBatched && value.shape?.length ? { ...value, shape: [BATCH, ...value.shape.slice(1)] } : value;
  const inputs = graph.inputs.map((input, i) => (i === 0 ? renamed(input, true) : renamed(input)));
  const values = typeof batch === "string" ? graph.values?.map((value) => renamed(value)) : graph.values;
  return { ...graph, inputs, ...(values && { values }) };
}
