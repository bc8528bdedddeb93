/**
 * The transform as nodes on the last axis of a coefficient tensor, and its way to pixels.
 *
 * Rows and columns are transformed one after the other, each by a 64x64 matrix of which 8 entries a column are not
 * zero. One dense matrix would do both, at half the multiplications, but sums 64 rounded terms instead of 8: its error
 * is three times that of the convolution after it (2.4e-7 against 0.7e-7 on MNIST), enough to flip ReLU masks.
 * In double precision, which not every device has, one matrix does both without error.
 */

import { ZIGZAG } from "@jpeg-domain/coefficients";
import { cosine, isKept } from "@jpeg-domain/coefficients/internal";
import { C, Ci } from "@jpeg-domain/coefficients/tensors";
import { float, type GraphBuilder } from "../../onnx/builder.js";
import { type Constant, float32 } from "../../onnx/graph.js";
import { type Cost, countOperator } from "../cost.js";
import { blockCount, blockwide, isSized, type Planes, pixelCount, type Size } from "../layers.js";

const frequencyOf = (k: number): [alpha: number, beta: number] => [
  (ZIGZAG[k] as number) >> 3,
  (ZIGZAG[k] as number) & 7,
];

type Entry = (row: number, column: number) => number;

const entries = ([rows, columns]: [number, number], entry: Entry) =>
  Array.from({ length: rows * columns }, (_, at) => entry(Math.floor(at / columns), at % columns));

/** The cosine transform along a block's columns alone: pixel (i, j) and place (alpha, j). */
const alongColumns: Entry = (pixel, place) =>
  (place & 7) === (pixel & 7) ? cosine(pixel >> 3, place >> 3) : 0;

export class Transforms {
  private readonly constants = new Map<string, string>();
  private readonly compression: ArrayLike<number>;
  private readonly decompression: ArrayLike<number>;

  constructor(
    readonly g: GraphBuilder,
    readonly table: ArrayLike<number>,
    readonly cost: Cost,
    private readonly precision: "float32" | "float64" = "float32",
  ) {
    this.compression = C(table).data;
    this.decompression = Ci(table).data;
  }

  /** A matrix by its entries, made and counted the first time its name is asked for. */
  matrix(name: string, dims: [rows: number, columns: number], entry: Entry): string {
    return this.shared(name, () => {
      this.g.budget.take(12 * dims[0] * dims[1], `the matrix ${name} [${dims.join(", ")}]`);
      return float32(entries(dims, entry), dims);
    });
  }

