/**
 * The transform as matrices on the last axis of a coefficient tensor, and its way to pixels. Each constant enters the
 * graph once.
 */
import { float, type GraphBuilder } from "../../onnx/builder.js";
import { type Constant, float32 } from "../../onnx/graph.js";
import { MAX_FREQUENCIES } from "../../transform/frequency.js";
import { C, Ci } from "../../transform/tensors.js";
import { type Cost, countOperator, type Size } from "../plan.js";

export class Transforms {
  private readonly constants = new Map<string, string>();

  constructor(
    readonly g: GraphBuilder,
    readonly table: ArrayLike<number>,
    readonly cost: Cost,
  ) {}

  /** A constant that is made and counted the first time its name is asked for. */
  constant(name: string, dims: number[], values: () => ArrayLike<number>): string {
    const known = this.constants.get(name);
    if (known !== undefined) return known;
    const added = this.parameter(name, float32(values(), dims));
    this.constants.set(name, added);
    return added;
  }

  /** A constant of the network's own, counted. */
  parameter(name: string, value: Constant): string {
    countOperator(this.cost, value.data.length);
    return this.g.constant(name, value);
  }

  /** Counts the multiplications of a matrix product with `columns` columns for every value of a feature map. */
  count(columns: number, { channels, height, width }: Size): void {
    this.cost.multiplyAdds += columns * channels * height * width;
  }

  /** `Ci` for the frequencies alpha + beta <= n, as `[64 coefficients, 64 pixels]`. */
  decompression(n = MAX_FREQUENCIES): string {
    const name = n === MAX_FREQUENCIES ? "Ci" : `Ci_${n}`;
    return this.constant(name, [64, 64], () => {
      const { data } = Ci(this.table, n);
      return Float32Array.from({ length: 4096 }, (_, at) => data[(at & 63) * 64 + (at >> 6)] as number);
    });
  }

  /** `C` as `[64 pixels, 64 coefficients]`. */
  compression(): string {
    return this.constant("C", [64, 64], () => C(this.table).data);
  }

  /** The pixels `[N, C, H, W]` of a coefficient tensor `[N, C, X, Y, 64]`. */
  pixels(coefficients: string, { channels, height, width }: Size): string {
    const { g } = this;
    this.count(64, { channels, height, width });
    const blocks = g.node("MatMul", [coefficients, this.decompression()], {}, "blocks");
    // Blocks of a row of blocks stand side by side: their pixel rows i must come before the block column y.
    const rows = (channels * height) / 8;
    const split = g.node("Reshape", [blocks, g.ints([-1, rows, width / 8, 8, 8])]);
    const joined = g.node("Transpose", [split], { perm: [0, 1, 3, 2, 4] });
    return g.node("Reshape", [joined, g.ints([-1, channels, height, width])], {}, "pixels");
  }

  /** What a constant 1 in every pixel is at k = 0. */
  get unit(): number {
    return 8 / (this.table[0] as number);
  }

  /** The mean of each channel from k = 0 alone: `[N, C, X, Y, 64]` → `[N, C, 1, 1]`. */
  mean(coefficients: string): string {
    const { g } = this;
    const means = g.node("Gather", [coefficients, g.ints([0], [])], { axis: 4 }, "blockMeans");
    const mean = g.node("GlobalAveragePool", [means], {}, "mean");
    return this.unit === 1 ? mean : g.node("Mul", [mean, g.floats([1 / this.unit], [])]);
  }
}

/**
 * The mask [x >= 0] as 0 and 1. A clipped line is one pass over the data where a comparison and a cast are two: the
 * slope takes every negative float32 but the denormal ones to below -1, and infinities clip like the rest.
 */
export const isNotNegative = (g: GraphBuilder, x: string): string =>
  g.node("HardSigmoid", [x], { alpha: float(3e38), beta: float(1) }, "mask");
