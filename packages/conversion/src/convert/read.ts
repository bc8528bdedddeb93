/** Reads nodes as layers, and checks that a plan can carry them out. */
import type { Budget } from "../onnx/budget.js";
import { type Graph, type Node, ruleFor } from "../onnx/graph.js";
import { GraphIndex } from "../onnx/graph-index.js";
import { inferShapes } from "../onnx/infer.js";
import { IN_A_ROW } from "./boundary.js";
import type { ImageInput } from "./image-input.js";
import { isSized, isWholeBlocks, type Planes, type Size } from "./layers.js";
import { type Model, NodeContext } from "./operators/context.js";
import { type Kind, type Layer, type Operators, operatorsFor } from "./operators/table.js";

/** The part of a plan that decides which layers it can carry out. */
export interface Demands {
  readonly layers: { readonly [K in Kind]?: unknown };
  readonly isStrict?: boolean;
  readonly takesWholeBlocks?: boolean;
}

export const modelOf = (source: Graph, budget: Budget): Model => ({
  source,
  facts: inferShapes(source, { partial: true, budget: budget.whole() }),
  index: new GraphIndex(source),
});

/** The layer that a node is. Refuses one that the plan cannot carry out, before anything is built. */
export function readLayer(
  context: NodeContext,
  operators: Operators,
  { layers, isStrict, takesWholeBlocks }: Demands,
): Layer {
  const known = isStrict ? `; rules exist for ${Object.keys(operators).join(", ")}` : "";
  const unknown = `no rule for this operator on coefficients${known}`;
  const layer = ruleFor(operators, context.node)?.(context) ?? context.refuse(unknown);
  if (layers[layer.kind] === undefined) context.refuse(layer.reason ?? unknown);
  if (layer.kind !== "channels" && context.hasMoreOutputs)
    context.refuse("another of its outputs is needed than the first");
  const ragged = takesWholeBlocks && outputsOf(layer).find((size) => !isWholeBlocks(size));
  if (ragged)
    context.refuse(
      `it makes feature maps of ${ragged.height}x${ragged.width}, which are not whole 8x8 blocks; ` +
        "expected a height and width that are multiples of 8 at every layer",
    );
  return layer;
}

/** Why a plan cannot take the image as a feature map, if it cannot. */
export function unfit(image: Planes & { name: string }, { takesWholeBlocks }: Demands): string | undefined {
  const found = `input "${image.name}" is ${image.height}x${image.width}`;
  if (!isSized(image)) return `${found}, a size known only at run time`;
  return takesWholeBlocks && !isWholeBlocks(image)
    ? `${found}, which is not whole 8x8 blocks; expected multiples of 8`
    : undefined;
}

/** The layers of a model under a strict plan, without building anything. */
export function readLayers(source: Graph, image: ImageInput, plan: Demands, budget: Budget): Layer[] {
  const model = modelOf(source, budget);
  const operators = operatorsFor(plan.layers);
  const maps = new Map<string, Size>();
  if (isSized(image) && unfit(image, plan) === undefined) maps.set(image.name, image);
  const parts = new Set<Node>();
  return source.nodes.flatMap((node) => {
    const isMap = [...model.index.reads(node)].some((name) => maps.has(name));
    if (parts.has(node) || IN_A_ROW.has(node.op) || !isMap) return [];
    const layer = readLayer(new NodeContext(node, model, (name) => maps.get(name)), operators, plan);
    for (const part of layer.rest ?? []) parts.add(part);
    for (const [i, size] of outputsOf(layer).entries()) maps.set(lastOf(layer).outputs[i] ?? "", size);
    return layer;
  });
}

/** The node that makes what a layer makes. */
export const lastOf = ({ node, rest }: Layer): Node => rest?.at(-1) ?? node;

/** The sizes of the feature maps that a layer makes. */
function outputsOf(layer: Layer): Size[] {
  if (layer.kind === "channels") return layer.picks.map(({ size }) => size);
  return layer.kind === "mean" ? [] : [layer.output];
}
