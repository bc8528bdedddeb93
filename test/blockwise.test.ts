import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { convertGraph } from "../src/convert/convert.js";
import type { ConvertOptions } from "../src/convert/options.js";
import { float, GraphBuilder } from "../src/onnx/builder.js";
import { writeOnnx } from "../src/onnx/file.js";
import { float32, type Graph, volume } from "../src/onnx/graph.js";
import { openSession } from "../src/runtime/session.js";
import { compress } from "../src/transform/images.js";
import { D_n } from "../src/transform/tensors.js";
import { largestDifference, uniform } from "./reference/arrays.js";
import { buildMaps, mapRecipes } from "./reference/random-maps.js";

const ONE_THREAD = { intraOpNumThreads: 1 };

async function run(model: Graph, data: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await openSession(writeOnnx(model), ONE_THREAD);
  const feeds = { [session.inputNames[0] as string]: new Tensor("float32", data, shape) };
  const result = (await session.run(feeds))[session.outputNames[0] as string] as Tensor;
  await session.release();
  return result.data as Float32Array;
}

const wholeBlocks = (length: number) => 8 * Math.ceil(length / 8);

/** Planes `[…, H, W]` in whole blocks, with `beyond` outside the image. */
function padded(planes: Float32Array, [n, c, height, width]: number[], beyond: () => number) {
  const [H, W] = [wholeBlocks(height as number), wholeBlocks(width as number)];
  const shape = [n as number, c as number, H, W];
  const data = Float32Array.from({ length: volume(shape) }, (_, at) => {
    const [plane, s, r] = [Math.floor(at / (H * W)), Math.floor(at / W) % H, at % W];
    const inside = s < (height as number) && r < (width as number);
    return inside ? (planes[(plane * (height as number) + s) * (width as number) + r] as number) : beyond();
  });
  return { data, shape };
}

/** The outputs of a network converted by plan `blockwise`, and where its nodes went. */
async function converted(graph: Graph, planes: Float32Array, shape: number[], options: ConvertOptions = {}) {
  const { graph: made, report } = convertGraph(graph, { ...options, plan: "blockwise" });
  // What stands in the last blocks beyond the image must not matter.
  const whole = padded(planes, shape, () => 3);
  const packed = compress(whole.data, whole.shape, options.table ? { table: options.table } : {});
  return { data: await run(made, packed.data, packed.shape), report };
}

/** Why what follows a mean, or another tensor that is no feature map, is not on coefficients. */
const AFTER = "it works on what is no longer a feature map";

const imageShape = (graph: Graph, batch: number) => [
  batch,
  ...((graph.inputs[0]?.shape ?? []).slice(1) as number[]),
];

describe("random networks over maps of any side", () => {
  const tables = fc.constantFrom(
    undefined,
    Array.from({ length: 64 }, (_, k) => 3 + ((k * 29) % 60)),
  );

  test("have the outputs of the spatial ones, and stay on coefficients", { timeout: 300_000 }, () =>
    fc.assert(
      fc.asyncProperty(mapRecipes, fc.constantFrom(1, 3), tables, async (recipe, batch, table) => {
        const graph = buildMaps(recipe);
        const shape = imageShape(graph, batch);
        const planes = uniform(77, volume(shape), -2, 2);
        const expected = await run(graph, planes, shape);
        const { data, report } = await converted(graph, planes, shape, table ? { table } : {});
        expect(data.length).toBe(expected.length);
        const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        expect(largestDifference(data, expected) / scale).toBeLessThanOrEqual(5e-5);
        const left = report.filter(({ domain, reason }) => domain === "pixels" && reason !== AFTER);
        expect(left.map(({ op }) => op)).toEqual(recipe.ending === "flatten" ? ["Flatten"] : []);
      }),
      { numRuns: Number(process.env.RUNS ?? 150), seed: Number(process.env.SEED ?? 1957) },
    ),
  );
});
