import { readCoefficients } from "@jpeg-domain/coefficients";
import type { Graph } from "@jpeg-domain/conversion";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { Tensor } from "onnxruntime-node";
import { convertGraph } from "../../packages/conversion/src/convert/convert.js";
import { feedsOf } from "../../packages/conversion/src/preprocess/feeds.js";
import {
  type Area,
  channelCount,
  type Preprocess,
} from "../../packages/conversion/src/preprocess/preprocess.js";
import { type FillOptions, fillPlanes } from "../../packages/conversion/src/preprocess/preprocessor.js";
import { openSession } from "../../packages/node/src/runtime/session.js";
import { cjpeg, testPicture } from "./tools.js";

export const SAMPLINGS: [name: string, args: string[]][] = [
  ["4:4:4", ["-sample", "1x1"]],
  ["4:2:2", ["-sample", "2x1"]],
  ["4:2:0", ["-sample", "2x2"]],
  ["4:4:0", ["-sample", "1x2"]],
  ["4:1:1", ["-sample", "4x1"]],
  ["grey", ["-grayscale"]],
];

export const jpegOf = (width: number, height: number, args: string[]) =>
  new Uint8Array(cjpeg(args, testPicture(width, height, 3).pnm));

/** A network that returns its input. */
export function identity(channels: number, { height, width }: Area, opset = 17): Graph {
  const g = new GraphBuilder("identity", opset);
  const x = g.input("image", "float32", ["N", channels, height, width]);
  g.output(g.node("Identity", [x]), "planes", "float32", ["N", channels, height, width]);
  return g.build();
}

export async function byGraph(
  jpegs: Uint8Array[],
  preprocess: Preprocess,
  size: Area,
  opset = 17,
): Promise<Float32Array[]> {
  const network = identity(channelCount(preprocess), size, opset);
  const { graph } = convertGraph(network, { input: "jpeg", preprocess });
  const session = await openSession(graph);
  const results: Float32Array[] = [];
  for (const jpeg of jpegs) {
    const { planes } = await session.run(feedsOf(readCoefficients(jpeg), preprocess, Tensor));
    results.push(planes?.data as Float32Array);
  }
  await session.release();
  return results;
}

export function filled(
  jpeg: Uint8Array,
  preprocess: Preprocess,
  size: Area,
  options: FillOptions = {},
): Float32Array {
  const channels = channelCount(preprocess);
  const out = new Float32Array(channels * size.height * size.width);
  fillPlanes(jpeg, preprocess, { channels, ...size }, out, options);
  return out;
}
