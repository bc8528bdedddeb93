/**
 * The engine of a conversion: lowers every node of a model, on coefficients as far as the plan has layers, else on pixels.
 *
 * Every value is a feature map of the plan, or a tensor under its name. A node that reads a feature map is read as a
 * layer, which the plan carries out. Where it is none, or the plan lacks its kind, is the boundary: the map's pixels are
 * taken, and the node is copied as it is, with all that depends on it, as far as nothing re-enters (boundary.ts).
 */
import { type Budget, LimitError } from "../onnx/budget.js";
import type { GraphBuilder } from "../onnx/builder.js";
import type { Facts } from "../onnx/facts.js";
import { type Dimension, type Graph, type Node, ruleFor, type ValueInfo } from "../onnx/graph.js";
import { inferShapes } from "../onnx/infer.js";
import { reads, renameInSubgraphs } from "../onnx/subgraph.js";
import { Boundary, IN_A_ROW, type Value } from "./boundary.js";
import type { Cost } from "./cost.js";
import { ConvertError } from "./errors.js";
import type { ImageInput } from "./image-input.js";
import { type Inputs, isSized, isWholeBlocks, type Lowered, type Size } from "./layers.js";
import { multiplications } from "./operations.js";
import { NodeContext } from "./operators/context.js";
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
  private readonly facts: Map<string, Facts>;
  /** What each value of `source` has become; constants are added when they are read. */
  private readonly values = new Map<string, Value<M>>();
  private readonly operators: Operators;
  private readonly boundary: Boundary<M>;
  private place: Place = { domain: "coefficients" };

  constructor(
    private readonly source: Graph,
    private readonly image: ImageInput,
    private readonly context: Omit<PlanContext, "note">,
    makePlan: PlanFactory<M>,
  ) {
    this.g = context.g;
    this.cost = context.cost;
    this.plan = makePlan({ ...context, note: this.note });
    this.facts = inferShapes(source, { partial: true, budget: this.g.budget.whole() });
    this.operators = operatorsFor(this.plan.layers);
    this.boundary = new Boundary(source, this.plan, this.facts, this.values, this.operators);
  }

  private note = (domain: Domain, reason: string): void => {
    this.place = { domain, reason };
  };

  run(): NodeReport[] {
    const { source, image, facts, g } = this;
    const unsized = this.enter();
    for (const input of source.inputs.slice(1)) this.enterOther(input);
    const report = source.nodes.map((node) => {
      const before = this.cost.multiplyAdds;
      this.place = { domain: "coefficients" };
      const outside = this.boundary.reasonToCopy(node);
      if (outside !== undefined) this.copy(node, (node.inputs.includes(image.name) && unsized) || outside);
      const layer = outside === undefined ? this.lowerNode(node) : undefined;
      return this.reported(node, layer, this.cost.multiplyAdds - before);
    });
    for (const { name, type, shape } of source.outputs)
      g.output(this.tensor(name), name, type, merged(facts.get(name)?.shape, shape, image.batch));
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
    const { image, g, plan, values, boundary } = this;
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
        ? { kind: "map", map: plan.enter(coefficients, image, boundary.readersOf(name).length) }
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
  private lowerNode(node: Node): Layer | undefined {
    const { plan, source, facts, boundary } = this;
    try {
      const context = new NodeContext(node, source, facts, (name) => this.mapOf(name)?.size);
      const layer = readLayer(context, this.operators, plan, boundary.isNeeded);
      const stays = boundary.reasonToStay(node, layer);
      if (stays !== undefined) {
        this.copy(node, stays);
        return undefined;
      }
      const made = this.lowerLayer(layer);
      const results = Array.isArray(made) ? made : [made];
      for (const [i, result] of results.entries())
        this.values.set(
          node.outputs[i] ?? "",
          typeof result === "string" ? { kind: "tensor", name: result } : { kind: "map", map: result },
        );
      return layer;
    } catch (error) {
      const isLimit = error instanceof LimitError;
      if (plan.isStrict || !(isLimit || error instanceof ConvertError)) throw error;
      this.copy(node, boundary.reasonOutside(node, isLimit ? error.message : error.reason));
      return undefined;
    }
  }

  private lowerLayer(layer: Layer): Lowered<M> {
    const inputs: Inputs<M> = layer.node.inputs.map((name) => {
      const value = this.values.get(name);
      if (value?.kind === "map") return value.map;
      return this.source.initializers.has(name) ? undefined : value?.name;
    });
    const x = inputs.find((input) => typeof input === "object") as M;
    // That the kind is the layer's, TypeScript does not see through the union.
    const lowering = this.plan.layers[layer.kind] as (x: M, layer: Layer, inputs: Inputs<M>) => Lowered<M>;
    return lowering(x, layer, inputs);
  }

  /** Takes a node over as it is: it works on tensors. */
  private copy(node: Node, reason: string): void {
    const { g, facts, image } = this;
    const inputs = node.inputs.map((input) => (input === "" ? "" : this.tensor(input)));
    this.note("pixels", reason);
    const outputs = node.outputs.map((output) => (output === "" ? "" : g.unique(output)));
    g.copy(
      renameInSubgraphs(node, (name) => this.tensor(name)),
      inputs,
      outputs,
    );
    const images = typeof image.batch === "number" ? image.batch : 1;
    this.cost.multiplyAdds += multiplications(node, facts) / images;
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
    const constant = this.source.initializers.get(name);
    if (constant === undefined) throw new ConvertError(`nothing makes the value "${name}"`);
    const added = this.g.constant(name, constant);
    this.values.set(name, { kind: "tensor", name: added });
    return added;
  }
}

type Checks<M extends { size: Size }> = Pick<Plan<M>, "layers" | "isStrict" | "takesWholeBlocks">;

/** The layer that a node is, if the plan carries it out; refused otherwise, before anything of it is built. */
function readLayer<M extends { size: Size }>(
  context: NodeContext,
  operators: Operators,
  { layers, isStrict, takesWholeBlocks }: Checks<M>,
  isNeeded: (name: string) => boolean,
): Layer {
  const { node } = context;
  const unknown = `no rule for this operator on coefficients${isStrict ? `; rules exist for ${Object.keys(operators).join(", ")}` : ""}`;
  const layer = ruleFor(operators, node)?.(context) ?? context.refuse(unknown);
  if (layers[layer.kind] === undefined) context.refuse(layer.reason ?? unknown);
  if (layer.kind !== "channels" && node.outputs.slice(1).some(isNeeded))
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
  const facts = inferShapes(source, { partial: true, budget });
  const needed = new Set([...source.nodes.flatMap(reads), ...source.outputs.map(({ name }) => name)]);
  const operators = operatorsFor(plan.layers);
  const maps = new Map<string, Size>();
  if (isSized(image) && unfit(image, plan) === undefined) maps.set(image.name, image);
  return source.nodes.flatMap((node) => {
    if (IN_A_ROW.has(node.op) || !reads(node).some((name) => maps.has(name))) return [];
    const context = new NodeContext(node, source, facts, (name) => maps.get(name));
    const layer = readLayer(context, operators, plan, (name) => needed.has(name));
    for (const [i, size] of outputsOf(layer).entries()) maps.set(node.outputs[i] ?? "", size);
    return layer;
  });
}

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
