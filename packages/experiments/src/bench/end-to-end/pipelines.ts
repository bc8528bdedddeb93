/** Pipelines from a JPEG file's bytes to logits, one file at a time, in stages. */

import type { Preprocess } from "@jpeg-domain/conversion";
import { geometry } from "@jpeg-domain/conversion/internal";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import {
  type Fill,
  fillFromFile,
  type Network,
  openSession,
  type Pipeline,
  preprocessorFor,
} from "@jpeg-domain/node/internal";
import turbo from "@julusian/jpeg-turbo";
import { openBaseline } from "jpeg-domain/internal";
import { Tensor } from "onnxruntime-node";

/** Milliseconds. */
export interface Stages {
  /** Bytes to planes. */
  planes: number;
  network: number;
  total: number;
}

export interface FilePipeline {
  name: string;
  run(bytes: Uint8Array): Promise<Stages & { logits: Float32Array }>;
}

export const OURS = "jpeg-domain";
export const SHARP = "sharp";
export const TURBO = "@julusian/jpeg-turbo";

/** Ours, sharp and jpeg-turbo, all before the same session of the network. */
export async function filePipelines(network: Network, pipeline: Pipeline): Promise<FilePipeline[]> {
  const { preprocess, planes: size } = network;
  const sharp = await openBaseline();
  const resizer = await openResizer(preprocess);
  /** Times `decode` and `fill`, then the network. */
  async function timed<T>(decode: () => T | Promise<T>, fill: Fill<T>) {
    const start = performance.now();
    const decoded = await decode();
    let filled = 0;
    const [result] = await pipeline.run([decoded], (image: T, planes) => {
      const error = fill(image, planes);
      filled = performance.now();
      return error;
    });
    const end = performance.now();
    if (result?.error) throw result.error;
    const logits = Object.values(result?.outputs ?? {})[0]?.data as Float32Array;
    return { planes: filled - start, network: end - filled, total: end - start, logits };
  }
  const preprocessor = preprocessorFor(network);
  return [
    {
      name: OURS,
      run: (bytes) =>
        timed(
          () => bytes,
          (file, planes) => fillFromFile(file, preprocessor, network, planes),
        ),
    },
    {
      name: SHARP,
      run: (bytes) =>
        timed(
          () => sharp.decode(bytes, preprocess),
          (pixels, planes) => void sharp.normalize(pixels, preprocess, size, planes),
        ),
    },
    {
      name: TURBO,
      run: (bytes) =>
        timed(
          () => resizer(bytes),
          (made, planes) => void planes.set(made),
        ),
    },
  ];
}

/**
 * From jpeg-turbo's pixels `[H, W, 3]` to planes, in ONNX Runtime: Transpose, antialiased Resize (on integers, as in PIL),
 * Slice, Cast, Mul, Sub. The sizes are inputs, because they depend on the file.
 */
async function openResizer(preprocess: Preprocess): Promise<(bytes: Uint8Array) => Promise<Float32Array>> {
  const g = new GraphBuilder("resize and normalise", 18);
  const pixels = g.input("pixels", "uint8", ["height", "width", 3]);
  const sizes = g.input("sizes", "int64", [4]);
  const starts = g.input("starts", "int64", [2]);
  const ends = g.input("ends", "int64", [2]);
  const planar = g.node("Unsqueeze", [g.node("Transpose", [pixels], { perm: [2, 0, 1] }), g.ints([0])]);
  const resized = g.node("Resize", [planar, "", "", sizes], { mode: "linear", antialias: 1 });
  const cropped = g.node("Slice", [resized, starts, ends, g.ints([2, 3])]);
  // Cast to float32.
  const values = g.node("Cast", [cropped], { to: 1 });
  const { rescale, mean, std } = preprocess;
  const perChannel = (of: (c: number) => number) => g.floats([0, 1, 2].map(of), [1, 3, 1, 1]);
  const scaled = g.node("Mul", [values, perChannel((c) => rescale / (std[c] as number))]);
  const planes = g.node("Sub", [scaled, perChannel((c) => (mean[c] as number) / (std[c] as number))]);
  g.output(planes, "planes", "float32", [1, 3, "rows", "columns"]);
  const session = await openSession(g.build());
  const int64 = (...values: number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
  return async (bytes) => {
    const file = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    const { width, height, data } = turbo.decompressSync(file, { format: turbo.FORMAT_RGB });
    const { resized: to, crop } = geometry(preprocess, { width, height });
    const made = await session.run({
      pixels: new Tensor("uint8", data, [height, width, 3]),
      sizes: int64(1, 3, to.height, to.width),
      starts: int64(crop.top, crop.left),
      ends: int64(crop.top + crop.height, crop.left + crop.width),
    });
    return made.planes?.data as Float32Array;
  };
}
