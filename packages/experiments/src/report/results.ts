import type { Evaluation } from "@jpeg-domain/node";

/** A converted model's results, compared with the pixel network's on the same images. */
export interface ConvertedEvaluation extends Evaluation {
  /** The largest absolute difference of any logit of any image. */
  maxLogitDifference: number;
  /** The number of images for which both give the same class. */
  samePredictions: number;
}

export interface PlanMeasurement {
  plan: "spatial" | "fused" | "blockwise" | "exploded";
  /** As shown, e.g. `exact` or `asm 10`. */
  relu: string;
  /**
   * The spatial model's speed (the median of its rounds) times {@link ofSpatial}. So plans that are timed in different
   * rounds stay comparable while the machine's speed drifts, and the two numbers agree.
   */
  imagesPerSecond: number;
  /** The median over rounds of its speed divided by the spatial model's in the same round. */
  ofSpatial: number;
  /** Size of the ONNX file. */
  fileBytes: number;
  /** Size of its linear operators' tensors when a session is ready to run. */
  operatorBytes: number;
  /** For one image. */
  multiplyAdds: number;
  note?: string;
}

/** A plan's name in tables and notes, such as `fused, exact`. The spatial model is just `spatial`. */
export const labelOf = ({ plan, relu }: Pick<PlanMeasurement, "plan" | "relu">): string =>
  plan === "spatial" ? "spatial" : `${plan}, ${relu}`;

export interface FrequencyPoint {
  /** Spatial frequencies kept: those with alpha + beta <= n; 0 to 14. */
  n: number;
  relu: "asm" | "apx";
  correct: number;
  total: number;
  maxLogitDifference: number;
}

/** Root mean square error of the two approximations of ReLU at n frequencies. */
export interface RmsePoint {
  n: number;
  asm: number;
  apx: number;
}

export interface TrainingPoint {
  epoch: number;
  /** Counted over the whole training. */
  step: number;
  loss: number;
  /** 0 to 1; only at points where it was measured. */
  testAccuracy?: number;
}

export interface Digit {
  /** `[rows, columns]`, any range; larger is more ink. */
  pixels: Float32Array;
  rows: number;
  columns: number;
  label: number;
}

/** The coefficients of one image plane. */
export interface CoefficientPicture {
  /** `[blocksHigh, blocksWide, 64]`, zigzag order. */
  data: Float32Array;
  blocksHigh: number;
  blocksWide: number;
  label: number;
  /** The image itself, shown beside its coefficients. */
  digit?: Digit;
}

/** All results of a run of the notebook. A list may be empty; its section then says so. */
export interface NotebookReport {
  dataset: string;
  model: string;
  spatial: Evaluation;
  exact: ConvertedEvaluation;
  asm10: ConvertedEvaluation;
  plans: PlanMeasurement[];
  frequencies: FrequencyPoint[];
  rmse: RmsePoint[];
  training: TrainingPoint[];
  trainDigits: Digit[];
  testDigits: Digit[];
  /** The test digits after compression and decompression. */
  reconstructedDigits: Digit[];
  coefficients: CoefficientPicture;
  /** The largest absolute difference of a reconstructed pixel. */
  reconstructionError: number;
  /** Time of each conversion. */
  conversionMilliseconds: Record<string, number>;
  /** Peak memory before the comparison of plans, and after it: the exploded plan needs most. */
  peakBytes: number;
  peakBytesWithEveryPlan: number;
  /** Time of each stage of the run. */
  seconds: Record<string, number>;
  machine: string;
  versions: Record<string, string>;
}
