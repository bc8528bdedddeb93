/** The inputs of converted models keep their names, even if the model uses these names. */

import { compress, encodeJpeg, readCoefficients } from "@jpeg-domain/coefficients";
import { fillPlanes, JPEG_INPUTS } from "@jpeg-domain/conversion";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { graphAttribute, readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32, type Graph } from "../packages/conversion/src/onnx/graph.js";
import { feedsOf } from "../packages/conversion/src/preprocess/feeds.js";
import type { Preprocess } from "../packages/conversion/src/preprocess/preprocess.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { largestDifference, uniform } from "./reference/arrays.js";

const RESERVED = [...JPEG_INPUTS, "coefficients"];
const PREPROCESS: Preprocess = {
  resize: { height: 16, width: 16 },
  resample: "bilinear",
  rescale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  channels: "rgb",
};

/** A network whose image, constants and values, also inside a branch, have the names of converted models' inputs. */
function network(image: string, output: string): Graph {
  const g = new GraphBuilder("names", 17);
  let x = g.input(image, "float32", ["N", 3, 16, 16]);
  const left = RESERVED.filter((name) => name !== image && name !== output);
  const name = () => left.pop() ?? "value";
  const weight = g.constant(name(), float32(uniform(7, 4 * 27, -0.3, 0.3), [4, 3, 3, 3]));
  x = g.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, name());
  x = g.node("Relu", [x], {}, name());
  const map = g.node("Mul", [x, g.constant(name(), float32([1.5]))], {}, name());
  const condition = g.constant(name(), { type: "bool", dims: [], data: Uint8Array.of(1) });
  const inner = new GraphBuilder("branch");
  inner.output(
    inner.node("Neg", [inner.node("Abs", [map], {}, name())]),
    "of the branch",
    "float32",
    undefined,
  );
  const branch = inner.build();
  const branches = {
    then_branch: graphAttribute("then_branch", branch),
    else_branch: graphAttribute("else_branch", branch),
  };
  const chosen = g.node("If", [condition], branches, name());
  g.output(g.node("Add", [chosen, x], {}, name()), output, "float32", ["N", 4, 16, 16]);
  return readOnnx(writeOnnx(g.build()));
}

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Float32Array> {
  const session = await openSession(graph);
  const results = await session.run(feeds);
  await session.release();
  return results[session.outputNames[0] as string]?.data as Float32Array;
}

describe.each(["image", "y", "coefficients"])("a model whose image is called %s", (image) => {
  test.each(["fused", "blockwise"] as const)(
    "takes JPEG files by the documented names, plan %s",
    async (plan) => {
      const model = network(image, "out");
      const planes = [0, 1, 2].map((seed) => uniform(seed + 3, 40 * 24, 0, 255));
      const jpeg = encodeJpeg({ width: 40, height: 24, colorSpace: "ycbcr", planes }, { quality: 90 });
      const { graph, renamed } = convertGraph(model, { plan, input: "jpeg", preprocess: PREPROCESS });
      expect(renamed).toBeUndefined();
      expect(graph.inputs.map(({ name }) => name)).toEqual(JPEG_INPUTS);
      expect(graph.outputs.map(({ name }) => name)).toEqual(["out"]);
      const filled = new Float32Array(3 * 16 * 16);
      fillPlanes(jpeg, PREPROCESS, { channels: 3, height: 16, width: 16 }, filled);
      const expected = await run(model, { [image]: new Tensor("float32", filled, [1, 3, 16, 16]) });
      const found = await run(graph, feedsOf(readCoefficients(jpeg), PREPROCESS, Tensor));
      // Both forms of the preprocessing agree up to rounding to bytes.
      expect(largestDifference(found, expected)).toBeLessThan(0.1);
    },
  );

  test.each(["fused", "blockwise"] as const)("takes planes by the documented name, plan %s", async (plan) => {
    const model = network(image, "out");
    const planes = uniform(11, 2 * 3 * 16 * 16, -1, 1);
    const { graph } = convertGraph(model, { plan });
    expect(graph.inputs.map(({ name }) => name)).toEqual(["coefficients"]);
    const { data, shape } = compress(planes, [2, 3, 16, 16]);
    const expected = await run(model, { [image]: new Tensor("float32", planes, [2, 3, 16, 16]) });
    const found = await run(graph, { coefficients: new Tensor("float32", data, shape) });
    expect(largestDifference(found, expected)).toBeLessThan(1e-4);
  });
});

describe("an output with the name of a converted model's input", () => {
  test.each([...JPEG_INPUTS])("%s is renamed, and this is reported", (name) => {
    const { graph, renamed } = convertGraph(network("image", name), {
      input: "jpeg",
      preprocess: PREPROCESS,
    });
    expect(graph.inputs.map((input) => input.name)).toEqual(JPEG_INPUTS);
    expect(graph.outputs.map((output) => output.name)).toEqual([`${name}_output`]);
    expect([...(renamed ?? [])]).toEqual([[name, `${name}_output`]]);
  });

  test("keeps its name if the model takes planes", () => {
    const { graph, renamed } = convertGraph(network("image", "y"));
    expect(graph.outputs.map(({ name }) => name)).toEqual(["y"]);
    expect(renamed).toBeUndefined();
  });
});
