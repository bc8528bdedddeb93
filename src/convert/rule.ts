import type { GraphBuilder } from "../onnx/builder.js";
import type { Facts } from "../onnx/facts.js";
import type { Constant, Dimension, Graph, Node } from "../onnx/graph.js";
import { ConvertError } from "./errors.js";
import { isWholeBlocks, type Size } from "./layers.js";
import type { Note, Plan } from "./plan.js";

/**
 * A value of the converted graph: a feature map in the plan's keeping, or any other tensor under its name. `outside` is
 * a feature map that a copied node has made, of which the plan knows the pixels.
 */
export type Value =
  | { kind: "map"; map: unknown; size: Size; outside?: boolean }
  | { kind: "tensor"; name: string };

/** A plan that has rules of its own, in the place of those of operators/table.ts. */
export interface PlanWithRules<M = unknown> extends Plan<M> {
  readonly rules: Readonly<Record<string, Rule>>;
  /**
   * Whether a node that reads no feature map but such as copied nodes have made is to be converted, rather than copied
   * as well.
   * @param readers The nodes that read what it makes.
   */
  reenters(node: Node, readers: Node[]): boolean;
}

export const hasOwnRules = (plan: Plan | PlanWithRules): plan is PlanWithRules => "rules" in plan;

/** One node being converted: what its inputs have become, and the plan to carry it out with. */
export class Conversion {
  constructor(
    readonly node: Node,
    readonly plan: Plan,
    readonly g: GraphBuilder,
    private readonly source: Graph,
    private readonly facts: Map<string, Facts>,
    private readonly values: Map<string, Value>,
    readonly note: Note,
  ) {}

  /** The feature map that input `i` is. */
  map(i: number): unknown {
    const value = this.values.get(this.node.inputs[i] as string);
    return value?.kind === "map" ? value.map : this.refuse(`input ${i} is not a feature map`);
  }

  isMap(i: number): boolean {
    return this.values.get(this.node.inputs[i] as string)?.kind === "map";
  }

  /** What input `i` has become; `undefined` for constants and optional inputs left out. */
  value(i: number): Value | undefined {
    return this.values.get(this.node.inputs[i] as string);
  }

  /** The shapes of values of the model, empty where they are not known. */
  shapes(names: string[]): Dimension[][] {
    return names.map((name) => this.facts.get(name)?.shape ?? []);
  }

  /** The constant that input `i` is, or `undefined` where the optional input is left out. */
  constant(i: number): Constant | undefined {
    const name = this.node.inputs[i];
    if (!name) return undefined;
    return (
      this.source.initializers.get(name) ??
      this.refuse(`input ${i} ("${name}") is computed, expected a constant`)
    );
  }

  get constants(): Map<string, Constant> {
    return this.source.initializers;
  }

  requiredConstant(i: number): Constant {
    return this.constant(i) ?? this.refuse(`input ${i} is missing`);
  }

  /** The size of the feature map that input `i` is. */
  inputSize(i = 0): Size {
    return this.size(this.node.inputs[i] as string);
  }

  /** The shape of what the node makes, empty where it is not known. */
  outputShape(): Dimension[] {
    return this.facts.get(this.node.outputs[0] as string)?.shape ?? [];
  }

  /** The size of the feature map that the node makes; whole blocks, if the plan needs them. */
  outputSize(): Size {
    const size = this.size(this.node.outputs[0] as string);
    if (this.plan.wholeBlocks && !isWholeBlocks(size))
      this.refuse(
        `it makes feature maps of ${size.height}x${size.width}, which are not whole 8x8 blocks; ` +
          "expected a height and width that are multiples of 8 at every layer",
      );
    return size;
  }

  /** The node's output as the feature map that the plan has made. */
  result(map: unknown): Value {
    return { kind: "map", map, size: this.outputSize() };
  }

  private size(name: string): Size {
    const shape = this.facts.get(name)?.shape;
    return (
      sizeOf(shape) ??
      this.refuse(
        `"${name}" has shape [${shape?.join(", ") ?? "?"}], expected a feature map [N, C, H, W] of known size`,
      )
    );
  }

  /** Ends the coefficient domain here, or under plan `exploded` the conversion. To be called before anything is built. */
  refuse(reason: string): never {
    throw new ConvertError(reason, this.node);
  }
}

/** The size of a feature map of shape `[N, C, H, W]`, if it is one and known. */
export function sizeOf(shape: Dimension[] | undefined): Size | undefined {
  const [, channels, height, width] = shape ?? [];
  return shape?.length === 4 &&
    typeof channels === "number" &&
    typeof height === "number" &&
    typeof width === "number"
    ? { channels, height, width }
    : undefined;
}

/** Converts one node of which at least one input is a feature map. Gives what its outputs have become, or its only one. */
export type Rule = (call: Conversion) => Value | Value[];
