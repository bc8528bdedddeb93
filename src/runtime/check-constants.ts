import type { Metadata } from "../convert/metadata.js";
import { loadingBytes } from "../convert/plan.js";
import { Budget, budgetOf } from "../onnx/budget.js";
import type { Graph } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";

/**
 * Refuses a model of which ONNX Runtime would make constants of any size when it loads it.
 * @param metadata Of a converted model: it says what its operators take, and must have been checked.
 * @throws {LimitError} naming the node that makes too large a constant.
 */
export function checkConstants(graph: Graph, metadata: Metadata | undefined): void {
  const budget = metadata ? new Budget(loadingBytes(metadata)) : budgetOf(graph);
  inferShapes(graph, { partial: true, budget });
}
