/**
 * Normalisation by the statistics of the feature map itself.
 *
 * Over the pixels of a group of channels, as group and instance normalisation do it, with mean μ and variance σ² of the group:
 *
 *   y[c] = γ[c] (x[c] - μ) / √(σ² + ε) + β[c],   σ² = 1/n Σ_{x y k} (q[k] X̃[x y k])²,   X̃ = X - μ U
 *
 * D is orthonormal, so the squares of a block's coefficients, without division by the table q, sum up as those of its pixels
 * (Parseval). U are the coefficients of the constant image 1, so X̃ has none outside the map.
 *
 * Over the channels of each pixel, as layer normalisation does it behind a transposition, the pixels are needed.
 */
import { float } from "../../onnx/builder.js";
import { type Constant, float32, floats, intsAttribute, type Node } from "../../onnx/graph.js";
import { type Base, blockCount, grid, pixelCount } from "../layers.js";
import type { Family, NodeContext } from "./context.js";

export interface GroupNormalization extends Base {
  kind: "groupNormalization";
  groups: number;
  /** Of each channel. */
  scale: number[];
  shift: number[];
  epsilon: number;
}

/** `Transpose`, `LayerNormalization` over the last axis, `Transpose` back. */
export interface ChannelNormalization extends Base {
  kind: "channelNormalization";
  scale: Constant;
  shift: Constant | undefined;
  epsilon: number;
}

function groupNormalization(context: NodeContext, groups: number): GroupNormalization {
  const { channels } = context.map();
  if (!(groups > 0) || channels % groups !== 0)
    context.refuse(`its ${channels} channels do not make ${groups} groups`);
  // Operator set 18 has a parameter for each group, 21 one for each channel.
  const perChannel = (i: number): number[] => {
    const values = floats(context.required(i));
    if (values.length !== groups && values.length !== channels)
      context.refuse(`input ${i} has ${values.length} values, expected ${groups} or ${channels}`);
    const each = channels / values.length;
    return Array.from({ length: channels }, (_, c) => values[Math.floor(c / each)] as number);
  };
  const [scale, shift] = [perChannel(1), perChannel(2)];
  const epsilon = context.float("epsilon", 1e-5);
  return { kind: "groupNormalization", ...context.base, groups, scale, shift, epsilon };
}

const moves = (node: Node | undefined, perm: string): boolean =>
  node?.op === "Transpose" && node.domain === "" && intsAttribute(node, "perm")?.join() === perm;

function channelNormalization(context: NodeContext): ChannelNormalization {
  const { channels } = context.map();
  const inner = context.next();
  const last = inner?.next();
  const isOverChannels =
    moves(context.node, "0,2,3,1") &&
    inner?.node.op === "LayerNormalization" &&
    [-1, 3].includes(inner.int("axis", -1)) &&
    moves(last?.node, "0,3,1,2");
  if (!inner || !last || !isOverChannels)
    return context.refuse("it moves axes for another than a normalisation of channels");
  const [scale, shift] = [inner.required(1), inner.constant(2)];
  if (scale.dims.join() !== `${channels}`) inner.refuse(`its scale is [${scale.dims.join(", ")}]`);
  const rest = [inner.node, last.node];
  const epsilon = inner.float("epsilon", 1e-5);
  return {
    kind: "channelNormalization",
    ...context.base,
    output: last.output(),
    rest,
    scale,
    shift,
    epsilon,
  };
}

export const NORMALIZATION: Family<GroupNormalization | ChannelNormalization> = {
  read: {
    GroupNormalization: (context) => groupNormalization(context, context.int("num_groups", 0)),
    InstanceNormalization: (context) => groupNormalization(context, context.map().channels),
    Transpose: channelNormalization,
  },
  lower: {
    groupNormalization({ domain, size, coefficients }, { groups, scale, shift, epsilon, output }) {
      const { g, transforms } = domain;
      const [rows, columns] = grid(size);
      const perGroup = size.channels / groups;
      const reshaped = (x: string, ...shape: number[]) => g.node("Reshape", [x, g.ints([0, ...shape])]);
      const mean = transforms.mean(reshaped(coefficients, groups, perGroup * rows, columns, 64), size);
      const images = domain.constantImages(reshaped(mean, groups, 1, 1, 1, 1), size);
      const centred = g.node("Sub", [reshaped(coefficients, groups, perGroup, rows, columns, 64), images]);
      const table = transforms.shared("table", () => float32(transforms.table, [64]));
      const undivided = g.node("Mul", [centred, table]);
      const squares = reshaped(g.node("Mul", [undivided, undivided]), groups, -1);
      const n = g.floats([(64 * blockCount(size)) / pixelCount(size)], []);
      const variance = g.node("Mul", [g.node("GlobalAveragePool", [squares]), n], {}, "variance");
      const deviation = g.node("Sqrt", [g.node("Add", [variance, g.floats([epsilon], [])])]);
      const unit = g.node("Div", [centred, reshaped(deviation, groups, 1, 1, 1, 1)]);
      const normal = g.node("Reshape", [unit, domain.shape(size)], {}, "normal");
      return domain.map(domain.affine(normal, scale, shift, output), output);
    },
    channelNormalization({ domain, single }, { scale, shift, epsilon, output }) {
      const { g, transforms } = domain;
      const parameters = [scale, ...(shift ? [shift] : [])].map((value) => transforms.parameter("p", value));
      const last = g.node("Transpose", [single], { perm: [0, 2, 3, 4, 1] });
      const attributes = { axis: -1, epsilon: float(epsilon) };
      const y = g.node("LayerNormalization", [last, ...parameters], attributes);
      return domain.ofSingle(g.node("Transpose", [y], { perm: [0, 4, 1, 2, 3] }), output, false);
    },
  },
};
