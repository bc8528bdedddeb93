/** What passes between operators and plans: feature maps and layers, with nothing of how either carries them out. */
import type { Constant, Dimension } from "../onnx/graph.js";
import type { Window } from "../onnx/window.js";

/** A feature map's channels, height and width in pixels. */
export interface Size {
  channels: number;
  height: number;
  width: number;
}

/** The planes of an image whose height or width may be known only at run time. */
export interface Planes {
  channels: number;
  height: Dimension;
  width: Dimension;
}

export const isSized = (planes: Planes): planes is Size =>
  typeof planes.height === "number" && typeof planes.width === "number";

/** The size of a sum: one channel is repeated over many. */
export const largest = (a: Size, b: Size): Size => (a.channels >= b.channels ? a : b);

export const isWholeBlocks = ({ height, width }: Size): boolean =>
  height > 0 && width > 0 && height % 8 === 0 && width % 8 === 0;

export const pixelCount = ({ height, width }: Size): number => height * width;
export const blockCount = (size: Size): number => pixelCount(size) / 64;

export interface Convolution {
  name: string;
  /** `[M, N / group, kh, kw]`. */
  weight: Constant;
  /** `[M]`. */
  bias: Constant | undefined;
  group: number;
  window: Window;
  input: Size;
  output: Size;
}

export interface BatchNormalization {
  /** Each `[C]`. */
  gamma: Constant;
  beta: Constant;
  mean: Constant;
  variance: Constant;
  epsilon: number;
}
