/**
 * Linear maps of each pixel. The transform is linear, so sums of feature maps are the same on coefficients as on pixels;
 * a scale acts on every frequency, and adding a constant to a channel changes only its mean, which is k = 0:
 *
 *   y = a ± b,   y = x + shift,   y = scale x + shift
 *
 * Between other operators that need pixels, as in x (1 + erf(x / √2)) / 2, all of it is done on pixels.
 */
import { besideBlocks, spread, tensorBlocks } from "../domain/beside.js";
import type { CoefficientMap, OnCoefficients } from "../domain/coefficients.js";
import { type Base, type Inputs, type Size, sameSides } from "../layers.js";
import { affine, readBatchNormalization } from "./batch-normalization.js";
import type { Family, NodeContext, Read } from "./context.js";

/** The sum or difference of feature maps of one size; one channel is repeated over many. */
export interface Sum extends Base {
  kind: "sum";
  op: "Add" | "Sub";
}

/** A sum of feature maps and of others: numbers, one a channel, one a pixel. */
export interface Offset extends Base {
  kind: "offset";
  op: "Add" | "Sub";
}

export interface Affine extends Base {
  kind: "affine";
  scale: number[];
  /** None where it is 0 for all channels. */
  shift?: number[];
}

const sides = ({ channels, height, width }: Size) => `${channels}x${height}x${width}`;

/** Refuses operands that cannot stand beside each other: maps of other sides than the result's and 1x1. */
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
  (op: "Add" | "Sub"): Read<Sum | Offset> =>
  (context) => {
    const base = context.base;
    checkOperands(context, base.output);
    const isOfMaps = context.operands.every(
      (operand) => operand?.kind === "map" && sameSides(operand.size, base.output),
    );
    const reason = "it adds a constant to a feature map, expected two feature maps";
    return isOfMaps ? { kind: "sum", ...base, op } : { kind: "offset", ...base, op, reason };
  };

/** Whether all maps are pixels that nothing has compressed: what is done next to single pixels needs no transform. */
export const areStillPixels = (inputs: Inputs<CoefficientMap>): boolean =>
  inputs.every((input) => typeof input !== "object" || input.isStillPixels);

/** Maps of one pixel as what they are beside larger ones: tensors of one number a channel. */
export function repeated(inputs: Inputs<CoefficientMap>, layer: Base): [Inputs<CoefficientMap>, Base] {
  const isRepeated = (i: number) => {
    const operand = layer.operands[i];
    return operand?.kind === "map" && !sameSides(operand.size, layer.output);
  };
  return [
    inputs.map((input, i) => (isRepeated(i) ? (input as CoefficientMap).pixels : input)),
    {
      ...layer,
      operands: layer.operands.map((operand, i) =>
        operand?.kind === "map" && isRepeated(i)
          ? { kind: "tensor", shape: ["N", operand.size.channels, 1, 1] }
          : operand,
      ),
    },
  ];
}

/** What is added to coefficients: those of a map, or of the images that constants and tensors stand for. */
function term(
  layer: Base,
  inputs: Inputs<CoefficientMap>,
  i: number,
  domain: CoefficientMap["domain"],
): string {
  const [operand, input] = [layer.operands[i], inputs[i]];
  const { transforms } = domain;
  if (operand?.kind === "tensor")
    return domain.constantImages(tensorBlocks(domain, input as string, operand.shape), layer.output);
  if (operand?.kind !== "constant") return (input as CoefficientMap).coefficients;
  const value = spread(domain, operand.value, layer.output);
  if (value.dims.length === 3) return transforms.parameter("term", domain.ofConstant(value));
  return domain.constantImages(transforms.parameter("term", value), layer.output);
}

const add: OnCoefficients<Sum | Offset> = ({ domain }, layer, given) => {
  const { output, op } = layer;
  const [inputs, base] = repeated(given, layer);
  const added = (terms: string[]) => terms.reduce((all, one) => domain.g.node(op, [all, one]));
  if (!areStillPixels(inputs))
    return domain.map(added(inputs.map((_, i) => term(base, inputs, i, domain))), output);
  const isZeroOutside = base.operands.every((operand) => operand?.kind === "map");
  return domain.ofSingle(
    added(inputs.map((_, i) => besideBlocks(domain, base, inputs, i))),
    output,
    isZeroOutside,
  );
};

function batchNormalization(context: NodeContext): Affine {
  if (context.int("training_mode", 0) === 1)
    context.refuse("training_mode = 1: expected a model exported for inference");
  const layer =
    readBatchNormalization(context.node, context.constants) ??
    context.refuse("its parameters are computed, expected constants");
  context.map();
  return { kind: "affine", ...context.base, ...affine(layer) };
}

export const LINEAR: Family<Sum | Offset | Affine> = {
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
