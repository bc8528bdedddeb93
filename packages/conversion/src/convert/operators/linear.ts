/**
 * Linear maps of each pixel. The transform is linear, so sums of feature maps are the same on coefficients as on pixels;
 * a scale acts on every frequency, and adding a constant to a channel changes only its mean, which is k = 0:
 *
 *   y = a ± b,   y = x + shift,   y = scale x + shift
 *
 * Batch normalisation with running statistics is the last, with scale = gamma / √(variance + ε), shift = beta - scale mean.
 * Between other operators that need pixels, as in x (1 + erf(x / √2)) / 2, all of it is done on pixels.
 */
import { type Constant, floatAttribute, floats, intAttribute, type Node } from "../../onnx/graph.js";
import { besideBlocks, besideCoefficients, isEven, spread } from "../domain/beside.js";
import type { CoefficientMap, Coefficients, OnCoefficients } from "../domain/coefficients.js";
import { type Base, type Input, type Inputs, type Size, sameSides } from "../layers.js";
import type { Family, NodeContext, Read } from "./context.js";

/** `sum`: of feature maps of one size, where one channel is repeated over many. `offset`: of feature maps and others. */
export interface Sum<K extends "sum" | "offset"> extends Base {
  kind: K;
  op: "Add" | "Sub";
}

export interface Affine extends Base {
  kind: "affine";
  scale: number[];
  /** None where it is 0 for all channels. */
  shift?: number[];
}

const sides = ({ channels, height, width }: Size) => `${channels}x${height}x${width}`;

/** Refuses operands that cannot stand beside each other, such as maps of different sides, unless one is 1x1. */
export function checkOperands(context: NodeContext, size: Size): void {
  for (const [i, operand] of context.operands.entries()) {
    if (operand === undefined) context.refuse(`input ${i} is missing`);
    context.beside(i);
    if (operand?.kind !== "map" || sameSides(operand.size, size)) continue;
    if (operand.size.height > 1 || operand.size.width > 1)
      context.refuse(
        `it repeats a feature map of ${sides(operand.size)} over one of ${sides(size)}, expected the same size`,
      );
  }
}

const sum =
  (op: "Add" | "Sub"): Read<Sum<"sum"> | Sum<"offset">> =>
  (context) => {
    const base = context.base;
    checkOperands(context, base.output);
    const isOfMaps = context.operands.every(
      (operand) => operand?.kind === "map" && sameSides(operand.size, base.output),
    );
    const reason = "it adds a constant to a feature map, expected two feature maps";
    return isOfMaps ? { kind: "sum", ...base, op } : { kind: "offset", ...base, op, reason };
  };

/** Whether nothing has compressed any of the maps yet: the next operator on single pixels then needs no transform. */
export const areStillPixels = (inputs: Inputs<CoefficientMap>, size: Size): boolean =>
  inputs.every((input) => input?.kind !== "map" || isEven(input, size) || input.map.isStillPixels);

/** The term to add on coefficients: a map's own, or those of the images that constants and tensors stand for. */
function term(domain: Coefficients, input: Input<CoefficientMap>, size: Size): string {
  const { transforms } = domain;
  if (input.kind !== "constant") {
    const name = besideCoefficients(domain, input, size);
    return isEven(input, size) ? domain.constantImages(name, size) : name;
  }
  const value = spread(input.value);
  return value.dims.length === 3
    ? transforms.parameter("term", domain.ofConstant(value, size))
    : domain.constantImages(transforms.parameter("term", value), size);
}

const add: OnCoefficients<Sum<"sum" | "offset">> = ({ domain }, { output, op }, inputs) => {
  const added = (termOf: typeof term) =>
    inputs
      .map((input) => termOf(domain, input as Input<CoefficientMap>, output))
      .reduce((all, one) => domain.g.node(op, [all, one]));
  if (!areStillPixels(inputs, output)) return domain.map(added(term), output);
  const isZeroOutside = inputs.every((input) => input?.kind === "map" && !isEven(input, output));
  return domain.ofSingle(added(besideBlocks), output, isZeroOutside);
};

/** A batch normalisation as an affine map, if its parameters are float32 constants and it is not in training mode. */
export function readBatchNormalization(
  node: Node,
  constants: ReadonlyMap<string, Constant>,
): { scale: number[]; shift: number[] } | undefined {
  const parameters = node.inputs.slice(1).map((name) => constants.get(name));
  const isConstant = parameters.length === 4 && parameters.every((value) => value?.type === "float32");
  if (!isConstant || intAttribute(node, "training_mode", 0) === 1) return undefined;
  const values = parameters.map((value) => [...floats(value as Constant)]);
  const [gamma = [], beta = [], mean = [], variance = []] = values;
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const scale = gamma.map((value, c) => value / Math.sqrt((variance[c] as number) + epsilon));
  const shift = beta.map((value, c) => value - (scale[c] as number) * (mean[c] as number));
  return { scale, shift };
}

function batchNormalization(context: NodeContext): Affine {
  if (context.int("training_mode", 0) === 1)
    context.refuse("training_mode = 1: expected a model exported for inference");
  context.map();
  const read = readBatchNormalization(context.node, context.constants);
  if (!read)
    return context.refuse("its parameters are computed or of another type, expected float32 constants");
  return { kind: "affine", ...context.base, ...read };
}

export const LINEAR: Family<Sum<"sum"> | Sum<"offset"> | Affine> = {
  read: {
    Add: sum("Add"),
    Sub: sum("Sub"),
    Sum: sum("Add"),
    Neg: (context) => ({ kind: "affine", ...context.base, scale: [-1] }),
    BatchNormalization: batchNormalization,
  },
  lower: {
    sum: add,
    offset: add,
    affine: ({ domain, coefficients }, { scale, shift, output }) =>
      domain.map(domain.affine(coefficients, scale, shift, output), output),
  },
};
