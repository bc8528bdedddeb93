/** A network that takes the coefficients of JPEG files: the nodes of preprocessing, then those of the network. */

import { C } from "@jpeg-domain/coefficients/tensors";
import { GraphBuilder, makeNode } from "../onnx/builder.js";
import { type Dimension, float32, type Graph, int64, type Node } from "../onnx/graph.js";
import { freshNames } from "../onnx/subgraph.js";
import { planesGraph } from "../preprocess/graph/planes.js";
import type { Preprocess } from "../preprocess/preprocess.js";
import { ConvertError } from "./errors.js";
import { planeSize } from "./plane-size.js";

/** The network after preprocessing. */
export interface Behind {
  graph: Graph;
  /** Its input: planes `[N, C, H, W]`, or, with `table`, the coefficient tensor `[N, C, X, Y, 64]` of them. */
  input: string;
  table?: ArrayLike<number>;
  batch: Dimension;
  channels: number;
  height: Dimension;
  width: Dimension;
}

export interface Entered {
  graph: Graph;
  /** The value that holds the planes `[1, C, H, W]`. */
  planes: string;
  height: number;
  width: number;
}

/** The first opset whose operators mean what preprocessing needs. */
const OLDEST_OPSET = 9;

/**
 * Puts the preprocessing before a network. The graph then takes one file in each call, with the inputs that
 * ../preprocess/graph/planes.ts lists.
 * @throws {ConvertError} if preprocessing and network do not fit
 */
export function enterJpeg(behind: Behind, preprocess: Preprocess): Entered {
  const { graph: network, input, table } = behind;
  const opset = network.opsets.get("") ?? 0;
  if (opset < OLDEST_OPSET)
    throw new ConvertError(
      `input jpeg needs a model of opset ${OLDEST_OPSET} or later; this one has ${opset}`,
    );
  if (typeof behind.batch === "number" && behind.batch !== 1)
    throw new ConvertError(
      `input jpeg takes one file in each call; the model's batch is fixed to ${behind.batch}`,
    );
  const others = network.inputs.filter(({ name }) => name !== input);
  const { channels, height, width } = planeSize(behind, preprocess);

  const g = new GraphBuilder(network.name, opset, undefined, freshNames(network));
  const flat = planesGraph(g, preprocess, { height, width });
  const planes = table === undefined ? input : g.unique("planes");
  const last = (inputs: string[], shape: number[], output: string): Node =>
    makeNode("Reshape", [inputs[0] as string, g.ints(shape)], [output], {});
  const nodes = [last([flat], [1, channels, height, width], planes)];
  if (table !== undefined) {
    // J of transform/tensors.ts, one block at a time.
    g.graph.nodes.push(...nodes.splice(0));
    const [x, y] = [Math.ceil(height / 8), Math.ceil(width / 8)];
    const padded = pad(
      g,
      pad(g, planes, [1, channels, 8 * x - height, width], 2),
      [1, channels, 8 * x, 8 * y - width],
      3,
    );
    const grid = g.node("Reshape", [padded, g.ints([channels, x, 8, y, 8])]);
    const blocks = g.node("Transpose", [grid], { perm: [0, 1, 3, 2, 4] });
    const rows = g.node("Reshape", [blocks, g.ints([channels * x * y, 64])]);
    const coefficients = g.node("MatMul", [rows, g.constant("compress", float32(C(table).data, [64, 64]))]);
    nodes.push(last([coefficients], [1, channels, x, y, 64], input));
  }
  const before = g.build();
  return {
    planes,
    height,
    width,
    graph: {
      ...network,
      inputs: [...before.inputs, ...others],
      initializers: new Map([...before.initializers, ...network.initializers]),
      nodes: [...before.nodes, ...nodes, ...network.nodes],
    },
  };
}

/** Zeros after the end of `axis`. */
function pad(g: GraphBuilder, value: string, shape: number[], axis: number): string {
  if (shape[axis] === 0) return value;
  const zeros = g.node("ConstantOfShape", [g.constant("beyond", int64(shape))]);
  return g.node("Concat", [value, zeros], { axis });
}
