/**
 * Arithmetic on feature maps. The transform is linear, so sums of maps, and products with one number a channel, are the
 * same on coefficients as on pixels; adding one number to a channel changes only its mean. A product of two maps, or
 * with one number a pixel, needs the pixels. Between other operators that need them, as in x (1 + erf(x / √2)) / 2, all of it
 * is done on pixels.
 */
import type { Dimension } from "../../onnx/graph.js";
import { intAttribute } from "../../onnx/graph.js";
import { affine, type Size } from "../layers.js";
import { readBatchNormalization } from "./batch-normalization.js";
import {
  besideBlocks,
  besideCoefficients,
  type CoefficientCall,
  type CoefficientRule,
  mapOf,
  type Operand,
  outputSize,
  refuse,
  spread,
  spreadOf,
} from "./call.js";

/** Both operands, maps of one size. */
function operandsOf(call: CoefficientCall, size: Size): [Operand, Operand] {
  const operands = call.operands.map((given, i) => {
    const operand = given ?? refuse(call, `input ${i} is missing`);
    if (operand.kind !== "map") return operand;
    const { map } = operand;
    if (map.size.height === size.height && map.size.width === size.width) return operand;
    if (map.size.height > 1 || map.size.width > 1)
      refuse(call, `it repeats a map of ${map.size.height}x${map.size.width}, expected equal sizes`);
    const shape: Dimension[] = ["N", map.size.channels, 1, 1];
    return { kind: "tensor", name: call.domain.pixels(map), shape } as const;
  });
  return operands as [Operand, Operand];
}

/** What is added to coefficients: those of a map, or of the images that constants and tensors stand for. */
function term(call: CoefficientCall, operand: Operand, size: Size): string {
  const { domain } = call;
  if (operand.kind === "map") return operand.map.name;
  if (operand.kind === "tensor") return domain.constantImages(besideCoefficients(call, operand), size);
  const value = spread(call, operand.value, size);
  if (value.dims.length === 3) return domain.transforms.parameter("term", domain.ofConstant(value));
  const values = domain.transforms.parameter("term", value);
  return domain.constantImages(values, size);
}

/** Whether all maps are pixels that nothing has compressed: what is done next to single pixels needs no transform. */
const areStillPixels = (operands: Operand[]): boolean =>
  operands.every(
    (operand) => operand.kind !== "map" || (operand.map.made !== undefined && operand.map.isPending),
  );

/** The operands beside each other as blocks of pixels, constants with `outside` beyond the map. */
const blocksOf = (call: CoefficientCall, operands: Operand[], size: Size, outside = 0): string[] =>
  operands.map((_, i) => besideBlocks({ ...call, operands }, i, size, outside));

/** `Add`, `Sub`, or `Sum` of any number of operands. */
const sum: (op: "Add" | "Sub") => CoefficientRule = (op) => (call) => {
  const size = outputSize(call);
  const operands = operandsOf(call, size);
  const added = (terms: string[]) => terms.reduce((all, one) => call.domain.g.node(op, [all, one]));
  if (areStillPixels(operands)) {
    const isZeroOutside = operands.every(({ kind }) => kind === "map");
    return [call.domain.ofSingle(added(blocksOf(call, operands, size)), size, isZeroOutside)];
  }
  return [{ size, name: added(operands.map((operand) => term(call, operand, size))) }];
};

/** Whether an operand has the same number for all pixels of a channel. */
const isEven = (call: CoefficientCall, operand: Operand): boolean =>
  operand.kind === "constant"
    ? spreadOf(call, operand.value.dims) !== "pixels"
    : operand.kind === "tensor" && spreadOf(call, operand.shape) !== "pixels";

const product: (op: "Mul" | "Div") => CoefficientRule = (op) => (call) => {
  const size = outputSize(call);
  const { domain } = call;
  const operands = operandsOf(call, size);
  const [a, b] = operands;
  if (operands.length !== 2) refuse(call, `it has ${operands.length} operands, expected 2`);
  const hint = call.node.outputs[0];
  const isScaled = isEven(call, b) || (op === "Mul" && isEven(call, a));
  if (isScaled && !areStillPixels(operands)) {
    const factors = operands.map((operand) =>
      operand.kind === "map"
        ? operand.map.name
        : operand.kind === "tensor"
          ? besideCoefficients(call, operand)
          : domain.transforms.parameter("factor", spread(call, operand.value, size)),
    );
    return [{ size, name: domain.g.node(op, factors, {}, hint) }];
  }
  // A constant divisor is 1 outside the map, where 0 / 0 would be no number.
  const factors = blocksOf(call, operands, size, op === "Mul" ? 0 : 1);
  const zeroOutside = op === "Mul" || isScaled || b.kind === "constant";
  return [domain.ofSingle(domain.g.node(op, factors, {}, hint), size, zeroOutside)];
};

const negation: CoefficientRule = (call) => [
  { size: outputSize(call), name: call.domain.g.node("Neg", [mapOf(call).name]) },
];

const batchNormalization: CoefficientRule = (call) => {
  const { node, domain } = call;
  if (intAttribute(node, "training_mode", 0) === 1)
    refuse(call, "training_mode = 1: expected a model exported for inference");
  const constants = new Map(
    node.inputs.flatMap((name, i) => {
      const operand = call.operands[i];
      return operand?.kind === "constant" ? [[name, operand.value] as const] : [];
    }),
  );
  const layer =
    readBatchNormalization(node, constants) ??
    refuse(call, "its parameters are computed, expected constants");
  const { scale, shift } = affine(layer);
  return [domain.affine(mapOf(call), scale, shift)];
};

export const ARITHMETIC: Record<string, CoefficientRule> = {
  Add: sum("Add"),
  Sub: sum("Sub"),
  Sum: sum("Add"),
  Mul: product("Mul"),
  Div: product("Div"),
  Neg: negation,
  BatchNormalization: batchNormalization,
  Identity: (call) => [mapOf(call)],
  Dropout: (call) => [mapOf(call)],
};
