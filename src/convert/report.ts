/** What became of each operator of a model: where it is carried out, why there, and what it costs. */
import type { Domain } from "./plan.js";

export interface NodeReport {
  /** The node's name, or that of its first output where it has none. */
  node: string;
  op: string;
  domain: Domain;
  /** Why the operator is carried out on pixels, or how on coefficients. */
  reason?: string | undefined;
  /** Multiplications for one image, those of transforms that the operator is the first to need included. */
  multiplyAdds: number;
}

/** Begins the reason of a ReLU that is carried out exactly although an approximation was asked for. */
export const EXACT = "exact: ";

/** The reason of an operator that works on vectors, as those of a gate or a classifier do: no transform is about them. */
export const NO_MAP = "it reads no feature map";

/** How many of the ReLUs on feature maps are approximated, and how many cannot be. */
export function approximations(report: readonly NodeReport[]): { approximate: number; exact: number } {
  const relus = report.filter(({ op, reason }) => op === "Relu" && reason !== NO_MAP);
  const exact = relus.filter(({ reason }) => reason?.startsWith(EXACT)).length;
  return { approximate: relus.length - exact, exact };
}
