/** What passes between operators and plans: feature maps and layers, with nothing of how either carries them out. */
import { type Constant, type Dimension, floats } from "../onnx/graph.js";
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

/** The rows and columns of blocks that hold a map. */
export const grid = ({ height, width }: Size): [rows: number, columns: number] => [
  Math.ceil(height / 8),
  Math.ceil(width / 8),
];

/** The map in whole blocks. */
export function blockwide(size: Size): Size {
  const [rows, columns] = grid(size);
  return { ...size, height: 8 * rows, width: 8 * columns };
}

export const blockCount = (size: Size): number => pixelCount(blockwide(size)) / 64;

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

/** Its affine map of each channel, `scale x + shift`. */
export function affine({ gamma, beta, mean, variance, epsilon }: BatchNormalization): {
  scale: number[];
  shift: number[];
} {
  const [g, b, m, v] = [gamma, beta, mean, variance].map(floats) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const scale = Array.from(g, (value, c) => value / Math.sqrt((v[c] as number) + epsilon));
  const shift = Array.from(b, (value, c) => value - (scale[c] as number) * (m[c] as number));
  return { scale, shift };
}
