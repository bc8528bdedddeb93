/**
 * The paper's figure: the error of ASM and of APX against ReLU for n = 0 … 14, on random 4x4 blocks in [-1, 1] doubled
 * to 8x8. Source: Ehrlich & Davis, ICCV 2019, section 4.2. The error of a block is the root of the mean square over its
 * pixels; the figure shows its mean over all blocks. It is measured on the graphs that `convert` makes from a model with
 * a single ReLU.
 */

import { compress } from "@jpeg-domain/coefficients";
import { convertGraph, type Graph, type Relu } from "@jpeg-domain/conversion";
import { makeNode } from "@jpeg-domain/conversion/internal";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { openSession } from "@jpeg-domain/node/internal";
import { Tensor } from "onnxruntime-node";
import { mersenne } from "pure-rand/generator/mersenne";
import type { RmsePoint } from "./results.js";

/** Blocks per run: few enough for the processor's caches. */
const CHUNK = 4000;

export interface ReluErrorOptions {
  /** Random blocks. Default one million. */
  blocks?: number;
  /** Default 0. */
  seed?: number;
  onProgress?: (done: number) => void;
}

/** The number of graphs that are measured: ASM and APX for each n. */
export const RELU_GRAPHS = 30;

export async function reluErrors({
  blocks = 1e6,
  seed = 0,
  onProgress,
}: ReluErrorOptions = {}): Promise<RmsePoint[]> {
  const pixels = randomBlocks(blocks, seed);
  const { data: coefficients } = compress(pixels, [blocks, 1, 8, 8]);
  const points: RmsePoint[] = [];
  for (let n = 0; n <= 14; n++) {
    const asm = await meanError({ asm: n }, pixels, coefficients);
    onProgress?.(2 * n + 1);
    const apx = await meanError({ apx: n }, pixels, coefficients);
    onProgress?.(2 * n + 2);
    points.push({ n, asm, apx });
  }
  return points;
}

async function meanError(relu: Relu, pixels: Float32Array, coefficients: Float32Array): Promise<number> {
  const session = await openSession(errorGraph(relu));
  let sum = 0;
  for (let from = 0; from < pixels.length; from += 64 * CHUNK) {
    const [x, k] = [pixels, coefficients].map((all) => all.subarray(from, from + 64 * CHUNK)) as [
      Float32Array,
      Float32Array,
    ];
    const { error } = await session.run({
      coefficients: new Tensor("float32", k, [k.length / 64, 1, 1, 1, 64]),
      image: new Tensor("float32", x, [x.length / 64, 1, 8, 8]),
    });
    sum += error?.data[0] as number;
  }
  await session.release();
  return sum / (pixels.length / 64);
}

/** Compares a converted ReLU with the ReLU of `image`: gives the sum over blocks of sqrt(mean((y - relu(x))²)). */
function errorGraph(relu: Relu): Graph {
  const { graph } = convertGraph(onlyRelu(), { relu });
  const steps: [
    op: string,
    inputs: string[],
    output: string,
    attributes?: Record<string, number | number[]>,
  ][] = [
    ["Relu", ["image"], "wanted"],
    ["Sub", ["y", "wanted"], "difference"],
    ["Mul", ["difference", "difference"], "square"],
    ["ReduceMean", ["square"], "mean", { axes: [1, 2, 3] }],
    ["Sqrt", ["mean"], "root"],
    ["ReduceSum", ["root"], "error", { keepdims: 0 }],
  ];
  for (const [op, inputs, output, attributes = {}] of steps)
    graph.nodes.push(makeNode(op, inputs, [output], attributes));
  graph.inputs.push({ name: "image", type: "float32", shape: ["N", 1, 8, 8] });
  graph.outputs = [{ name: "error", type: "float32", shape: [] }];
  return graph;
}

function onlyRelu(): Graph {
  const g = new GraphBuilder("relu");
  const x = g.input("x", "float32", ["N", 1, 8, 8]);
  g.output(g.node("Relu", [x]), "y", "float32", ["N", 1, 8, 8]);
  return g.build();
}

/** `[count, 1, 8, 8]`: 4x4 values, uniform in [-1, 1], each of which fills 2x2 pixels. */
function randomBlocks(count: number, seed: number): Float32Array {
  const random = mersenne(seed);
  const pixels = new Float32Array(64 * count);
  for (let block = 0; block < pixels.length; block += 64)
    for (let i = 0; i < 8; i += 2)
      for (let j = 0; j < 8; j += 2) {
        const value = random.next() / 2 ** 31;
        const at = block + 8 * i + j;
        pixels[at] = pixels[at + 1] = pixels[at + 8] = pixels[at + 9] = value;
      }
  return pixels;
}
