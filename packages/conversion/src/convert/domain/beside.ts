/** Operands beside a feature map: constants and computed tensors of one number, one a channel or one a pixel. */
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Constant, type Dimension, float32, floats } from "../../onnx/graph.js";
import { type Base, type Input, type Size, sameSides } from "../layers.js";
import type { CoefficientMap, Coefficients } from "./coefficients.js";
import { toBlocks } from "./padding.js";

export type Spread = "scalar" | "channels" | "pixels";

export const spreadOf = (dims: Dimension[]): Spread => {
  if (dims.every((length) => length === 1)) return "scalar";
  return dims.slice(-2).every((length) => length === 1) ? "channels" : "pixels";
};

/** Whether an input has one number for all pixels of a channel, beside a map of `size`. */
export function isEven(input: Input<CoefficientMap> | undefined, size: Size): boolean {
  if (input?.kind === "map") return !sameSides(input.map.size, size);
  return (
    input !== undefined && spreadOf(input.kind === "constant" ? input.value.dims : input.shape) !== "pixels"
  );
}

/** A constant as `[]`, `[1 or C, 1, 1, 1]`, or `[C, H or 1, W or 1]`. */
export function spread(value: Constant): Constant {
  const kind = spreadOf(value.dims);
  const [channels, height, width] = [1, 1, 1, ...value.dims].slice(-3) as [number, number, number];
  const dims = { scalar: [], channels: [channels, 1, 1, 1], pixels: [channels, height, width] }[kind];
  return float32(floats(value), dims);
}

export type Computed = Exclude<Input<CoefficientMap>, { kind: "constant" }>;

/** A map's coefficients, or a computed tensor or map of one pixel in a shape that broadcasts to them. */
export function besideCoefficients({ g }: Coefficients, input: Computed, size: Size): string {
  if (input.kind === "map" && !isEven(input, size)) return input.map.coefficients;
  const [name, rank] = input.kind === "map" ? [input.map.pixels, 4] : [input.name, input.shape.length];
  if (rank < 2) return name;
  return g.node("Reshape", [name, g.ints([...new Array<number>(rank - 2).fill(0), 1, 1, 1])]);
}

/**
 * An input as blocks of pixels of a map of `size`, or in a shape that broadcasts to them. `""` if it is left out.
 * @param outside The value beyond the map of a constant with one number a pixel.
 */
export function besideBlocks(
  domain: Coefficients,
  input: Input<CoefficientMap> | undefined,
  size: Size,
  outside = 0,
): string {
  if (input === undefined) return "";
  if (input.kind === "constant")
    return domain.transforms.shared(`${input.name}.${size.height}x${size.width}.${outside}`, () => {
      const given = spread(input.value);
      return given.dims.length === 3 ? toBlocks(domain.g, given, outside, size) : given;
    });
  return input.kind === "map" && !isEven(input, size)
    ? input.map.single
    : besideCoefficients(domain, input, size);
}

/** A layer's own node with other inputs. */
export function copyOf(
  g: GraphBuilder,
  { node }: Pick<Base, "node">,
  inputs: string[],
  hint?: string,
): string {
  const name = g.unique(hint ?? (node.outputs[0] as string));
  g.copy(node, inputs, [name]);
  return name;
}
