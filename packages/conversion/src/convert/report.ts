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

/** What became of a node, if it is an activation. `layer` is given if it was lowered as one. */
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

type Counts = Record<string, number>;

/** How many activations on feature maps are approximated, and which are not. */
export interface Approximations {
  approximate: number;
  exact: number;
  /** How many are left exact, by operator. */
  exactByOperator: Counts;
  /** How many have no pieces to approximate, as `Sigmoid`, by operator. Left out where there are none. */
  impossible?: Counts;
}

/** @param report Of a conversion that was asked to approximate. */
export function approximations(report: readonly NodeReport[]): Approximations {
  const [exactByOperator, impossible]: [Counts, Counts] = [{}, {}];
  let approximate = 0;
  for (const { op, activation } of report) {
    if (activation === "approximated") approximate++;
    const counts = { exact: exactByOperator, impossible, approximated: undefined }[
      activation ?? "approximated"
    ];
    if (counts) counts[op] = (counts[op] ?? 0) + 1;
  }
  const exact = Object.values(exactByOperator).reduce((sum, count) => sum + count, 0);
  const hasImpossible = Object.keys(impossible).length > 0;
  return { approximate, exact, exactByOperator, ...(hasImpossible && { impossible }) };
}

/** `35 Clip, 1 Relu`. */
export const countsOf = (byOperator: Counts): string =>
  Object.entries(byOperator)
    .map(([op, count]) => `${count} ${op}`)
    .join(", ");

/**
 * The report of a network that takes JPEG files.
 * @param report Of the same nodes with the image as coefficients.
 * @param isSpatial Whether it takes a file's planes, so that all of it is the network's own, or coefficients of them.
 */
export function onPlanes(
  report: readonly NodeReport[],
  network: Graph,
  preprocess: Preprocess,
  isSpatial: boolean,
): NodeReport[] {
  const facts = inferShapes(network, { partial: true });
  const readers = new GraphIndex(network).consumers(network.inputs[0]?.name);
  const own = `no transform folds into it: ${between(preprocess)}`;
  const anew = `the image's coefficients are computed anew: ${between(preprocess)}`;
  return report.map((entry, i) => {
    const node = network.nodes[i] as Node;
    const isFirst = readers.has(node);
    if (!isSpatial)
      return isFirst ? { ...entry, reason: entry.reason ? `${entry.reason}; ${anew}` : anew } : entry;
    const reason = isFirst ? own : "its inputs are pixels already";
    return { ...entry, domain: "pixels", reason, multiplyAdds: multiplications(node, facts) };
  });
}

/** Why a file's own coefficients are not those of the network's image. */
const between = ({ resize }: Preprocess) =>
  `pixels are rounded${resize ? ", clamped to 0..255 and resized" : " and clamped to 0..255"} between a file and the network`;
