/**
 * The boundary of the coefficient domain: which nodes are left to pixels without being read, and which feature maps that
 * nodes beyond it have made re-enter.
 */
import { type Node, ruleFor } from "../onnx/graph.js";
import { type Size, sameSides, sizeOf } from "./layers.js";
import type { Model } from "./operators/context.js";
import type { Layer, Operators } from "./operators/table.js";
import type { Plan } from "./plan.js";
import { NO_MAP, REENTERS } from "./report.js";

/**
 * What a value of the model has become: a feature map of the plan, or any other tensor under its name. `isOutside` is a
 * feature map that a node beyond the boundary has made, of which the plan knows the pixels.
 */
export type Value<M> = { kind: "map"; map: M; isOutside?: boolean } | { kind: "tensor"; name: string };

/** Operators after which what follows sees pixels in a row: there the domain ends, whatever the plan. */
export const IN_A_ROW: ReadonlySet<string> = new Set(["Flatten", "Reshape"]);

/**
 * Operators whose result is an image, whatever its size is, and so is their first input; of others it must be the size
 * of a feature map that they read.
 */
const ON_IMAGES = new Set([
  ...["Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "LRN", "Pad"],
  ...["MaxPool", "AveragePool", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "GroupNormalization"],
]);
/** Operators after which the last two axes are no longer height and width, though the lengths may be the same. */
const REARRANGE = new Set(["MatMul", "Gemm", "Transpose", "Einsum", "Gather", "Shape", ...IN_A_ROW]);

const PIXELS_ALREADY = "its inputs are pixels already";

export class Boundary<M extends { size: Size }> {
  /**
   * @param values What each value of `source` has become; feature maps that re-enter are put in.
   * @param operators Those that are read as layers.
   */
  constructor(
    private readonly model: Model,
    private readonly plan: Plan<M>,
    private readonly values: Map<string, Value<M>>,
    private readonly operators: Operators,
  ) {}

  /** Why a node is copied without being read, or `undefined`. Lets tensors re-enter that it may be read with. */
  reasonToCopy(node: Node): string | undefined {
    if (ruleFor(this.operators, node)) this.takeBack(node);
    if (this.mapsOf(node).length > 0)
      return node.domain === "" && IN_A_ROW.has(node.op) ? "what follows sees pixels in a row" : undefined;
    return node.inputs.some((input) => this.mayBeImage(input)) ? PIXELS_ALREADY : NO_MAP;
  }

  /** Why a node is copied although it was read as a layer, or `undefined`. */
  reasonToStay(node: Node, layer: Layer): string | undefined {
    if (!this.isOutside(node)) return undefined;
    const readers = [...this.model.index.consumers(node.outputs[0])];
    // Most transpositions make rows of tokens: a layer is only one that another brings back.
    const isRead = readers.some((reader) => reader.op !== "Transpose" && ruleFor(this.operators, reader));
    return (this.plan.reentersFor?.(layer, isRead) ?? true) ? undefined : PIXELS_ALREADY;
  }

  /** Why a node is copied that could not be read: `reason`, if one of its inputs is on coefficients. */
  reasonOutside = (node: Node, reason: string): string =>
    this.plan.reentersFor && this.isOutside(node) ? PIXELS_ALREADY : reason;

  /** Whether all feature maps that a node reads come from beyond the boundary. */
  private isOutside = (node: Node): boolean => this.mapsOf(node).every(({ isOutside }) => isOutside);

  /** Says that a layer brings feature maps back into the coefficient domain, if it does. */
  reentrance(node: Node): string | undefined {
    const maps = node.inputs.map((input) => this.mapOf(input));
    const inputs = maps.flatMap((map, i) => (map?.isOutside ? [i] : []));
    if (inputs.length === 0) return undefined;
    return maps.some((map) => map && !map.isOutside)
      ? `${REENTERS} with input ${inputs.join(", ")}`
      : REENTERS;
  }

  /** What a copied node has made as output `i`, under its name in the graph being built. */
  made(node: Node, i: number, name: string): Value<M> {
    const size = i === 0 ? this.imageSize(node) : undefined;
    return (size && this.reentered(name, size)) ?? { kind: "tensor", name };
  }

  private reentered(name: string, size: Size): Value<M> | undefined {
    const map = this.plan.reenter?.(name, size);
    return map && { kind: "map", map, isOutside: true };
  }

  /**
   * Takes back the tensors that are images for what reads them: an operator on images, or a layer that combines them
   * with a feature map of their size.
   */
  private takeBack(node: Node): void {
    const maps = this.mapsOf(node);
    for (const [i, input] of node.inputs.entries()) {
      const value = this.values.get(input);
      const size = this.sizeOf(input);
      if (value?.kind !== "tensor" || size === undefined || this.model.source.initializers.has(input))
        continue;
      const isImage =
        (i === 0 && ON_IMAGES.has(node.op)) || maps.some(({ map }) => sameSides(map.size, size));
      const map = isImage ? this.reentered(value.name, size) : undefined;
      if (map) this.values.set(input, map);
    }
  }

  /** The size of the feature map that a copied node makes, if it is one. */
  private imageSize(node: Node): Size | undefined {
    const size = this.sizeOf(node.outputs[0] ?? "");
    if (size === undefined || node.domain !== "" || REARRANGE.has(node.op)) return undefined;
    const isOf = ({ map }: { map: M }) => sameSides(map.size, size);
    return ON_IMAGES.has(node.op) || this.mapsOf(node).some(isOf) ? size : undefined;
  }

  private sizeOf(name: string): Size | undefined {
    const made = this.model.facts.get(name);
    return made?.type === "float32" ? sizeOf(made.shape) : undefined;
  }

  private mapOf(name: string) {
    const value = this.values.get(name);
    return value?.kind === "map" ? value : undefined;
  }

  private mapsOf = (node: Node) =>
    [...this.model.index.reads(node)].flatMap((input) => this.mapOf(input) ?? []);

  /** Whether a value could be an image of pixels: not a constant, and not known to be a vector for each image. */
  private mayBeImage(name: string): boolean {
    const shape = this.model.facts.get(name)?.shape;
    if (name === "" || this.model.source.initializers.has(name)) return false;
    return shape === undefined || (shape.length > 2 && shape.slice(2).some((length) => length !== 1));
  }
}
