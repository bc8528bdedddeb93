/**
 * The engine of a conversion: lowers every node of a model, on coefficients as far as the plan has layers, else on pixels.
 *
 * Every value is a feature map of the plan, or a tensor under its name. A node that reads a feature map is read as a
 * layer, which the plan carries out. Where it is none, or the plan lacks its kind, is the boundary: the map's pixels are
 * taken, and the node is copied as it is, with all that depends on it, as far as nothing re-enters (boundary.ts).
 */
import { type Budget, LimitError } from "../onnx/budget.js";
import type { GraphBuilder } from "../onnx/builder.js";
import { type Dimension, describe, type Graph, type Node, ruleFor, type ValueInfo } from "../onnx/graph.js";
import { GraphIndex } from "../onnx/graph-index.js";
import { inferShapes } from "../onnx/infer.js";
import { reads, renameInSubgraphs } from "../onnx/subgraph.js";
import { Boundary, IN_A_ROW, type Value } from "./boundary.js";
import type { Cost } from "./cost.js";
import { ConvertError } from "./errors.js";
import type { ImageInput } from "./image-input.js";
import { type Inputs, isSized, isWholeBlocks, type Lowered, type Size } from "./layers.js";
import { multiplications } from "./operations.js";
import { type Model, NodeContext } from "./operators/context.js";
import { type Layer, type Operators, operatorsFor } from "./operators/table.js";
import type { Plan, PlanContext, PlanFactory } from "./plan.js";
import { activationOf, type Domain, type NodeReport } from "./report.js";

/** Where a node is carried out, and why there. */
interface Place {
  domain: Domain;
  reason?: string | undefined;
}

/**
 * Builds in `context.g` what `source` computes, from the coefficients of its image.
 * @returns Where each node went.
 */
export function lower<M extends { size: Size }>(
  source: Graph,
  image: ImageInput,
  context: Omit<PlanContext, "note">,
  makePlan: PlanFactory<M>,
): NodeReport[] {
  return new Lowering(source, image, context, makePlan).run();
}

class Lowering<M extends { size: Size }> {
  private readonly plan: Plan<M>;
  private readonly g: GraphBuilder;
  private readonly cost: Cost;
  private readonly model: Model;
  /** What each value of `source` has become; constants are added when they are read. */
  private readonly values = new Map<string, Value<M>>();
  private readonly operators: Operators;
  private readonly boundary: Boundary<M>;
  /** Nodes that are part of a layer before them. */
  private readonly parts = new Map<Node, string>();
  private place: Place = { domain: "coefficients" };

  constructor(
    source: Graph,
    private readonly image: ImageInput,
    private readonly context: Omit<PlanContext, "note">,
    makePlan: PlanFactory<M>,
  ) {
    this.g = context.g;
    this.cost = context.cost;
    this.plan = makePlan({ ...context, note: this.note });
    this.model = modelOf(source, this.g.budget);
    this.operators = operatorsFor(this.plan.layers);
    this.boundary = new Boundary(this.model, this.plan, this.values, this.operators);
  }

  private note = (domain: Domain, reason: string): void => {
    this.place = { domain, reason };
  };

  run(): NodeReport[] {
    const { model, image, g } = this;
    const unsized = this.enter();
    for (const input of model.source.inputs.slice(1)) this.enterOther(input);
    const report = model.source.nodes.map((node) => {
      const before = this.cost.multiplyAdds;
      this.place = { domain: "coefficients", reason: this.parts.get(node) };
      const layer = this.parts.has(node) ? undefined : this.lowerNode(node, unsized);
      return this.reported(node, layer, this.cost.multiplyAdds - before);
    });
    for (const { name, type, shape } of model.source.outputs)
      g.output(this.tensor(name), name, type, merged(model.facts.get(name)?.shape, shape, image.batch));
    return report;
  }

