/** One node of a model, as the table's rows read it. */
import type { Facts } from "../../onnx/facts.js";
import {
  type Constant,
  floatAttribute,
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  numbers,
  stringAttribute,
} from "../../onnx/graph.js";
import type { GraphIndex } from "../../onnx/graph-index.js";
import { spreadOf } from "../domain/beside.js";
import type { OnCoefficients } from "../domain/coefficients.js";
import { ConvertError } from "../errors.js";
import { type Base, type Operand, type Size, sizeOf } from "../layers.js";

/** A model, and what is known of it. */
export interface Model {
  source: Graph;
  facts: ReadonlyMap<string, Facts>;
  index: GraphIndex;
}

/** A node with its inputs. Its methods refuse what no layer can be made of, with the node and the reason. */
export class NodeContext {
  readonly operands: (Operand | undefined)[];

  /** @param sizeOfMap The size of the feature map that a value is, if it is one. */
  constructor(
    readonly node: Node,
    private readonly model: Model,
    private readonly sizeOfMap: (name: string) => Size | undefined,
  ) {
    const { source, facts } = model;
    this.operands = node.inputs.map((name): Operand | undefined => {
      if (name === "") return undefined;
      const [size, value] = [sizeOfMap(name), source.initializers.get(name)];
      if (size) return { kind: "map", size };
      return value ? { kind: "constant", value } : { kind: "tensor", shape: facts.get(name)?.shape };
    });
  }

  /** The one node that reads what this one makes, if nothing else needs that. */
  next(): NodeContext | undefined {
    const { index } = this.model;
    const [output = ""] = this.node.outputs;
    const [next, ...others] = index.consumers(output);
    return next === undefined || others.length > 0 || index.outputs.has(output)
      ? undefined
      : new NodeContext(next, this.model, this.sizeOfMap);
  }

  /** Whether anything needs an output of the node beyond the first. */
  get hasMoreOutputs(): boolean {
    return this.node.outputs.slice(1).some((name) => this.model.index.isNeeded(name));
  }

  /** What every layer has, for one whose first output is a feature map. */
  get base(): Base {
    return { node: this.node, operands: this.operands, output: this.output() };
  }

  /** The size of the feature map that input `i` is. */
  map(i = 0): Size {
    const operand = this.operands[i];
    return operand?.kind === "map" ? operand.size : this.refuse(`input ${i} is not a feature map`);
  }

  /** The constant that input `i` is; `undefined` where the optional input is left out. */
  constant(i: number): Constant | undefined {
    const operand = this.operands[i];
    if (operand === undefined || operand.kind === "constant") return operand?.value;
    return this.refuse(`input ${i} ("${this.node.inputs[i]}") is computed, expected a constant`);
  }

  required(i: number): Constant {
    return this.constant(i) ?? this.refuse(`input ${i} is missing`);
  }

  /** The numbers of input `i`, or of the attribute that older operator sets have in its place. */
  numbers(i: number, attribute: string): number[] | undefined {
    const given = this.constant(i);
    return given ? numbers(given) : this.ints(attribute);
  }

  /** The size of the feature map that output `i` is. */
  output(i = 0): Size {
    const shape = this.model.facts.get(this.node.outputs[i] ?? "")?.shape;
    const found = shape?.join(", ") ?? "?";
    return (
      sizeOf(shape) ?? this.refuse(`it makes [${found}], expected a feature map [N, C, H, W] of known size`)
    );
  }

  /** Refuses input `i` if it cannot stand beside a feature map. One number can, or one a channel, or a constant a pixel. */
  beside(i: number): void {
    const operand = this.operands[i];
    if (operand === undefined || operand.kind === "map") return;
    const known = operand.kind === "constant" ? operand.value.dims : operand.shape;
    const dims = known ?? this.refuse(`the shape of input ${i} is not known`);
    const found = `an operand has shape [${dims.join(", ")}]`;
    if (dims.length > 4) this.refuse(`${found}, expected at most 4 axes`);
    if (operand.kind === "tensor" && spreadOf(dims) === "pixels")
      this.refuse(`${found} and is computed, expected one value a channel`);
    if (operand.kind === "constant" && dims.length === 4 && dims[0] !== 1)
      this.refuse(`${found}, a batch of ${dims[0]}, expected 1`);
  }

  /** All constants of the model. */
  get constants(): ReadonlyMap<string, Constant> {
    return this.model.source.initializers;
  }

  int = (name: string, otherwise: number): number => intAttribute(this.node, name, otherwise);
  ints = (name: string): number[] | undefined => intsAttribute(this.node, name);
  float = (name: string, otherwise: number): number => floatAttribute(this.node, name, otherwise);
  string = (name: string, otherwise: string): string => stringAttribute(this.node, name, otherwise);

  refuse(reason: string): never {
    throw new ConvertError(reason, this.node);
  }
}

/** Checks a node and returns the layer that it is. */
export type Read<L> = (context: NodeContext) => L;

/** A family of operators: how to read its nodes as layers, and how to carry out these layers on coefficients. */
export interface Family<L extends { kind: string }> {
  read: Record<string, Read<L>>;
  lower: { [K in L["kind"]]: OnCoefficients<Extract<L, { kind: K }>> };
}
