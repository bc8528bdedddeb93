import { describe, ruleFor } from "@jpeg-domain/conversion/internal";
import type { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { DERIVATIVES } from "./derivatives.js";
import { type NodeContext, TrainingError } from "./rule.js";

/**
 * Reverse accumulation: goes through the nodes of the forward graph from last to first. The gradient of a node's result
 * is the sum of the gradients from all nodes that read it. From it the node computes the gradients of its inputs:
 *
 *   dL/dx = Σ_{nodes y = f(…, x, …)} (∂y/∂x)ᵀ · dL/dy
 *
 * @param contexts - the nodes of the forward graph, in order
 * @param seed - the value to start from, and the name of its gradient
 * @returns the name of the gradient of every value that depends on a parameter, and of the parameters
 * @throws {TrainingError} if a node between the parameters and the loss has no derivative
 */
export function backward(
  g: GraphBuilder,
  contexts: NodeContext[],
  seed: [string, string],
): Map<string, string> {
  const received = new Map<string, string[]>([[seed[0], [seed[1]]]]);
  const gradients = new Map<string, string>();
  const accumulate = (value: string): string | undefined => {
    const parts = received.get(value);
    if (parts === undefined) return undefined;
    const total = parts.reduce((sum, part) => g.node("Add", [sum, part], {}, "dSum"));
    gradients.set(value, total);
    return total;
  };
  for (const context of contexts.toReversed()) {
    const dy = accumulate(context.y);
    if (dy === undefined || !context.x.some((_, i) => context.needsGradient(i))) continue;
    for (const [i, dx] of derivative(context)(context, dy).entries()) {
      const name = context.x[i];
      if (dx === undefined || name === undefined || !context.needsGradient(i)) continue;
      const parts = received.get(name);
      if (parts) parts.push(dx);
      else received.set(name, [dx]);
    }
  }
  for (const name of received.keys()) if (!gradients.has(name)) accumulate(name);
  return gradients;
}

function derivative({ node }: NodeContext) {
  const rule = ruleFor(DERIVATIVES, node);
  if (rule !== undefined) return rule;
  const rows = Object.keys(DERIVATIVES).join(", ");
  throw new TrainingError(
    `${describe(node)} cannot be trained: ${node.op} has no derivative; these operators have one: ${rows}`,
    node,
  );
}
