/** Layers of a network: convolutions, pooling, normalisation, matrix products. */
import { fresh, type InferenceContext, type ResultRule, type ShapeRule } from "../facts.js";
import { type Dimension, each } from "../graph.js";
import { readWindow, type Window } from "../window.js";
import { broadcastShape, same } from "./elementwise.js";

/** The spatial shape of the result of a window that slides over `spatial`. */
function slide(
  node: InferenceContext,
  { kernel, strides, dilations, pads }: Window,
  spatial: Dimension[],
): Dimension[] {
  const ceil = node.int("ceil_mode", 0) === 1;
  return kernel.map((k, i) => {
    const length = spatial[i];
    if (typeof length === "string") return fresh(node, i + 2);
    const padded = (length as number) + (pads[i] as number) + (pads[i + kernel.length] as number);
    const steps = (padded - (k - 1) * (dilations[i] as number) - 1) / (strides[i] as number);
    if (steps < 0) node.fail(`a window of ${k} does not fit into a padded length of ${padded}`);
    if (!ceil) return Math.floor(steps) + 1;
    // A window that would begin in the padding after the image is left out.
    const begins = Math.ceil(steps) * (strides[i] as number);
    return Math.ceil(steps) + (begins < (length as number) + (pads[i] as number) ? 1 : 0);
  });
}

const convolution: ResultRule = (node) => {
  const [x, w] = [node.input(0), node.input(1)];
  const [, channels, ...spatial] = x.shape;
  const group = node.int("group", 1);
  const perGroup = node.length(w.shape[1], "the weight's input channels");
  const maps = w.shape[0] as Dimension;
  if (!(group >= 1) || (typeof maps === "number" && maps % group !== 0))
    node.fail(`${maps} output channels do not make ${group} groups`);
  if (channels !== perGroup * group)
    node.fail(
      `the input has ${channels} channels, the weight [${w.shape.join(", ")}] expects ${perGroup * group}`,
    );
  const kernel = w.shape.slice(2).map((k) => node.length(k, "kernel"));
  const window = readWindow(node.raw, kernel, spatial);
  return {
    type: x.type,
    shape: [x.shape[0] as Dimension, w.shape[0] as Dimension, ...slide(node, window, spatial)],
  };
};

const pooling: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  const [n, c, ...spatial] = shape as [Dimension, Dimension, ...Dimension[]];
  const kernel = node.ints("kernel_shape") ?? node.fail("kernel_shape is missing");
  return { type, shape: [n, c, ...slide(node, readWindow(node.raw, kernel, spatial), spatial)] };
};

const globalPooling: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  return { type, shape: shape.map((length, axis) => (axis < 2 ? length : 1)) };
};

const batchNormalization: ShapeRule = (node) => {
  const channels = node.input(0).shape[1] as Dimension;
  for (const [i, parameter] of node.inputs.slice(1).entries())
    if (typeof channels === "number" && parameter && parameter.shape.join() !== String(channels))
      node.fail(`input ${i + 1} has shape [${parameter.shape.join(", ")}], expected [${channels}]`);
  return [node.input(0), ...[1, 2].map(() => ({ type: node.input(0).type, shape: [channels] }))];
};

const matmul: ResultRule = (node) => {
  const [a, b] = [node.input(0), node.input(1)];
  const [rows, inner] = a.shape.length === 1 ? [undefined, a.shape[0]] : a.shape.slice(-2);
  const [innerB, columns] = b.shape.length === 1 ? [b.shape[0], undefined] : b.shape.slice(-2);
  if (typeof inner === "number" && typeof innerB === "number" && inner !== innerB)
    node.fail(`inner lengths ${inner} and ${innerB} differ`);
  const batch = broadcastShape(node, a.shape.slice(0, -2), b.shape.slice(0, -2));
  const tail = [rows, columns].filter((length) => length !== undefined);
  return { type: a.type, shape: [...batch, ...tail] };
};

const gemm: ResultRule = (node) => {
  const [a, b] = [node.input(0), node.input(1)];
  const rows = a.shape[node.int("transA", 0) === 1 ? 1 : 0] as Dimension;
  const columns = b.shape[node.int("transB", 0) === 1 ? 0 : 1] as Dimension;
  return { type: a.type, shape: [rows, columns] };
};

/** A convolution's gradient: lengths grow by the stride. */
const transposedConvolution: ResultRule = (node) => {
  const [x, w] = [node.input(0), node.input(1)];
  const kernel = w.shape.slice(2).map((k) => node.length(k, "kernel"));
  const ints = (name: string, otherwise: number) => node.ints(name) ?? kernel.map(() => otherwise);
  const [strides, dilations, extra] = [ints("strides", 1), ints("dilations", 1), ints("output_padding", 0)];
  const pads = node.ints("pads") ?? kernel.flatMap(() => [0, 0]);
  const given = node.ints("output_shape");
  const autoPad = node.string("auto_pad", "NOTSET");
  const group = node.int("group", 1);
  const lengths = kernel.map((k, i) => {
    const length = x.shape[i + 2];
    if (given) return given.at(i - kernel.length) as number;
    if (typeof length !== "number") return fresh(node, i + 2);
    const stride = strides[i] as number;
    if (autoPad.startsWith("SAME")) return length * stride;
    const extent = (k - 1) * (dilations[i] as number) + 1;
    const cut = (pads[i] as number) + (pads[i + kernel.length] as number);
    return stride * (length - 1) + (extra[i] as number) + extent - cut;
  });
  const channels = node.length(w.shape[1], "the weight's output channels") * group;
  return { type: x.type, shape: [x.shape[0] as Dimension, channels, ...lengths] };
};

export const LAYERS: Record<string, ShapeRule> = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  BatchNormalization: batchNormalization,
  ...each(
    same,
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "LRN",
  ),
  ...each(pooling, "AveragePool", "MaxPool", "LpPool"),
  ...each(globalPooling, "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
  Gemm: gemm,
  MatMul: matmul,
};
