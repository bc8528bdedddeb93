/**
 * The paper's figure: root mean square error of ASM and of APX against ReLU, for n = 0 … 14, on random 4x4 blocks in
 * [-1, 1] doubled to 8x8. Source: Ehrlich & Davis, ICCV 2019, section 4.2. Measured on the very graphs that
 * conversion makes, of a model that is one ReLU.
 */
import { Tensor } from "onnxruntime-node";
import { mersenne } from "pure-rand/generator/mersenne";
import { convertGraph } from "../convert/convert.js";
import type { Relu } from "../convert/options.js";
import { GraphBuilder } from "../onnx/builder.js";
import { openSession } from "../runtime/session.js";
import { compress } from "../transform/images.js";
import type { RmsePoint } from "./results.js";

/** Blocks in one run: small enough for the processor's caches. */
const CHUNK = 4000;

export interface ReluErrorOptions {
  /** Random blocks. Default a million. */
  blocks?: number;
  /** Default 0. */
  seed?: number;
  onProgress?: (done: number) => void;
}

/** How many graphs are measured: ASM and APX for each n. */
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
    const asm = await rmse({ asm: n }, pixels, coefficients);
    onProgress?.(2 * n + 1);
    const apx = await rmse({ apx: n }, pixels, coefficients);
    onProgress?.(2 * n + 2);
    points.push({ n, asm, apx });
  }
  return points;
}

async function rmse(relu: Relu, pixels: Float32Array, coefficients: Float32Array): Promise<number> {
  const session = await openSession(convertGraph(onlyRelu(), { relu }).graph);
  let sum = 0;
  for (let from = 0; from < pixels.length; from += 64 * CHUNK) {
    const part = coefficients.subarray(from, from + 64 * CHUNK);
    const input = new Tensor("float32", part, [part.length / 64, 1, 1, 1, 64]);
    const y = (await session.run({ coefficients: input })).y?.data as Float32Array;
    for (let i = 0; i < y.length; i++)
      sum += ((y[i] as number) - Math.max(0, pixels[from + i] as number)) ** 2;
  }
  await session.release();
  return Math.sqrt(sum / pixels.length);
}

function onlyRelu() {
  const g = new GraphBuilder("relu");
  const x = g.input("x", "float32", ["N", 1, 8, 8]);
  g.output(g.node("Relu", [x]), "y", "float32", ["N", 1, 8, 8]);
  return g.build();
}

/** `[count, 1, 8, 8]`: each of 4x4 values, uniform in [-1, 1], fills 2x2 pixels. */
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
