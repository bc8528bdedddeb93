/**
 * The coefficient domain, which the plans `blockwise` and `exploded` share: every feature map is a coefficient tensor
 * `[N, C, X, Y, 64]`, zero outside the map (padding.ts), and every operator takes such tensors to such tensors.
 * Operators that are linear and the same for every pixel of a channel work on coefficients as they are; any other is
 * decompress · operator · compress, on the blocks' pixels where it treats each alone, on the blocks side by side where
 * it does not.
 */
import { type Constant, float32 } from "../../onnx/graph.js";
import {
  affine,
  blockCount,
  blockwide,
  type Convolution,
  grid,
  isWholeBlocks,
  largest,
  pixelCount,
  type Size,
} from "../layers.js";
import type { ReluKind } from "../options.js";
import type { Note, Plan } from "../plan.js";
import { apart, compressed, indicator, inside, insideBlocks, pad, toBlocks } from "./padding.js";
import { isNotNegative, type Transforms } from "./transforms.js";

export interface CoefficientMap {
  size: Size;
  /** `[N, C, X, Y, 64]`. */
  readonly name: string;
  /** Whether asking for `name` would compress pixels first. */
  readonly isPending?: boolean;
  /** The pixels `[N, C, X, Y, 64]` that these are the coefficients of, where an operator on single pixels made them. */
  readonly made?: string;
  /** The pixels that the coefficients decompress to, once an operator has asked for them. */
  blocks?: string;
  /** The same side by side, `[N, C, H, W]`. */
  pixels?: string;
  /** The same for operators outside the coefficient domain: what made the map may have made pixels. */
  planes?: string;
}

/** A map of pixels, which are compressed the first time that something asks for coefficients. */
class Uncompressed implements CoefficientMap {
  private coefficients?: string;
  readonly made?: string;
  blocks?: string;
  pixels?: string;
  planes?: string;

  constructor(
    readonly size: Size,
    private readonly compress: (x: CoefficientMap) => string,
    known: Pick<CoefficientMap, "made" | "pixels" | "planes">,
  ) {
    Object.assign(this, known);
  }

  get name(): string {
    this.coefficients ??= this.compress(this);
    return this.coefficients;
  }

  get isPending(): boolean {
    return this.coefficients === undefined;
  }
}

/**
 * Bytes. The constant images of all channels, which ONNX Runtime makes when it loads the model, are not larger; instead,
 * what a shift leaves outside the map is cut off.
 */
const LARGEST_IMAGES = 1e6;

/** Multiplications to compress or decompress a map. */
export const transformation = (size: Size): number => 128 * pixelCount(blockwide(size)) * size.channels;

/** Carries out a convolution, bias included. */
export type Convolve = (domain: Coefficients, x: CoefficientMap, layer: Convolution) => CoefficientMap;

export class Coefficients {
  constructor(
    readonly transforms: Transforms,
    readonly relu: ReluKind,
    /** Convolution, and average pooling as the depthwise convolution it is: what tells the plans apart. */
    readonly convolve: Convolve,
    readonly average: Convolve,
    /** Told how the node in hand is carried out, where there is a choice. */
    readonly note: Note,
  ) {}

  get g() {
    return this.transforms.g;
  }

  /**
   * The map's pixels by blocks, for an operator that treats each alone. Two such operators in a row, as in x · σ(x), are
   * one: between them nothing is compressed.
   */
  single = (x: CoefficientMap): string => x.made ?? this.blocks(x);

  /** The map's pixels by blocks, `[N, C, X, Y, 64]`. */
  blocks(x: CoefficientMap): string {
    x.blocks ??= x.pixels === undefined ? this.decompress(x) : apart(this.g, x.pixels, x.size);
    return x.blocks;
  }

  private decompress({ name, size }: CoefficientMap): string {
    this.transforms.count(128, blockwide(size));
    return this.transforms.decompress(name);
  }

  /** The pixels that the spatial frequencies alpha + beta <= n make, `[N, C, X, Y, 64]`. */
  low(x: CoefficientMap, n: number): string {
    this.transforms.count(64, blockwide(x.size));
    return this.g.node("Sub", [this.single(x), this.transforms.high(x.name, n)], {}, "low");
  }

  /**
   * The map of pixels by blocks that an operator on single pixels has made. `zeroOutside` tells whether they are zero
   * outside as they are.
   */
  ofSingle(pixels: string, size: Size, zeroOutside: boolean, hint?: string): CoefficientMap {
    const made = zeroOutside ? pixels : insideBlocks(this.transforms, pixels, size);
    return new Uncompressed(size, () => this.compress(made, size, hint), { made });
  }

  private compress(blocks: string, size: Size, hint?: string): string {
    this.transforms.count(128, blockwide(size));
    return this.transforms.compress(blocks, hint);
  }

  /** The map's pixels, `[N, C, H, W]`. */
  pixels = (x: CoefficientMap): string => {
    x.pixels ??= this.transforms.sideBySide(this.blocks(x), x.size);
    return x.pixels;
  };

  /** The map of the pixels `[N, C, H, W]` that an operator of the coefficient domain has made. */
  ofPixels = (planes: string, size: Size): CoefficientMap =>
    new Uncompressed(size, () => this.compress(apart(this.g, planes, size), size), { planes });

