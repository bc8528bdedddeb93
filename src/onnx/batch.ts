/** Which outputs of a model have its batch as their first axis. */
import type { Dimension, ElementType, Graph } from "./graph.js";
import { inferShapes } from "./infer.js";

export interface BatchedOutput {
  /** As the graph makes it, where that can be told. */
  type: ElementType | undefined;
  /** As declared, or as the graph makes it; `undefined` where neither tells. */
  shape: Dimension[] | undefined;
  /** Whether its first axis is the batch. */
  isBatched: boolean;
  /** Whether it has a number there although the batch is free, as tracing leaves it: right for one image only. */
  isTraced: boolean;
}

/** No model's own name of a length. */
const BATCH = "\0batch";

/**
 * For each output, whether its first axis is the batch: the batch's way through the graph leads there, or it is
 * declared as the batch of the input is: by the same name, or by the same number.
 * @param batch - the length of the first input's first axis as it is declared
 */
export function batchedOutputs(graph: Graph, batch: Dimension): Map<string, BatchedOutput> {
  const facts = inferShapes(withBatch(graph, batch), { partial: true });
  return new Map(
    graph.outputs.map(({ name, shape: declared }) => {
      const made = facts.get(name);
      const shape = declared ?? made?.shape.map((length) => (length === BATCH ? batch : length));
      const isBatched = made?.shape[0] === BATCH || shape?.[0] === batch;
      const isTraced = typeof batch === "string" && typeof made?.shape[0] === "number";
      return [name, { type: made?.type, shape, isBatched, isTraced }];
    }),
  );
}

/** The graph with a name of its own for the batch, whose way through the graph can then be followed. */
function withBatch(graph: Graph, batch: Dimension): Graph {
  const renamed = <T extends { shape: Dimension[] | undefined }>(value: T, isBatched: boolean): T =>
    isBatched && value.shape && value.shape.length > 0
      ? { ...value, shape: [BATCH, ...value.shape.slice(1)] }
      : value;
  const inputs = graph.inputs.map((input, i) => renamed(input, i === 0 || input.shape?.[0] === batch));
  const values = graph.values?.map((value) =>
    renamed(value, typeof batch === "string" && value.shape?.[0] === batch),
  );
  return { ...graph, inputs, ...(values && { values }) };
}
