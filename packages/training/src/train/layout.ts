import type { Constant, Graph } from "@jpeg-domain/conversion";
import { floats, volume } from "@jpeg-domain/conversion/internal";
import { TrainingError } from "./rule.js";

/** Where each of several tensors is in one flat vector. */
export type Layout = Slot[];

export interface Slot {
  name: string;
  dims: number[];
  offset: number;
  length: number;
}

/** The initialisers `names` of a graph, one after another. */
export function layoutOf(graph: Graph, names: Iterable<string>): Layout {
  let offset = 0;
  return Array.from(names, (name) => {
    const { dims } = initializer(graph, name);
    const slot = { name, dims, offset, length: volume(dims) };
    offset += slot.length;
    return slot;
  });
}

export const flatLength = (layout: Layout): number => layout.reduce((sum, { length }) => sum + length, 0);

/** The initialisers' values as one vector. */
export function gatherValues(graph: Graph, layout: Layout): Float32Array {
  const flat = new Float32Array(flatLength(layout));
  for (const { name, offset } of layout) flat.set(floats(initializer(graph, name)), offset);
  return flat;
}

/** The tensors of one vector by name, copied. */
export function tensorsOf(layout: Layout, flat: Float32Array): [string, Constant][] {
  return layout.map(({ name, dims, offset, length }) => [
    name,
    { type: "float32", dims, data: flat.slice(offset, offset + length) },
  ]);
}

function initializer(graph: Graph, name: string): Constant {
  const found = graph.initializers.get(name);
  if (found?.type !== "float32")
    throw new TrainingError(
      `parameter "${name}" is ${found ? `of type ${found.type}` : "no initialiser of the graph"}, expected float32 values`,
    );
  return found;
}
