/**
 * The coefficient domain, which the plans `blockwise` and `exploded` share: every feature map is a coefficient tensor
 * `[N, C, X, Y, 64]`, zero outside the map (padding.ts), and every operator takes such tensors to such tensors.
 * Operators that are linear and the same for every pixel of a channel work on coefficients as they are; any other is
 * decompress · operator · compress, on the blocks' pixels where it treats each alone, on the blocks side by side where
 * it does not.
 */
import { type Constant, float32 } from "../../onnx/graph.js";
import {
  blockCount,
  blockwide,
  grid,
  type Inputs,
  isWholeBlocks,
  type Lowered,
  pixelCount,
  type Size,
} from "../layers.js";
import type { Approximation } from "../options.js";
import { apart, compressed, indicator, inside, insideBlocks, toBlocks } from "./padding.js";
import type { Transforms } from "./transforms.js";

/** The known forms of a feature map: the name of the tensor for each. */
interface Forms {
  /** `[N, C, X, Y, 64]`. */
  coefficients?: string;
  /** The pixels `[N, C, X, Y, 64]` that an operator on single pixels has made, before they are compressed. */
  made?: string;
  /** The pixels that the coefficients decompress to, `[N, C, X, Y, 64]`. */
  blocks?: string;
  /** The same side by side, `[N, C, H, W]`. */
  pixels?: string;
  /** The pixels `[N, C, H, W]` as operators outside the coefficient domain make and take them. */
  planes?: string;
}

/** A feature map of the coefficient domain. Each form is computed when something first asks for it. */
export class CoefficientMap {
  /** @param hint Names its coefficients, if they are still to be computed. */
  constructor(
    readonly domain: Coefficients,
    readonly size: Size,
    private readonly forms: Forms,
    private readonly hint?: string,
  ) {}

  /** `[N, C, X, Y, 64]`. */
  get coefficients(): string {
    this.forms.coefficients ??= this.compress();
    return this.forms.coefficients;
  }

  private compress(): string {
    const { domain, size, forms } = this;
    const { made, pixels, planes } = forms;
    const blocks = made ?? (pixels ? this.blocks : apart(domain.g, planes as string, size));
    domain.transforms.count(128, blockwide(size));
    return domain.transforms.compress(blocks, this.hint);
  }

  /** Whether asking for coefficients would compress pixels first. */
  get isPending(): boolean {
    return this.forms.coefficients === undefined;
  }

  /** Whether an operator on single pixels made it, and nothing has compressed it yet. */
  get isStillPixels(): boolean {
    return this.isPending && this.forms.made !== undefined;
  }

  /** The map's pixels by blocks, `[N, C, X, Y, 64]`. */
  get blocks(): string {
    const { domain, size, forms } = this;
    forms.blocks ??= forms.pixels ? apart(domain.g, forms.pixels, size) : this.decompress();
    return forms.blocks;
  }

  private decompress(): string {
    const { coefficients, domain } = this;
    domain.transforms.count(128, blockwide(this.size));
    return domain.transforms.decompress(coefficients);
  }

  /**
   * The map's pixels by blocks, for an operator that treats each alone. Two such operators in a row, as in x · σ(x), are
   * one: between them nothing is compressed.
   */
  get single(): string {
    return this.forms.made ?? this.blocks;
  }

  /** The map's pixels, `[N, C, H, W]`. */
  get pixels(): string {
    this.forms.pixels ??= this.domain.transforms.sideBySide(this.blocks, this.size);
    return this.forms.pixels;
  }

  /** The map's pixels `[N, C, H, W]` for an operator outside: between it and what made them, nothing is compressed. */
  get planes(): string {
    const { domain, size, forms } = this;
    forms.planes ??= forms.made ? domain.transforms.sideBySide(forms.made, size) : this.pixels;
    return forms.planes;
  }

  /** The pixels that the spatial frequencies alpha + beta <= n make, `[N, C, X, Y, 64]`. */
  low(n: number): string {
    const { domain, single } = this;
    domain.transforms.count(64, blockwide(this.size));
    return domain.g.node("Sub", [single, domain.transforms.high(this.coefficients, n)], {}, "low");
  }

  /** Multiplications that it takes to get its coefficients. */
  get compression(): number {
    return this.isPending ? transformation(this.size) : 0;
  }

  /** Multiplications that it takes to get the pixels that its coefficients decompress to. */
  get decompression(): number {
    const isThere = this.forms.pixels !== undefined || this.forms.blocks !== undefined;
    return isThere ? 0 : this.compression + transformation(this.size);
  }
}

/**
 * Bytes. The constant images of all channels, which ONNX Runtime makes when it loads the model, are not larger; instead,
 * what a shift leaves outside the map is cut off.
 */
const LARGEST_IMAGES = 1e6;

/** Multiplications to compress or decompress a map. */
export const transformation = (size: Size): number => 128 * pixelCount(blockwide(size)) * size.channels;

/** Carries out layers of a kind on coefficients. `x` is the first feature map among the inputs. */
export type OnCoefficients<L> = (
  x: CoefficientMap,
  layer: L,
  inputs: Inputs<CoefficientMap>,
) => Lowered<CoefficientMap>;

/** Makes feature maps. */
export class Coefficients {
  constructor(
    readonly transforms: Transforms,
    readonly approximation: Approximation,
    /** Says how the layer in hand is carried out, where there is a choice. */
    readonly note: (choice: string) => void,
  ) {}

  get g() {
    return this.transforms.g;
  }

  /** The map of a coefficient tensor that is zero outside it. */
  map = (coefficients: string, size: Size): CoefficientMap =>
    new CoefficientMap(this, size, { coefficients });

  /**
   * The map of pixels by blocks that an operator on single pixels has made.
   * @param isZeroOutside Whether they are zero outside the map already.
   */
  ofSingle(blocks: string, size: Size, isZeroOutside: boolean, hint?: string): CoefficientMap {
    const made = isZeroOutside ? blocks : insideBlocks(this.transforms, blocks, size);
    return new CoefficientMap(this, size, { made }, hint);
  }

  /** The map of the pixels `[N, C, H, W]` that an operator of the coefficient domain has made. */
  ofPixels = (planes: string, size: Size): CoefficientMap => new CoefficientMap(this, size, { planes });

  /** The map of pixels `[N, C, H, W]` from outside the coefficient domain: they need not be decompressed again. */
  fromOutside = (pixels: string, size: Size): CoefficientMap =>
    new CoefficientMap(this, size, { pixels, planes: pixels });

  /** `[N, C, 1, 1, 1]` or constants `[C, 1, 1, 1]` as images of one value a channel, to be added to coefficients. */
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
  affine(x: string, scale: number[], shift: number[] | undefined, size: Size): string {
    const factor = this.transforms.parameter("scale", float32(scale, [scale.length, 1, 1, 1]));
    const scaled = this.g.node("Mul", [x, factor]);
    return shift ? this.addMeans(scaled, shift, size) : scaled;
  }

  /** The coefficients `[channels, X, Y, 64]` of a constant `[…, H, W]`, repeated where it is 1 high or wide and `size` is not. */
  ofConstant(constant: Constant, size?: Size): Constant {
    return compressed(this.g, toBlocks(this.g, constant, 0, size), this.transforms.table);
  }

  /** The shape of a map's coefficient tensor, with any batch. */
  shape(size: Size): string {
    return this.g.ints([0, size.channels, ...grid(size), 64]);
  }
}
