/**
 * The engine of a conversion: lowers every node of a model, on coefficients as far as the plan has layers, else on pixels.
 *
 * Every value is a feature map of the plan, or a tensor under its name. A node that reads a feature map is read as a
 * layer, which the plan carries out. Where it is none, or the plan lacks its kind, is the boundary: the map's pixels are
 * taken, and the node is copied as it is, with all that depends on it, as far as nothing re-enters (boundary.ts).
 */
import { LimitError } from "../onnx/budget.js";
import type { GraphBuilder } from "../onnx/builder.js";
import { type Dimension, describe, type Graph, type Node } from "../onnx/graph.js";
import { renameInSubgraphs } from "../onnx/subgraph.js";
import { Boundary, type Value } from "./boundary.js";
import { ConvertError } from "./errors.js";
import type { ImageInput } from "./image-input.js";
import { type Inputs, isSized, type Lowered, type Size } from "./layers.js";
import { multiplications } from "./operations.js";
import { type Model, NodeContext } from "./operators/context.js";
import { type Layer, type Operators, operatorsFor } from "./operators/table.js";
import type { Plan, PlanContext, PlanFactory } from "./plan.js";
import { lastOf, modelOf, readLayer, unfit } from "./read.js";
import { activationOf, type NodeReport } from "./report.js";

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
  private readonly g: GraphBuilder;
  private readonly model: Model;
  private readonly plan: Plan<M>;
  private readonly operators: Operators;
  private readonly boundary: Boundary<M>;
  /** What each value of the model has become; constants are added when they are read. */
  private readonly values = new Map<string, Value<M>>();
  /** Nodes that are part of a layer before them. */
  private readonly parts = new Map<Node, string>();
  /** Where the current node is carried out, and why. */
  private place: Pick<NodeReport, "domain" | "reason"> = { domain: "coefficients" };

  constructor(
    source: Graph,
    private readonly image: ImageInput,
    private readonly context: Omit<PlanContext, "note">,
    makePlan: PlanFactory<M>,
  ) {
    this.g = context.g;
    this.model = modelOf(source, this.g.budget);
    this.plan = makePlan({
      ...context,
      note: (domain, reason) => {
        this.place = { domain, reason };
      },
    });
    this.operators = operatorsFor(this.plan.layers);
    this.boundary = new Boundary(this.model, this.plan, this.values, this.operators);
  }

  run(): NodeReport[] {
    const { model, image, g } = this;
    const [, ...others] = model.source.inputs;
    this.enter();
    g.graph.inputs.push(...others);
    for (const { name } of others) this.values.set(name, { kind: "tensor", name });
    const report = model.source.nodes.map((node) => this.lowerAndReport(node));
    for (const { name, type, shape } of model.source.outputs)
      g.output(this.tensor(name), name, type, merged(model.facts.get(name)?.shape, shape, image.batch));
    return report;
  }

  /** Makes the image of the coefficients. */
  private enter(): void {
    const { image, g, plan, values } = this;
    const { name, batch, channels, height, width } = image;
    const blocks = [height, width].map((length) =>
      typeof length === "number" ? Math.ceil(length / 8) : `${length}_blocks`,
    );
    const coefficients = g.input("coefficients", "float32", [batch, channels, ...blocks, 64]);
    const why = unfit(image, plan);
    if (why !== undefined && plan.isStrict) throw new ConvertError(why);
    if (why !== undefined || !isSized(image))
      values.set(name, { kind: "tensor", name: plan.planes(coefficients, image) });
    else {
      const readers = this.model.index.consumers(name).size;
      values.set(name, { kind: "map", map: plan.enter(coefficients, image, readers) });
    }
  }

  private lowerAndReport(node: Node): NodeReport {
    const { cost, settings } = this.context;
    const before = cost.multiplyAdds;
    this.place = { domain: "coefficients", reason: this.parts.get(node) };
    const layer = this.parts.has(node) ? undefined : this.lowerNode(node);
    const { domain, reason } = this.place;
    const reentrance = domain === "coefficients" ? this.boundary.reentrance(node) : undefined;
    const activation = settings.relu.kind === "exact" ? undefined : activationOf(node, layer, reason);
    return {
      node: node.name || node.outputs[0] || "",
      op: node.domain ? `${node.domain}.${node.op}` : node.op,
      domain,
      reason: reentrance && reason ? `${reentrance}: ${reason}` : (reentrance ?? reason),
      ...(activation && { activation }),
      multiplyAdds: cost.multiplyAdds - before,
    };
  }

  /** Lowers a node as a layer, which it returns, or copies it. */
  private lowerNode(node: Node): Layer | undefined {
    const { plan, boundary, image } = this;
    const outside = boundary.reasonToCopy(node);
    if (outside !== undefined)
      return this.copy(node, (node.inputs.includes(image.name) && unfit(image, plan)) || outside);
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
    const inputs: Inputs<M> = layer.operands.map((operand, i) => {
      const name = layer.node.inputs[i] as string;
      if (operand?.kind === "constant") return { ...operand, name };
      const value = operand && this.values.get(name);
      return value?.kind === "tensor" ? { ...value, shape: this.model.facts.get(name)?.shape ?? [] } : value;
    });
    const [x] = inputs.flatMap((input) => (input?.kind === "map" ? [input.map] : []));
    // That the kind is the layer's, TypeScript does not see through the union.
    const lowering = this.plan.layers[layer.kind] as (x: M, layer: Layer, inputs: Inputs<M>) => Lowered<M>;
    return lowering(x as M, layer, inputs);
  }

  /** Copies a node as it is, on tensors. */
  private copy(node: Node, reason: string): undefined {
    const { g, image } = this;
    const inputs = node.inputs.map((input) => (input === "" ? "" : this.tensor(input)));
    this.place = { domain: "pixels", reason };
    const outputs = node.outputs.map((output) => (output === "" ? "" : g.unique(output)));
    const copied = renameInSubgraphs(node, (name) => this.tensor(name));
    g.copy(copied, inputs, outputs);
    const images = typeof image.batch === "number" ? image.batch : 1;
    this.context.cost.multiplyAdds += multiplications(node, this.model.facts) / images;
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
