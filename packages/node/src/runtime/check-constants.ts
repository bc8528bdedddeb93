import type { Graph, Metadata } from "@jpeg-domain/conversion";
import { Budget, budgetOf, inferShapes, loadingBytes } from "@jpeg-domain/conversion/internal";

/**
 * Refuses a model whose constants would grow without bound when ONNX Runtime folds them at load time.
 * @param metadata - of a converted model: it says how much memory the operators take, and must have been checked
 * @throws {LimitError} that names the node whose constant is too large
 */
export function checkConstants(graph: Graph, metadata: Metadata | undefined): void {
  const budget = metadata ? new Budget(loadingBytes(metadata)) : budgetOf(graph);
  inferShapes(graph, { partial: true, budget });
}
