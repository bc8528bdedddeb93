import type { Graph } from "@jpeg-domain/conversion";
import { inferShapes, ruleFor } from "@jpeg-domain/conversion/internal";
import type { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { TRAINING_FORMS } from "./derivatives.js";
import { type NodeContext, TrainingError } from "./rule.js";

export interface Forward {
  /** The nodes in order, with everything that their derivatives need. */
  contexts: NodeContext[];
  /** The next value of each running statistic. */
  updates: Map<string, string>;
}

/**
 * Copies the nodes of a graph into `g`, each in its training form.
 *
 * @param values - the names of the graph's values in `g`: at first the inputs and initialisers; this adds the rest
 * @param trained - names, in the graph, of the values that need a gradient
 */
export function forwardPass(
  g: GraphBuilder,
  graph: Graph,
  values: Map<string, string>,
  trained: Iterable<string>,
): Forward {
  const facts = inferShapes(graph);
  const shape = (name: string) => facts.get(name)?.shape ?? [];
  const differentiable = new Set(trained);
  const contexts: NodeContext[] = [];
  const updates = new Map<string, string>();
  for (const node of graph.nodes) {
    const wanted = node.inputs.map((name) => differentiable.has(name));
    const result = node.outputs[0] as string;
    const context: NodeContext = {
      g,
      node,
      x: node.inputs.map((name) => values.get(name) ?? ""),
      xShapes: node.inputs.map(shape),
      y: g.unique(result),
      yShape: shape(result),
      saved: [],
      needsGradient: (i) => wanted[i] ?? false,
      constant: (i) => graph.initializers.get(node.inputs[i] ?? ""),
    };
    const form = ruleFor(TRAINING_FORMS, node);
    if (form === undefined) {
      const outputs = node.outputs.map((name, i) => (i === 0 ? context.y : name && g.unique(name)));
      g.copy(node, context.x, outputs);
      for (const [i, name] of node.outputs.entries()) values.set(name, outputs[i] as string);
      contexts.push(context);
    } else {
      const { y, saved, updates: next } = form(context);
      values.set(result, y);
      for (const [name, value] of next) updates.set(name, value);
      contexts.push({ ...context, y, saved });
    }
    if (wanted.includes(true)) for (const name of node.outputs) differentiable.add(name);
  }
  return { contexts, updates };
}

/** The name that `value` has in the new graph. */
export function resolve(values: Map<string, string>, value: string): string {
  const found = values.get(value);
  if (found === undefined) throw new TrainingError(`"${value}" is not a value of the graph`);
  return found;
}
