import { JpegDomainError } from "@jpeg-domain/coefficients";
import type { Constant, Dimension, Node } from "@jpeg-domain/conversion";
import { describe } from "@jpeg-domain/conversion/internal";
import type { GraphBuilder } from "@jpeg-domain/conversion/onnx";

/** A graph that cannot be trained; the message names the node, its operator and the reason. */
export class TrainingError extends JpegDomainError {
  override name = "TrainingError";
  constructor(
    message: string,
    /** The node that cannot be trained, if it is a single one. */
    readonly node?: Node,
  ) {
    super(message);
  }
}

/** A node of the forward graph, `y = op(x_0, x_1, …)`, and its values in the training graph. */
export interface NodeContext {
  readonly g: GraphBuilder;
  readonly node: Node;
  /** Names of the x_i in the training graph. */
  readonly x: string[];
  readonly xShapes: Dimension[][];
  readonly y: string;
  readonly yShape: Dimension[];
  /** Values that the node's training form saved for its derivative. */
  readonly saved: string[];
  /** Whether x_i depends on a trained value. Derivatives skip the other inputs. */
  needsGradient(i: number): boolean;
  /** The value of x_i, if it is known before the graph runs. */
  constant(i: number): Constant | undefined;
}

/**
 * The derivative of an operator: emits the nodes that compute dL/dx_i for every i from `dy` = dL/dy. It gives `undefined`
 * for an input that needs no gradient.
 */
export type Derivative = (context: NodeContext, dy: string) => (string | undefined)[];

/**
 * How an operator runs during training, if that differs from the node.
 *
 * @returns the name of its result (which may differ from `context.y`), the values that the derivative needs, and the next
 *   value of each running statistic by name
 */
export type TrainingForm = (context: NodeContext) => {
  y: string;
  saved: string[];
  updates: Map<string, string>;
};

export function refuse(context: NodeContext, reason: string): never {
  throw new TrainingError(`${describe(context.node)} cannot be trained: ${reason}`, context.node);
}

/** The spatial lengths of a shape `[N, C, …]`, which must be known. */
export function spatial(context: NodeContext, shape: Dimension[]): number[] {
  return shape
    .slice(2)
    .map((length) =>
      typeof length === "number"
        ? length
        : refuse(context, `its image size ${shape.join(" x ")} must be known; only the batch may be open`),
    );
}

/** A length that must be known, such as a channel count. */
export function known(context: NodeContext, length: Dimension | undefined, what: string): number {
  return typeof length === "number"
    ? length
    : refuse(context, `${what} is ${length}, expected a known number`);
}

export const reshape = (g: GraphBuilder, x: string, shape: number[]): string =>
  g.node("Reshape", [x, g.ints(shape)]);

export const reduceSum = (g: GraphBuilder, x: string, axes: number[], keep = false): string =>
  g.node("ReduceSum", [x, g.ints(axes)], { keepdims: keep ? 1 : 0 });

/**
 * The gradient of a broadcast: sums `dy` of shape `from` over the axes along which a value of shape `to` was
 * repeated.
 */
export function sumTo(g: GraphBuilder, dy: string, from: Dimension[], to: Dimension[]): string {
  const extra = from.length - to.length;
  const repeated = to.flatMap((length, i) => (length === 1 && from[i + extra] !== 1 ? [i + extra] : []));
  const kept = repeated.length > 0 ? reduceSum(g, dy, repeated, true) : dy;
  return extra > 0
    ? reduceSum(
        g,
        kept,
        Array.from({ length: extra }, (_, i) => i),
      )
    : kept;
}