  /** The map of pixels `[N, C, H, W]` from outside the coefficient domain: they need not be decompressed again. */
  fromOutside = (pixels: string, size: Size): CoefficientMap =>
    new Uncompressed(size, (x) => this.compress(this.blocks(x), size), { pixels, planes: pixels });

  /** The map's pixels `[N, C, H, W]` for an operator outside: between it and what made them, nothing is compressed. */
  toOutside = (x: CoefficientMap): string => {
    x.planes ??= x.made === undefined ? this.pixels(x) : this.transforms.sideBySide(x.made, x.size);
    return x.planes;
  };

  /** Multiplications to come by a map's coefficients. */
  compression = (x: CoefficientMap): number => (x.isPending ? transformation(x.size) : 0);

  /** Multiplications to come by the pixels that a map's coefficients decompress to. */
  decompression = (x: CoefficientMap): number =>
    x.pixels === undefined && x.blocks === undefined ? this.compression(x) + transformation(x.size) : 0;

  /**
   * The mean of each channel, `[N, C, 1, 1]`, from k = 0 alone: that is a block's mean (times 8 / q[0]), and outside the
   * map are zeros.
   */
  mean({ name, size }: CoefficientMap): string {
    const { g, transforms } = this;
    const means = g.node("Gather", [name, g.ints([0], [])], { axis: 4 }, "blockMeans");
    const mean = g.node("GlobalAveragePool", [means], {}, "mean");
    const factor = (64 * blockCount(size)) / pixelCount(size) / transforms.unit;
    return factor === 1 ? mean : g.node("Mul", [mean, g.floats([factor], [])], {}, "mean");
  }

  /** `[N, C, 1, 1]` or constants `[C, 1, 1]` as images of one value a channel, to be added to coefficients. */
  constantImages(values: string, size: Size): string {
    return this.g.node("Mul", [values, indicator(this.transforms, size)], {}, "images");
  }

  /** Adds to each channel a constant image of value `shift[c]`: in whole blocks only k = 0 sees it. */
  addMeans(x: string, shift: ArrayLike<number>, size: Size): string {
    const { g, transforms } = this;
    const bytes = 4 * 64 * shift.length * blockCount(size);
    if (!isWholeBlocks(size) && bytes <= LARGEST_IMAGES) {
      const values = transforms.parameter("shift", float32(shift, [shift.length, 1, 1, 1]));
      return g.node("Add", [x, this.constantImages(values, size)]);
    }
    g.budget.take(256 * shift.length, `the means of ${shift.length} channels`);
    const values = new Float32Array(64 * shift.length);
    for (let c = 0; c < shift.length; c++) values[64 * c] = (shift[c] as number) * transforms.unit;
    const term = transforms.parameter("shift", float32(values, [shift.length, 1, 1, 64]));
    return inside(transforms, g.node("Add", [x, term]), size);
  }

  /** `scale[c] x + shift[c]`: the scale acts on every frequency, the shift on the mean alone. */
  affine(x: CoefficientMap, scale: number[], shift: number[]): CoefficientMap {
    const factor = this.transforms.parameter("scale", float32(scale, [scale.length, 1, 1, 1]));
    const scaled = this.g.node("Mul", [x.name, factor]);
    return { size: x.size, name: this.addMeans(scaled, shift, x.size) };
  }

  /** The coefficients `[channels, X, Y, 64]` of a constant `[…, H, W]`. */
  ofConstant(constant: Constant): Constant {
    return compressed(this.g, toBlocks(this.g, constant, 0), this.transforms.table);
  }

  /** Channels `from` to `to` (left out). */
  sliceChannels = (x: string, from: number, to: number): string => this.g.slice(x, { axis: 1, from, to });

  /** Zeros before and after each axis. */
  padded = (x: string, pads: number[]): string => pad(this.g, x, pads);

  /** The shape of a map's coefficient tensor, with any batch. */
  shape(size: Size): string {
    return this.g.ints([0, size.channels, ...grid(size), 64]);
  }
}

/** The coefficient domain as a plan for the operators of the notebook's network. */
export function coefficientPlan(domain: Coefficients): Plan<CoefficientMap> {
  const { g, transforms, relu } = domain;
  return {
    wholeBlocks: true,
    planes: (coefficients, planes) => transforms.pixels(coefficients, planes),
    enter: (name, size) => ({ size, name: inside(transforms, name, size) }),
    convolution: (x, layer) => domain.convolve(domain, x, layer),
    batchNormalization(x, layer) {
      const { scale, shift } = affine(layer);
      return domain.affine(x, scale, shift);
    },
    relu(x) {
      const { kind, n } = relu;
      if (kind === "exact") return domain.ofSingle(g.node("Relu", [domain.single(x)]), x.size, true, "relu");
      const low = domain.low(x, n);
      if (kind === "apx") return domain.ofSingle(g.node("Relu", [low]), x.size, false, kind);
      return domain.ofSingle(g.node("Mul", [domain.single(x), isNotNegative(g, low)]), x.size, true, kind);
    },
    add: (a, b) => ({ size: largest(a.size, b.size), name: g.node("Add", [a.name, b.name]) }),
    globalAverage: (x) => domain.mean(x),
    pixels: domain.pixels,
  };
}
