/** Constants and computed tensors beside a feature map in an operator: one number, one a channel, or one a pixel. */
import type { GraphBuilder } from "../../onnx/builder.js";
import { type Constant, type Dimension, float32, floats, volume } from "../../onnx/graph.js";
import type { Base, Inputs, Size } from "../layers.js";
import type { CoefficientMap, Coefficients } from "./coefficients.js";
import { toBlocks } from "./padding.js";

export type Spread = "scalar" | "channels" | "pixels";

export const spreadOf = (dims: Dimension[]): Spread => {
  if (dims.every((length) => length === 1)) return "scalar";
  return dims.slice(-2).every((length) => length === 1) ? "channels" : "pixels";
};

/** A constant as `[]`, `[1 or C, 1, 1, 1]`, or `[C, H, W]` with H and W of `size`. */
export function spread({ g }: Coefficients, value: Constant, size: Size): Constant {
  const kind = spreadOf(value.dims);
  if (kind === "scalar") return float32(floats(value), []);
  const [channels, height, width] = [1, 1, 1, ...value.dims].slice(-3) as [number, number, number];
  if (kind === "channels") return float32(floats(value), [channels, 1, 1, 1]);
  const values = floats(value);
  const full = [channels, size.height, size.width];
  g.budget.take(12 * volume(full), `a constant [${full.join(", ")}] beside a feature map`);
  const repeated = Float32Array.from({ length: volume(full) }, (_, at) => {
    const c = Math.floor(at / (size.height * size.width));
    const [s, r] = [Math.floor(at / size.width) % size.height, at % size.width];
    return values[(c * height + (height === 1 ? 0 : s)) * width + (width === 1 ? 0 : r)] as number;
  });
  return float32(repeated, full);
}

/** A constant that broadcasts to blocks of pixels `[N, C, X, Y, 64]`, with `outside` beyond the map. */
export function constantBlocks(
  domain: Coefficients,
  name: string,
  value: Constant,
  size: Size,
  outside = 0,
): string {
  return domain.transforms.shared(`${name}.${size.height}x${size.width}.${outside}`, () => {
    const given = spread(domain, value, size);
    return given.dims.length === 3 ? toBlocks(domain.g, given, outside) : given;
  });
}

/** A computed tensor of one number, or of one a channel, so that it broadcasts to `[N, C, X, Y, 64]`. */
export function tensorBlocks({ g }: Coefficients, name: string, shape: Dimension[]): string {
  return shape.length < 2
    ? name
    : g.node("Reshape", [name, g.ints([...shape.slice(0, -2).map(() => 0), 1, 1, 1])]);
}

/** Input `i` of a layer beside blocks of pixels: a map's own, or what broadcasts to them. `""` where it is left out. */
export function besideBlocks(
  domain: Coefficients,
  { node, operands, output }: Base,
  inputs: Inputs<CoefficientMap>,
  i: number,
  outside = 0,
): string {
  const [operand, input] = [operands[i], inputs[i]];
  if (operand?.kind === "constant")
    return constantBlocks(domain, node.inputs[i] as string, operand.value, output, outside);
  if (operand?.kind === "tensor") return tensorBlocks(domain, input as string, operand.shape);
  return input === undefined ? "" : (input as CoefficientMap).single;
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
