/** What a converted network costs for one image, and in memory. Counted while it is built. */
export interface Cost {
  /** Multiplications of convolutions, matrix products and transforms, for one image. */
  multiplyAdds: number;
  /** Bytes of the operator tensors that ONNX Runtime holds after loading: weights, transforms and their products. */
  operatorBytes: number;
  /** Bytes of the largest single one. */
  largestOperatorBytes: number;
}

export const noCost = (): Cost => ({ multiplyAdds: 0, operatorBytes: 0, largestOperatorBytes: 0 });

/** Counts an operator tensor of `elements` float32 numbers. */
export function countOperator(cost: Cost, elements: number): void {
  const bytes = 4 * elements;
  cost.operatorBytes += bytes;
  cost.largestOperatorBytes = Math.max(cost.largestOperatorBytes, bytes);
}

/**
 * Bytes that ONNX Runtime needs at most while it loads a converted model: it computes each operator tensor, keeps a
 * copy of it as a constant, and drops the first only at the end (measured: 6.2 GB for 2.8 GB of operators).
 */
export const loadingBytes = (cost: Pick<Cost, "operatorBytes" | "largestOperatorBytes">): number =>
  2 * cost.operatorBytes + cost.largestOperatorBytes;

export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`;
