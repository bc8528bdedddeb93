/** What a rule of the coefficient domain is given, and what it gives. */
import { type Constant, type Dimension, float32, floats, type Node, volume } from "../../onnx/graph.js";
import type { CoefficientMap, Coefficients } from "../domain/coefficients.js";
import { toBlocks } from "../domain/padding.js";
import { ConvertError } from "../errors.js";
import type { Size } from "../layers.js";

/** What an input of a node has become. */
export type Operand =
  | { kind: "map"; map: CoefficientMap }
  | { kind: "constant"; value: Constant }
  | { kind: "tensor"; name: string; shape: Dimension[] };

/** One node, of which at least one input is a feature map. */
export interface CoefficientCall {
  node: Node;
  domain: Coefficients;
  /** Input `i`, `undefined` where an optional one is left out. */
  operands: (Operand | undefined)[];
  /** Shapes of the outputs. */
  outputs: Dimension[][];
}

/** A node's outputs: feature maps, or plain tensors under their names. */
export type Result = CoefficientMap | { tensor: string };

export type CoefficientRule = (call: CoefficientCall) => Result[];

export function refuse(call: CoefficientCall, reason: string): never {
  throw new ConvertError(reason, call.node);
}

export function mapOf(call: CoefficientCall, i = 0): CoefficientMap {
  const operand = call.operands[i];
  return operand?.kind === "map" ? operand.map : refuse(call, `input ${i} is not a feature map`);
}

/** The constant that input `i` is, `undefined` where it is left out. */
export function constantOf(call: CoefficientCall, i: number): Constant | undefined {
  const operand = call.operands[i];
  if (operand === undefined || operand.kind === "constant") return operand?.value;
  return refuse(call, `input ${i} ("${call.node.inputs[i]}") is computed, expected a constant`);
}

export const requiredConstant = (call: CoefficientCall, i: number): Constant =>
  constantOf(call, i) ?? refuse(call, `input ${i} is missing`);

/** The size of the feature map that output `i` is. */
export function outputSize(call: CoefficientCall, i = 0): Size {
  const shape = call.outputs[i] ?? [];
  const [, channels, height, width] = shape;
  if (
    shape.length === 4 &&
    typeof channels === "number" &&
    typeof height === "number" &&
    typeof width === "number"
  )
    return { channels, height, width };
  return refuse(call, `it makes [${shape.join(", ")}], expected a feature map [N, C, H, W] of known size`);
}

/** A constant or tensor beside a feature map: one number, one a channel, or one a pixel. */
export type Spread = "scalar" | "channels" | "pixels";

export function spreadOf(call: CoefficientCall, dims: Dimension[]): Spread {
  if (dims.length > 4) refuse(call, `an operand has shape [${dims.join(", ")}], expected at most 4 axes`);
  if (dims.every((length) => length === 1)) return "scalar";
  return dims.slice(-2).every((length) => length === 1) ? "channels" : "pixels";
}

/** A constant operand with as many numbers as its spread says: none, one or C, or `[C, H, W]` with H and W of `size`. */
export function spread(call: CoefficientCall, value: Constant, size: Size): Constant {
  const kind = spreadOf(call, value.dims);
  if (kind === "scalar") return float32(floats(value), []);
  const dims = [1, 1, 1, 1, ...value.dims].slice(-4) as [number, number, number, number];
  const [batch, channels, height, width] = dims;
  if (batch !== 1) refuse(call, `a constant operand has a batch of ${batch}, expected 1`);
  if (kind === "channels") return float32(floats(value), [channels, 1, 1, 1]);
  const values = floats(value);
  const full = [channels, size.height, size.width];
  call.domain.g.budget.take(
    12 * volume(full),
    `a constant [${full.join(", ")}] beside a feature map`,
    call.node,
  );
  const repeated = Float32Array.from({ length: volume(full) }, (_, at) => {
    const [c, s, r] = [
      Math.floor(at / (size.height * size.width)),
      Math.floor(at / size.width) % size.height,
      at % size.width,
    ];
    return values[(c * height + (height === 1 ? 0 : s)) * width + (width === 1 ? 0 : r)] as number;
  });
  return float32(repeated, full);
}

/** Operand `i` beside blocks of pixels `[N, C, X, Y, 64]`: a map's blocks, or what broadcasts to them. */
export function besideBlocks(call: CoefficientCall, i: number, size: Size, outside = 0): string {
  const { domain, operands } = call;
  const operand = operands[i] ?? refuse(call, `input ${i} is missing`);
  if (operand.kind === "map") return domain.single(operand.map);
  if (operand.kind === "tensor") return besideCoefficients(call, operand);
  const { height, width } = size;
  return domain.transforms.shared(`${call.node.inputs[i]}.${height}x${width}.${outside}`, () => {
    const value = spread(call, operand.value, size);
    return value.dims.length === 3 ? toBlocks(domain.g, value, outside) : value;
  });
}

/** A computed tensor of one number, or of one a channel, so that it broadcasts to `[N, C, X, Y, 64]`. */
export function besideCoefficients(
  call: CoefficientCall,
  { name, shape }: { name: string; shape: Dimension[] },
): string {
  const { g } = call.domain;
  const kind = spreadOf(call, shape);
  if (kind === "pixels")
    return refuse(
      call,
      `an operand [${shape.join(", ")}] is computed from pixels, expected one value a channel`,
    );
  if (shape.length < 2) return name;
  return g.node("Reshape", [name, g.ints([...shape.slice(0, -2).map(() => 0), 1, 1, 1])]);
}