  private reported(node: Node, layer: Layer | undefined, multiplyAdds: number): NodeReport {
    const { domain, reason } = this.place;
    const why =
      domain === "coefficients"
        ? [this.boundary.reentrance(node), reason].filter(Boolean).join(": ")
        : reason;
    const activation =
      this.context.settings.relu.kind === "exact" ? undefined : activationOf(node, layer, reason);
    return {
      node: node.name || node.outputs[0] || "",
      op: node.domain ? `${node.domain}.${node.op}` : node.op,
      domain,
      reason: why || undefined,
      ...(activation && { activation }),
      multiplyAdds,
    };
  }

  /** Makes the image of the coefficients. Returns why it is no feature map of the plan, if it is none. */
  private enter(): string | undefined {
    const { image, g, plan, values } = this;
    const { name, batch, channels, height, width } = image;
    const blocks = [height, width].map((length) =>
      typeof length === "number" ? Math.ceil(length / 8) : `${length}_blocks`,
    );
    const coefficients = g.input("coefficients", "float32", [batch, channels, ...blocks, 64]);
    const why = unfit(image, plan);
    if (why !== undefined && plan.isStrict) throw new ConvertError(why);
    values.set(
      name,
      why === undefined && isSized(image)
        ? { kind: "map", map: plan.enter(coefficients, image, this.model.index.consumers(name).size) }
        : { kind: "tensor", name: plan.planes(coefficients, image) },
    );
    return why;
  }

  /** Takes an input beside the image over, under its name. */
  private enterOther(input: ValueInfo): void {
    const { inputs } = this.g.graph;
    if (inputs.some(({ name }) => name === input.name))
      throw new ConvertError(
        `the model has an input "${input.name}", as the converted one is to have for the image; expected its values, as an option, or another name`,
      );
    inputs.push(input);
    this.values.set(input.name, { kind: "tensor", name: input.name });
  }

  /** Lowers a node that reads a feature map, or else copies it. Returns the layer that it is, if it is lowered as one. */
  private lowerNode(node: Node, unsized: string | undefined): Layer | undefined {
    const { plan, boundary } = this;
    const outside = boundary.reasonToCopy(node);
    if (outside !== undefined)
      return this.copy(node, (node.inputs.includes(this.image.name) && unsized) || outside);
    try {
      const context = new NodeContext(node, this.model, (name) => this.mapOf(name)?.size);
      const layer = readLayer(context, this.operators, plan);
      const stays = boundary.reasonToStay(node, layer);
      if (stays !== undefined) return this.copy(node, stays);
      const made = this.lowerLayer(layer);
      const { outputs } = lastOf(layer);
      for (const [i, result] of (Array.isArray(made) ? made : [made]).entries())
        this.values.set(
          outputs[i] ?? "",
          typeof result === "string" ? { kind: "tensor", name: result } : { kind: "map", map: result },
        );
      for (const part of layer.rest ?? []) this.parts.set(part, `part of ${describe(node)}`);
      return layer;
    } catch (error) {
      const isLimit = error instanceof LimitError;
      if (plan.isStrict || !(isLimit || error instanceof ConvertError)) throw error;
      return this.copy(node, boundary.reasonOutside(node, isLimit ? error.message : error.reason));
    }
  }

  private lowerLayer(layer: Layer): Lowered<M> {
    const inputs: Inputs<M> = layer.node.inputs.map((name) => {
      const value = this.values.get(name);
      if (value?.kind === "map") return value.map;
      return this.model.source.initializers.has(name) ? undefined : value?.name;
    });
    const x = inputs.find((input) => typeof input === "object") as M;
    // That the kind is the layer's, TypeScript does not see through the union.
    const lowering = this.plan.layers[layer.kind] as (x: M, layer: Layer, inputs: Inputs<M>) => Lowered<M>;
    return lowering(x, layer, inputs);
  }

