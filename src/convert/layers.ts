/** What passes between operators and plans: feature maps and layers, with nothing of how either carries them out. */
import type { Constant } from "../onnx/graph.js";
import type { Window } from "../onnx/window.js";

/** A feature map's channels, height and width in pixels. */
export interface Size {
  channels: number;
  height: number;
  width: number;
}

/** The size of a sum: one channel is repeated over many. */
export const largest = (a: Size, b: Size): Size => (a.channels >= b.channels ? a : b);

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
