import { type Dimension, describe, intsAttribute, type Node, OnnxError, stringAttribute } from "./graph.js";

/** The window of a convolution or pooling along each spatial axis, with its padding as numbers. */
export interface Window {
  kernel: number[];
  strides: number[];
  dilations: number[];
  /** Before each axis, then after each axis, as in ONNX. */
  pads: number[];
}

/** More than any image needs, and small enough for exact sums and products. */
const LARGEST = 2 ** 31 - 1;

function checkList(node: Node, name: string, list: number[], count: number, least: number): number[] {
  if (list.length === count && list.every((value) => value >= least && value <= LARGEST)) return list;
  const found = list.length > 8 ? `${list.slice(0, 8).join(", ")}, …` : list.join(", ");
  throw new OnnxError(
    `${describe(node)}: ${name} is [${found}], expected ${count} numbers from ${least} to ${LARGEST}`,
    node,
  );
}

/** Reads a node's window. Only `auto_pad` needs `spatial`, the input's spatial shape. */
export function readWindow(node: Node, kernel: number[], spatial: Dimension[]): Window {
  const rank = kernel.length;
  checkList(node, "kernel_shape", kernel, rank, 1);
  const list = (name: string, count: number, least: number, otherwise: number) => {
    const given = intsAttribute(node, name) ?? new Array<number>(count).fill(otherwise);
    return checkList(node, name, given, count, least);
  };
  const strides = list("strides", rank, 1, 1);
  const dilations = list("dilations", rank, 1, 1);
  const autoPad = stringAttribute(node, "auto_pad", "NOTSET");
  if (autoPad === "NOTSET" || autoPad === "VALID") {
    const none = new Array<number>(2 * rank).fill(0);
    const pads = autoPad === "NOTSET" ? list("pads", 2 * rank, -LARGEST, 0) : none;
    return { kernel, strides, dilations, pads };
  }
  const totals = kernel.map((k, i) => {
    const [length, stride] = [spatial[i], strides[i] as number];
    if (typeof length !== "number")
      throw new OnnxError(
        `${describe(node)}: auto_pad ${autoPad} needs a known image size, found ${length}`,
        node,
      );
    return Math.max(
      0,
      (Math.ceil(length / stride) - 1) * stride + (k - 1) * (dilations[i] as number) + 1 - length,
    );
  });
  const begin = totals.map((total) =>
    autoPad === "SAME_LOWER" ? Math.ceil(total / 2) : Math.floor(total / 2),
  );
  return {
    kernel,
    strides,
    dilations,
    pads: [...begin, ...totals.map((total, i) => total - (begin[i] as number))],
  };
}