  /** Takes a node over as it is: it works on tensors. */
  private copy(node: Node, reason: string): undefined {
    const { g, image } = this;
    const inputs = node.inputs.map((input) => (input === "" ? "" : this.tensor(input)));
    this.note("pixels", reason);
    const outputs = node.outputs.map((output) => (output === "" ? "" : g.unique(output)));
    g.copy(
      renameInSubgraphs(node, (name) => this.tensor(name)),
      inputs,
      outputs,
    );
    const images = typeof image.batch === "number" ? image.batch : 1;
    this.cost.multiplyAdds += multiplications(node, this.model.facts) / images;
    for (const [i, output] of node.outputs.entries())
      if (output !== "") this.values.set(output, this.boundary.made(node, i, outputs[i] as string));
  }

  private mapOf(name: string): M | undefined {
    const value = this.values.get(name);
    return value?.kind === "map" ? value.map : undefined;
  }

  /** The name of a value's tensor in the graph being built. */
  private tensor(name: string): string {
    const value = this.values.get(name);
    if (value !== undefined) return value.kind === "map" ? this.plan.pixels(value.map) : value.name;
    const constant = this.model.source.initializers.get(name);
    if (constant === undefined) throw new ConvertError(`nothing makes the value "${name}"`);
    const added = this.g.constant(name, constant);
    this.values.set(name, { kind: "tensor", name: added });
    return added;
  }
}

type Checks<M extends { size: Size }> = Pick<Plan<M>, "layers" | "isStrict" | "takesWholeBlocks">;

const modelOf = (source: Graph, budget: Budget): Model => ({
  source,
  facts: inferShapes(source, { partial: true, budget: budget.whole() }),
  index: new GraphIndex(source),
});

/** The layer that a node is, if the plan carries it out; refused otherwise, before anything of it is built. */
function readLayer<M extends { size: Size }>(
  context: NodeContext,
  operators: Operators,
  { layers, isStrict, takesWholeBlocks }: Checks<M>,
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

/** Why an image is no feature map of a plan, if it is none. */
function unfit<M extends { size: Size }>(
  image: ImageInput,
  { takesWholeBlocks }: Checks<M>,
): string | undefined {
  const found = `input "${image.name}" is ${image.height}x${image.width}`;
  if (!isSized(image)) return `${found}, a size known only at run time`;
  return takesWholeBlocks && !isWholeBlocks(image)
    ? `${found}, which is not whole 8x8 blocks; expected multiples of 8`
    : undefined;
}

/** The layers of a model under a strict plan, read and checked as they will be lowered. Nothing is built. */
export function readLayers<M extends { size: Size }>(
  source: Graph,
  image: ImageInput,
  plan: Checks<M>,
  budget: Budget,
): Layer[] {
  const model = modelOf(source, budget);
  const operators = operatorsFor(plan.layers);
  const maps = new Map<string, Size>();
  if (isSized(image) && unfit(image, plan) === undefined) maps.set(image.name, image);
  const parts = new Set<Node>();
  return source.nodes.flatMap((node) => {
    if (parts.has(node) || IN_A_ROW.has(node.op) || !reads(node).some((name) => maps.has(name))) return [];
    const layer = readLayer(new NodeContext(node, model, (name) => maps.get(name)), operators, plan);
    for (const part of layer.rest ?? []) parts.add(part);
    for (const [i, size] of outputsOf(layer).entries()) maps.set(lastOf(layer).outputs[i] ?? "", size);
    return layer;
  });
}

/** The node that makes what a layer makes. */
const lastOf = ({ node, rest }: Layer): Node => rest?.at(-1) ?? node;

/** The sizes of the feature maps that a layer makes. */
const outputsOf = (layer: Layer): Size[] =>
  layer.kind === "channels"
    ? layer.picks.map(({ size }) => size)
    : layer.kind === "mean"
      ? []
      : [layer.output];

/** The lengths that are known of an output. Whether the first is the batch is the model's to say, where it can be. */
function merged(
  made: Dimension[] | undefined,
  declared: Dimension[] | undefined,
  batch: Dimension,
): Dimension[] | undefined {
  if (made === undefined || declared?.length !== made.length) return made ?? declared;
  if (typeof batch === "string" && made[0] === batch) return made;
  return [...declared.slice(0, 1), ...made.slice(1)];
}
