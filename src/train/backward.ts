import type { GraphBuilder } from "../onnx/builder.js";
import { describe, ruleFor } from "../onnx/graph.js";
import { DERIVATIVES } from "./derivatives.js";
import { type Site, TrainingError } from "./rule.js";

/**
 * Reverse accumulation: walks the nodes of the forward graph from last to first. Each gets the gradient of its
 * result, the sum of what the nodes that read it have sent back, and sends its inputs theirs:
 *
 *   dL/dx = Σ_{nodes y = f(…, x, …)} (∂y/∂x)ᵀ · dL/dy
 *
 * @param sites - the nodes of the forward graph, in order
 * @param seed - the value at which to start and the name of its gradient
 * @returns the name of the gradient of every value that depends on a parameter, parameters included
 * @throws {TrainingError} at a node between the parameters and the loss that has no derivative
 */
export function backward(g: GraphBuilder, sites: Site[], seed: [string, string]): Map<string, string> {
  const received = new Map<string, string[]>([[seed[0], [seed[1]]]]);
  const gradients = new Map<string, string>();
  const settle = (value: string): string | undefined => {
    const parts = received.get(value);
    if (parts === undefined) return undefined;
    const total = parts.reduce((sum, part) => g.node("Add", [sum, part], {}, "dSum"));
    gradients.set(value, total);
    return total;
  };
  for (const site of sites.toReversed()) {
    const dy = settle(site.y);
    if (dy === undefined || !site.x.some((_, i) => site.wants(i))) continue;
    for (const [i, dx] of derivative(site)(site, dy).entries()) {
      const name = site.x[i];
      if (dx === undefined || name === undefined || !site.wants(i)) continue;
      const parts = received.get(name);
      if (parts) parts.push(dx);
      else received.set(name, [dx]);
    }
  }
  for (const name of received.keys()) if (!gradients.has(name)) settle(name);
  return gradients;
}

function derivative({ node }: Site) {
  const rule = ruleFor(DERIVATIVES, node);
  if (rule !== undefined) return rule;
  const rows = Object.keys(DERIVATIVES).join(", ");
  throw new TrainingError(
    `${describe(node)} cannot be trained: ${node.op} has no derivative rule; there are rules for ${rows}`,
    node,
  );
}
