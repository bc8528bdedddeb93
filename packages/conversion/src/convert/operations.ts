/** Multiplications of the operators that take nearly all the time of a network, from the shapes of their operands. */
import type { Facts } from "../onnx/facts.js";
import { type Dimension, intAttribute, type Node, ruleFor } from "../onnx/graph.js";

type Count = (node: Node, shapes: Dimension[][], output: Dimension[]) => number;

/** The product of all lengths that are known: the batch, which is not, counts as one image. */
const known = (shape: Dimension[]) =>
  shape.reduce<number>((product, length) => (typeof length === "number" ? product * length : product), 1);
const product = (shape: Dimension[], from: number, to?: number) => known(shape.slice(from, to));

const COUNTS: Record<string, Count> = {
  Conv: (_, [, weight = []], output) => product(output, 1) * product(weight, 1),
  ConvTranspose: (_, [x = [], weight = []]) => product(x, 2) * product(weight, 0),
  MatMul: (_, [a = []], output) => known(output) * (known(a.slice(-1)) || 1),
  Gemm: (node, [a = []], output) =>
    known(output) *
    product(a, intAttribute(node, "transA", 0) === 1 ? 0 : 1, intAttribute(node, "transA", 0) === 1 ? 1 : 2),
};

/** For one image, as far as shapes are known; 0 for operators that multiply little. */
export function multiplications(node: Node, facts: ReadonlyMap<string, Facts>): number {
  const count = ruleFor(COUNTS, node);
  const output = facts.get(node.outputs[0] ?? "")?.shape;
  if (count === undefined || output === undefined) return 0;
  const shapes = node.inputs.map((input) => facts.get(input)?.shape);
  return shapes.slice(0, 2).includes(undefined)
    ? 0
    : count(
        node,
        shapes.map((shape) => shape ?? []),
        output,
      );
}
