import type { GraphBuilder } from "../onnx/builder.js";
import { type Graph, ruleFor } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";
import { TRAINING_FORMS } from "./derivatives.js";
import { type Site, TrainingError } from "./rule.js";

export interface Forward {
  /** The nodes in order, with all that their derivatives need. */
  sites: Site[];
  /** The next value of each running statistic. */
  updates: Map<string, string>;
}

/**
 * Copies the nodes of a graph into `g`, each in its training form.
 *
 * @param values - the names that the graph's values have in `g`: holds its inputs and initialisers, and takes on
 *   the rest
 * @param trained - names, in the graph, of the values to find gradients of
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
  const sites: Site[] = [];
  const updates = new Map<string, string>();
  for (const node of graph.nodes) {
    const wanted = node.inputs.map((name) => differentiable.has(name));
    const result = node.outputs[0] as string;
    const site: Site = {
      g,
      node,
      x: node.inputs.map((name) => values.get(name) ?? ""),
      xShapes: node.inputs.map(shape),
      y: g.unique(result),
      yShape: shape(result),
      saved: [],
      wants: (i) => wanted[i] ?? false,
      constant: (i) => graph.initializers.get(node.inputs[i] ?? ""),
    };
    const form = ruleFor(TRAINING_FORMS, node);
    if (form === undefined) {
      const outputs = node.outputs.map((name, i) => (i === 0 ? site.y : name && g.unique(name)));
      g.copy(node, site.x, outputs);
      for (const [i, name] of node.outputs.entries()) values.set(name, outputs[i] as string);
      sites.push(site);
    } else {
      const { y, saved, updates: next } = form(site);
      values.set(result, y);
      for (const [name, value] of next) updates.set(name, value);
      sites.push({ ...site, y, saved });
    }
    if (wanted.includes(true)) for (const name of node.outputs) differentiable.add(name);
  }
  return { sites, updates };
}

/** The name that `value` has in the new graph. */
export function resolve(values: Map<string, string>, value: string): string {
  const found = values.get(value);
  if (found === undefined) throw new TrainingError(`"${value}" is not a value of the graph`);
  return found;
}
