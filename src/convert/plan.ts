import type { GraphBuilder } from "../onnx/builder.js";
import type { BatchNormalization, Convolution, Planes, Size } from "./layers.js";
import type { Settings } from "./options.js";

/**
 * One way to carry out the operators of a converted network. `M` is what stands for a feature map in the graph
 * being built: which of its forms, coefficients or pixels, has been computed under which name.
 */
export interface Plan<M = unknown> {
  /** Whether a feature map must be whole 8x8 blocks to be carried as coefficients. */
  readonly wholeBlocks: boolean;
  /**
   * The feature map that the coefficient tensor `coefficients` (`[N, C, X, Y, 64]`) holds.
   * @param readers How many operators read it.
   */
  enter(coefficients: string, size: Size, readers: number): M;
  /** The pixels `[N, C, H, W]` of a coefficient tensor that is no feature map of this plan: its size is not known. */
  planes(coefficients: string, planes: Planes): string;
  /** The feature map whose pixels are the value `pixels`, if the plan takes it back from beyond a border. */
  lift?(pixels: string, size: Size): M | undefined;
  convolution(x: M, layer: Convolution): M;
  batchNormalization(x: M, layer: BatchNormalization): M;
  relu(x: M): M;
  /** The sum of two feature maps; one channel is repeated over many. */
  add(a: M, b: M): M;
  /** The mean of each channel, `[N, C, 1, 1]`. */
  globalAverage(x: M): string;
  /** The feature map's pixels, `[N, C, H, W]`: the way out of the JPEG domain. */
  pixels(x: M): string;
}

/** Where an operator is carried out. */
export type Domain = "coefficients" | "pixels";

/** Says of the node in hand where it is carried out, and why or how. Without it: on coefficients. */
export type Note = (domain: Domain, reason: string) => void;

export type PlanFactory = (g: GraphBuilder, settings: Settings, cost: Cost, note: Note) => Plan;

/** What a converted network costs for one image, and in memory. Counted while it is built. */
export interface Cost {
  /** Multiplications of convolutions, matrix products and transforms, for one image. */
  multiplyAdds: number;
  /** Bytes of the operator tensors that ONNX Runtime holds after loading: weights, transforms and their products. */
  operatorBytes: number;
  /** Bytes of the largest single one. */
  largestOperatorBytes: number;
}

/**
 * Bytes that ONNX Runtime needs at most while it loads a converted model: it computes each operator tensor, keeps a
 * copy of it as a constant, and drops the first only at the end (measured: 6.2 GB for 2.8 GB of operators).
 */
export const loadingBytes = (cost: Pick<Cost, "operatorBytes" | "largestOperatorBytes">): number =>
  2 * cost.operatorBytes + cost.largestOperatorBytes;

export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`;

/** Counts an operator tensor of `elements` float32 numbers. */
export function countOperator(cost: Cost, elements: number): void {
  const bytes = 4 * elements;
  cost.operatorBytes += bytes;
  cost.largestOperatorBytes = Math.max(cost.largestOperatorBytes, bytes);
}
