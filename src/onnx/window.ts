import { type Dimension, describe, intsAttribute, type Node, OnnxError, stringAttribute } from "./graph.js";

/** The window of a convolution or pooling along each spatial axis, padding resolved. */
export interface Window {
  kernel: number[];
  strides: number[];
  dilations: number[];
  /** Before each axis, then after each axis, as in ONNX. */
  pads: number[];
}

/** Reads a node's window; `spatial` is the input's spatial shape, needed only for `auto_pad`. */
export function readWindow(node: Node, kernel: number[], spatial: Dimension[]): Window {
  const rank = kernel.length;
  const strides = intsAttribute(node, "strides") ?? kernel.map(() => 1);
  const dilations = intsAttribute(node, "dilations") ?? kernel.map(() => 1);
  const autoPad = stringAttribute(node, "auto_pad", "NOTSET");
  if (autoPad === "NOTSET" || autoPad === "VALID") {
    const pads = autoPad === "NOTSET" ? intsAttribute(node, "pads") : undefined;
    return { kernel, strides, dilations, pads: pads ?? new Array(2 * rank).fill(0) };
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
