/** What became of each operator of a model: where it is carried out, why there, and what it costs. */
import type { Graph, Node } from "../onnx/graph.js";
import { GraphIndex } from "../onnx/graph-index.js";
import { inferShapes } from "../onnx/infer.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import { multiplications } from "./operations.js";
import { isPiecewise } from "./operators/activations.js";
import { isSmoothActivation } from "./operators/functions.js";
import type { Layer } from "./operators/table.js";

/** Where an operator is carried out. */
export type Domain = "coefficients" | "pixels";

export interface NodeReport {
  /** The node's name, or that of its first output where it has none. */
  node: string;
  op: string;
  domain: Domain;
  /** Why the operator is carried out on pixels, or how on coefficients. */
  reason?: string | undefined;
  /**
   * Of an activation on feature maps, where approximation was asked for: whether it is approximated, left exact, or
   * has no pieces, so that it cannot be.
   */
  activation?: "approximated" | "exact" | "impossible";
  /** Multiplications for one image, those of transforms that the operator is the first to need included. */
  multiplyAdds: number;
}

/** The reason of an operator that works on vectors, as those of a gate or a classifier do: no transform is about them. */
export const NO_MAP = "it reads no feature map";

/** Begins the reason of an operator on coefficients that reads what operators on pixels have made. */
export const REENTERS = "re-enters";

/** What a node is of the activations, `layer` if it was lowered as one. */
export function activationOf(
  { op, domain }: Node,
  layer: Layer | undefined,
  reason: string | undefined,
): NodeReport["activation"] {
  if (domain !== "" || reason === NO_MAP) return undefined;
  if (isSmoothActivation(op)) return "impossible";
  if (!isPiecewise(op)) return undefined;
  return layer ? "approximated" : "exact";
}

/** Of the activations on feature maps, how many are approximated, and which are not. */
export interface Approximations {
  approximate: number;
  exact: number;
  /** How many are left exact, by operator. */
  exactByOperator: Record<string, number>;
  /** How many have no pieces to approximate, as `Sigmoid`, by operator. Left out where there are none. */
  impossible?: Record<string, number>;
}

/** @param report Of a conversion that was asked to approximate. */
export function approximations(report: readonly NodeReport[]): Approximations {
  const counts = (kind: NodeReport["activation"]): Record<string, number> => {
    const byOperator = new Map<string, number>();
    for (const { op, activation } of report)
      if (activation === kind) byOperator.set(op, (byOperator.get(op) ?? 0) + 1);
    return Object.fromEntries(byOperator);
  };
  const total = (byOperator: Record<string, number>) =>
    Object.values(byOperator).reduce((sum, count) => sum + count, 0);
  const [exactByOperator, impossible] = [counts("exact"), counts("impossible")];
  return {
    approximate: total(counts("approximated")),
    exact: total(exactByOperator),
    exactByOperator,
    ...(total(impossible) > 0 && { impossible }),
  };
}

/** `35 Clip, 1 Relu`. */
export const countsOf = (byOperator: Record<string, number>): string =>
  Object.entries(byOperator)
    .map(([op, count]) => `${count} ${op}`)
    .join(", ");

/**
 * The report of a network whose image is a file's planes: all of it is the network's own.
 * @param report Of the same nodes with the image as coefficients.
 */
export function onPlanes(
  report: readonly NodeReport[],
  network: Graph,
  preprocess: Preprocess,
): NodeReport[] {
  const facts = inferShapes(network, { partial: true });
  const readers = readersOfImage(network);
  return report.map((entry, i) => {
    const node = network.nodes[i] as Node;
    const reason = readers.has(node)
      ? `no transform folds into it: ${between(preprocess)}`
      : "its inputs are pixels already";
    return { ...entry, domain: "pixels", reason, multiplyAdds: multiplications(node, facts) };
  });
}

/** The report of a network that takes coefficients which are computed of a file's planes. */
export function onPlanesAnew(
  report: readonly NodeReport[],
  network: Graph,
  preprocess: Preprocess,
): NodeReport[] {
  const names = new Set([...readersOfImage(network)].map(({ name, outputs }) => name || outputs[0]));
  const anew = `the image's coefficients are computed anew: ${between(preprocess)}`;
  return report.map((entry) =>
    names.has(entry.node)
      ? { ...entry, reason: entry.reason === undefined ? anew : `${entry.reason}; ${anew}` }
      : entry,
  );
}

const readersOfImage = (network: Graph) => new GraphIndex(network).consumers(network.inputs[0]?.name);

/** Why a file's own coefficients are not those of the network's image. */
const between = ({ resize }: Preprocess) =>
  `pixels are rounded${resize ? ", clamped to 0..255 and resized" : " and clamped to 0..255"} between a file and the network`;