  /** A constant that is made and counted the first time its name is asked for. */
  shared(name: string, make: () => Constant): string {
    const known = this.constants.get(name);
    if (known !== undefined) return known;
    const added = this.parameter(name, make());
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

  /** `Ci` on the last axis, 64 coefficients → 64 pixels of the block (row by row). */
  decompress(x: string, hint = "pixels"): string {
    const { g, table } = this;
    if (this.precision === "float64") {
      const data = this.decompression;
      return this.inDouble(x, "Ci", (k, pixel) => data[64 * pixel + k] as number, hint);
    }
    const columns = this.matrix("Ci_columns", [64, 64], (k, place) => {
      const [alpha, beta] = frequencyOf(k);
      return place >> 3 === alpha ? (table[k] as number) * cosine(place & 7, beta) : 0;
    });
    const rows = this.matrix("Ci_rows", [64, 64], (place, pixel) => alongColumns(pixel, place));
    return g.node("MatMul", [g.node("MatMul", [x, columns], {}, "columns"), rows], {}, hint);
  }

  /** `C` on the last axis, 64 pixels → 64 coefficients. */
  compress(x: string, hint = "coefficients"): string {
    const { g, table } = this;
    if (this.precision === "float64") {
      const data = this.compression;
      return this.inDouble(x, "C", (pixel, k) => data[64 * pixel + k] as number, hint);
    }
    const rows = this.matrix("C_rows", [64, 64], alongColumns);
    const columns = this.matrix("C_columns", [64, 64], (place, k) => {
      const [alpha, beta] = frequencyOf(k);
      return place >> 3 === alpha ? cosine(place & 7, beta) / (table[k] as number) : 0;
    });
    return g.node("MatMul", [g.node("MatMul", [x, rows], {}, "rows"), columns], {}, hint);
  }

  /** A 64x64 matrix on the last axis, in double precision between casts. */
  private inDouble(x: string, name: string, entry: Entry, hint: string): string {
    const { g } = this;
    const matrix = this.shared(name, () => ({
      type: "float64",
      dims: [64, 64],
      data: Float64Array.from(entries([64, 64], entry)),
    }));
    const product = g.node("MatMul", [g.node("Cast", [x], { to: 11 }), matrix]);
    return g.node("Cast", [product], { to: 1 }, hint);
  }

  /** The part of the pixels that the frequencies alpha + beta > n make: 64 coefficients → 64 pixels. */
  high(x: string, n: number): string {
    const data = this.decompression;
    const matrix = this.matrix(`Ci_above_${n}`, [64, 64], (k, pixel) =>
      isKept(k, n) ? 0 : (data[64 * pixel + k] as number),
    );
    return this.g.node("MatMul", [x, matrix], {}, "high");
  }

  /**
   * The pixels `[N, C, H, W]` of a coefficient tensor `[N, C, X, Y, 64]`. Of an image that is not whole blocks, those
   * beyond its sides are cut off.
   * @param atOnce By one product for rows and columns: for 224x224, 0.15 ms where two take 0.25, with three times the
   *   rounding.
   */
  pixels(coefficients: string, planes: Planes, atOnce = false): string {
    const blocks = atOnce ? this.decompressAtOnce(coefficients) : this.decompress(coefficients, "blocks");
    if (!isSized(planes)) return this.anySizeSideBySide(blocks, coefficients, planes);
    this.count(atOnce ? 64 : 128, blockwide(planes));
    return this.sideBySide(blocks, planes);
  }

  private decompressAtOnce(coefficients: string): string {
    const data = this.decompression;
    const matrix = this.matrix("Ci", [64, 64], (k, pixel) => data[64 * pixel + k] as number);
    return this.g.node("MatMul", [coefficients, matrix], {}, "blocks");
  }

  /** Blocks of pixels `[N, C, X, Y, 64]` side by side, what is beyond the image cut off: `[N, C, H, W]`. */
  sideBySide(blocks: string, size: Size): string {
    const { g } = this;
    const { channels, height, width } = blockwide(size);
    // Blocks of a row of blocks stand side by side: their pixel rows i must come before the block column y.
    const joined = this.swapRuns(blocks, [0, (channels * height) / 8], [width / 8, 8]);
    const whole = g.node("Reshape", [joined, g.ints([0, channels, height, width])], {}, "pixels");
    return this.crop(whole, size);
  }

  /**
   * Runs of 8 pixels ordered by (outer, inner) become ordered by (inner, outer); `lead` are the axes before. ONNX
   * Runtime copies whole runs where an axis goes inwards past several, hence the axis of one more; where it takes the
   * swap of two axes for one going outwards, pixels one by one, in twice the time.
   */
  swapRuns(x: string, lead: number[], [outer, inner]: [number, number]): string {
    const { g } = this;
    const runs = g.node("Reshape", [x, g.ints([...lead, outer, inner, 1, 8])]);
    const at = lead.length;
    return g.node("Transpose", [runs], { perm: [...lead.keys(), at + 1, at + 2, at, at + 3] });
  }

  /** The pixels of an image with a side that is known only at run time, in whole blocks. */
  private anySizeSideBySide(blocks: string, coefficients: string, planes: Planes): string {
    const { g } = this;
    const joined = this.swapRuns(blocks, [0, 0, 0], [0, 8]);
    const grid = g.slice(g.node("Shape", [coefficients]), { axis: 0, from: 2, to: 4 });
    const sides = g.node("Mul", [grid, g.ints([8])]);
    const shape = g.node("Concat", [g.ints([0, 0]), sides], { axis: 0 });
    return this.crop(g.node("Reshape", [joined, shape], {}, "pixels"), planes);
  }

  /** Cuts off what lies beyond the sides that are known and not whole blocks. */
  crop(pixels: string, { height, width }: Planes): string {
    return [height, width].reduce<string>(
      (x, length, i) =>
        typeof length === "number" && length % 8 !== 0
          ? this.g.slice(x, { axis: 2 + i, from: 0, to: length }, "pixels")
          : x,
      pixels,
    );
  }

  /** What a constant 1 in every pixel is at k = 0. */
  get unit(): number {
    return 8 / (this.table[0] as number);
  }

  /**
   * The mean of each channel, `[N, C, 1, 1]`, of coefficients that are zero outside a map of `size`, from k = 0 alone:
   * that is a block's mean (times 8 / q[0]).
   */
  mean(coefficients: string, size: Size): string {
    const { g } = this;
    const means = g.node("Gather", [coefficients, g.ints([0], [])], { axis: 4 }, "blockMeans");
    const mean = g.node("GlobalAveragePool", [means], {}, "mean");
    const factor = (64 * blockCount(size)) / pixelCount(size) / this.unit;
    return factor === 1 ? mean : g.node("Mul", [mean, g.floats([factor], [])], {}, "mean");
  }
}

/**
 * The mask [x >= 0] as 0 and 1. A clipped line is one pass over the data where a comparison and a cast are two: the
 * slope takes every negative float32 but the denormal ones to below -1, and infinities clip like the rest.
 */
export const isNotNegative = (g: GraphBuilder, x: string): string =>
  g.node("HardSigmoid", [x], { alpha: float(3e38), beta: float(1) }, "mask");
