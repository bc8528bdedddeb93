/** What all layers have in common. A layer says what to compute; how is up to the plan. */
import { type Constant, type Dimension, type Node, volume } from "../onnx/graph.js";
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

/** What an input of a node is: a feature map, a constant, or another tensor that the network computes. */
export type Operand =
  | { kind: "map"; size: Size }
  | { kind: "constant"; value: Constant }
  | { kind: "tensor"; shape: Dimension[] | undefined };

/** What all kinds of layers have. */
export interface Base {
  /** The node that the layer was read from. */
  node: Node;
  /** Its inputs; `undefined` where an optional one is left out. */
  operands: (Operand | undefined)[];
  /** The feature map that it makes. */
  output: Size;
  /** Later nodes that are part of the layer too. Its output is that of the last one. */
  rest?: Node[];
  /** Why it is not a layer of a simpler kind. A plan without this kind says so. */
  reason?: string;
}

/** A convolution. An average over a window is one too. */
export interface Convolution extends Base {
  kind: "convolution";
  name: string;
  /** `[M, N / group, kh, kw]`. */
  weight: Constant;
  /** `[M]`. */
  bias: Constant | undefined;
  group: number;
  window: Window;
  input: Size;
}

/** Multiplications of the spatial convolution for one image. */
export const multiplyAdds = ({ weight, output }: Convolution): number =>
  volume(weight.dims) * output.height * output.width;

export const isSized = (planes: Planes): planes is Size =>
  typeof planes.height === "number" && typeof planes.width === "number";

/** The size of a feature map of shape `[N, C, H, W]`, if it is one and known. */
export function sizeOf(shape: Dimension[] | undefined): Size | undefined {
  const [, channels, height, width] = shape ?? [];
  const isKnown = [channels, height, width].every((length) => typeof length === "number");
  return shape?.length === 4 && isKnown ? ({ channels, height, width } as Size) : undefined;
}

export const isWholeBlocks = ({ height, width }: Size): boolean =>
  height > 0 && width > 0 && height % 8 === 0 && width % 8 === 0;

export const sameSides = (a: Size, b: Size): boolean => a.height === b.height && a.width === b.width;

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

/** What an input of a node has become in the graph being built: a plan's feature map, or a tensor under its name. */
export type Input<M> =
  | { kind: "map"; map: M }
  | { kind: "constant"; name: string; value: Constant }
  | { kind: "tensor"; name: string; shape: Dimension[] };

/** The inputs of a node; `undefined` where an optional one is left out. */
export type Inputs<M> = readonly (Input<M> | undefined)[];

/** What a plan makes of a layer: its feature map, or one for each output, or the name of another tensor. */
export type Lowered<M> = M | M[] | string;
