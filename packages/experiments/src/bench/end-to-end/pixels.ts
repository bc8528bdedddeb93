/** Compares the pixels that a network gets at full size with libjpeg-turbo's `djpeg -dct int`. */
import { execFileSync } from "node:child_process";
import { readCoefficients } from "@jpeg-domain/coefficients";
import { type Area, convertGraph, feedsOf, fillPlanes, type Preprocess } from "@jpeg-domain/conversion";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { openSession } from "@jpeg-domain/node/internal";
import { Tensor } from "onnxruntime-node";
import type { Photograph } from "./material.js";

/** In levels of 0 to 255. */
export interface Difference {
  mean: number;
  largest: number;
}

/** Over all photographs of one sampling and quality. */
export interface PixelRow {
  sampling: string;
  quality: number;
  files: number;
  webAssembly: Difference;
  graph: Difference;
}

/** Both forms of the preprocessing. */
export const FORMS = ["webAssembly", "graph"] as const;

type Planes = (bytes: Uint8Array) => Float32Array | Promise<Float32Array>;

/** Pixels as they are. */
const PLAIN: Preprocess = {
  resample: "bilinear",
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  channels: "rgb",
};

/** Compares photographs, all of one size, by sampling and quality. */
export async function comparePixels(photographs: Photograph[], size: Area): Promise<PixelRow[]> {
  const graph = await openGraph(size);
  const rows: PixelRow[] = [];
  for (const files of groups(photographs)) {
    const { sampling, quality } = files[0] as Photograph;
    const webAssembly = await differenceOf(files, (bytes) => {
      const planes = new Float32Array(3 * size.height * size.width);
      fillPlanes(bytes, PLAIN, { channels: 3, ...size }, planes);
      return planes;
    });
    const byGraph = await differenceOf(files, graph.planes);
    rows.push({ sampling, quality, files: files.length, webAssembly, graph: byGraph });
  }
  await graph.close();
  return rows;
}

function groups(photographs: Photograph[]): Photograph[][] {
  const all = new Map<string, Photograph[]>();
  for (const photograph of photographs) {
    const key = `${photograph.sampling} ${photograph.quality}`;
    all.set(key, [...(all.get(key) ?? []), photograph]);
  }
  return [...all.values()];
}

/** The preprocessing as nodes of a graph, before an identity network. */
async function openGraph({ height, width }: Area): Promise<{ planes: Planes; close(): Promise<void> }> {
  const g = new GraphBuilder("identity");
  const image = g.input("image", "float32", ["N", 3, height, width]);
  g.output(g.node("Identity", [image]), "planes", "float32", ["N", 3, height, width]);
  const session = await openSession(convertGraph(g.build(), { input: "jpeg", preprocess: PLAIN }).graph);
  return {
    planes: async (bytes) =>
      (await session.run(feedsOf(readCoefficients(bytes), PLAIN, Tensor))).planes?.data as Float32Array,
    close: () => session.release(),
  };
}

async function differenceOf(files: Photograph[], planes: Planes): Promise<Difference> {
  let [sum, count, largest] = [0, 0, 0];
  for (const { bytes } of files) {
    const [found, expected] = [await planes(bytes), djpeg(bytes)];
    if (found.length !== expected.length)
      throw new Error(`${found.length} samples, expected ${expected.length} as from djpeg`);
    for (const [i, value] of found.entries()) {
      const difference = Math.abs(value - (expected[i] as number));
      sum += difference;
      // Also true if a value is NaN.
      if (!(difference <= largest)) largest = difference;
    }
    count += found.length;
  }
  return { mean: sum / count, largest };
}

/** libjpeg-turbo's pixels as planes [3, H, W]; grey gives three equal planes. */
function djpeg(jpeg: Uint8Array): Uint8Array {
  const pnm = execFileSync("djpeg", ["-dct", "int"], { input: jpeg, maxBuffer: 2 ** 28 });
  const header = /^P([56])\s+(\d+)\s+(\d+)\s+255\s/.exec(pnm.toString("latin1", 0, 40));
  if (header === null) throw new Error("djpeg gave no PNM file");
  const channels = header[1] === "6" ? 3 : 1;
  const area = Number(header[2]) * Number(header[3]);
  const pixels = pnm.subarray(header[0].length);
  const planes = new Uint8Array(3 * area);
  for (let c = 0; c < 3; c++)
    for (let at = 0; at < area; at++)
      planes[c * area + at] = pixels[at * channels + (c % channels)] as number;
  return planes;
}
