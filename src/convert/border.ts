/**
 * The borders of the coefficient domain: which nodes are left to pixels without a try at a rule, and which feature maps
 * that nodes outside have made come back into it.
 */
import type { Facts } from "../onnx/facts.js";
import { type Dimension, type Graph, type Node, ruleFor } from "../onnx/graph.js";
import { reads } from "../onnx/subgraph.js";
import type { Size } from "./layers.js";
import type { Plan } from "./plan.js";
import { NO_MAP, REENTERS } from "./report.js";
import { hasOwnRules, type PlanWithRules, sizeOf, type Value } from "./rule.js";

/**
 * Operators whose result is an image, whatever its size is, and so is their first input; of others it must be the size
 * of a feature map that they read.
 */
const ON_IMAGES = new Set([
  ...["Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "LRN", "Pad"],
  ...["MaxPool", "AveragePool", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth"],
]);
/** Operators after which the last two axes are no longer height and width, though the lengths may be the same. */
const REARRANGE = new Set(["MatMul", "Gemm", "Transpose", "Reshape", "Flatten", "Einsum", "Gather", "Shape"]);

type FeatureMap = Extract<Value, { kind: "map" }>;

const sides = ({ height, width }: Size) => `${height}x${width}`;
const sameSides = (a: Size, b: Size) => a.height === b.height && a.width === b.width;

export class Border {
  private readonly readers = new Map<string, Node[]>();
  private readonly outputs = new Set<string>();

  /** @param values What each value of `source` has become; feature maps that come back are put in. */
  constructor(
    private readonly source: Graph,
    private readonly plan: Plan | PlanWithRules,
    private readonly facts: Map<string, Facts>,
    private readonly values: Map<string, Value>,
  ) {
    for (const node of source.nodes)
      for (const name of new Set(reads(node))) {
        const readers = this.readersOf(name);
        readers.push(node);
        this.readers.set(name, readers);
      }
    for (const { name } of source.outputs) this.outputs.add(name);
  }

  /** Whether anything reads a value of the source, or it is a result. */
  isNeeded = (name: string): boolean => this.readers.has(name) || this.outputs.has(name);

  /** The nodes that read a value of the source. */
  readersOf = (name: string): Node[] => this.readers.get(name) ?? [];

  /** Why a node is to be copied without a try at a rule, or `undefined`. */
  reasonToCopy(node: Node): string | undefined {
    const { plan } = this;
    if (hasOwnRules(plan) && ruleFor(plan.rules, node)) this.takeBack(node);
    const maps = this.mapsOf(node);
    if (maps.some(({ outside }) => !outside)) return undefined;
    if (maps.length === 0 && !node.inputs.some((input) => this.mayBeImage(input))) return NO_MAP;
    const readers = this.readersOf(node.outputs[0] ?? "");
    const isConverted = maps.length > 0 && (!hasOwnRules(plan) || plan.reenters(node, readers));
    return isConverted ? undefined : "its inputs are pixels already";
  }

  /** That a converted node brings feature maps back into the coefficient domain, if it does. */
  reentrance(node: Node): string | undefined {
    if (!hasOwnRules(this.plan)) return undefined;
    const maps = node.inputs.map((input) => this.mapOf(input));
    const inputs = maps.flatMap((map, i) => (map?.outside ? [i] : []));
    if (inputs.length === 0) return undefined;
    return maps.some((map) => map && !map.outside) ? `${REENTERS} with input ${inputs.join(", ")}` : REENTERS;
  }

  /** What a copied node has made as output `i`, under its name in the graph being built. */
  made(node: Node, i: number, name: string): Value {
    const size = i === 0 ? this.imageSize(node) : undefined;
    return (size && this.lifted(name, size)) ?? { kind: "tensor", name };
  }

  private lifted(name: string, size: Size): Value | undefined {
    const map = this.plan.lift?.(name, size);
    return map === undefined ? undefined : { kind: "map", map, size, outside: true };
  }

  /**
   * Takes back the tensors that are images for what reads them: an operator on images, or a rule that combines them
   * with a feature map of their size.
   */
  private takeBack(node: Node): void {
    const sizes = new Set(this.mapsOf(node).map(({ size }) => sides(size)));
    for (const [i, input] of node.inputs.entries()) {
      const value = this.values.get(input);
      const size = this.sizeOf(input);
      if (value?.kind !== "tensor" || size === undefined || this.source.initializers.has(input)) continue;
      const isImage = (i === 0 && ON_IMAGES.has(node.op)) || sizes.has(sides(size));
      const lifted = isImage ? this.lifted(value.name, size) : undefined;
      if (lifted) this.values.set(input, lifted);
    }
  }

  /** The size of the feature map that a copied node makes, if it is one. */
  private imageSize(node: Node): Size | undefined {
    const size = this.sizeOf(node.outputs[0] ?? "");
    if (size === undefined || node.domain !== "" || REARRANGE.has(node.op)) return undefined;
    const isOf = (input: string) => {
      const map = this.mapOf(input);
      return map !== undefined && sameSides(map.size, size);
    };
    return ON_IMAGES.has(node.op) || node.inputs.some(isOf) ? size : undefined;
  }

  private sizeOf(name: string): Size | undefined {
    const made = this.facts.get(name);
    return made?.type === "float32" ? sizeOf(made.shape) : undefined;
  }

  private mapOf(name: string): FeatureMap | undefined {
    const value = this.values.get(name);
    return value?.kind === "map" ? value : undefined;
  }

  private mapsOf(node: Node): FeatureMap[] {
    return reads(node).flatMap((input) => this.mapOf(input) ?? []);
  }

  /** Whether a value could be an image of pixels: not a constant, and not known to be a vector for each image. */
  private mayBeImage(name: string): boolean {
    const shape: Dimension[] | undefined = this.facts.get(name)?.shape;
    if (name === "" || this.source.initializers.has(name)) return false;
    return shape === undefined || (shape.length > 2 && shape.slice(2).some((length) => length !== 1));
  }
}
