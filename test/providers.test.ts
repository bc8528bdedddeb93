/**
 * A model on an execution provider other than the CPU: WebGPU, with the software implementation of Vulkan in Debian's
 * chromium. Threads then make the planes, and the network runs on the calling thread.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { float32 } from "../packages/conversion/src/onnx/graph.js";
import { mnistJpegs } from "./runtime-material.js";

const CHROMIUM = "/usr/lib/chromium";
const BUILT = new URL("../packages/cli/dist/index.js", import.meta.url);
const hasVulkan =
  existsSync(`${CHROMIUM}/vk_swiftshader_icd.json`) && existsSync(`${CHROMIUM}/libvulkan.so.1`);

/** Opens the model on both providers, and prints the first one's outputs and the second one's difference from them. */
const SCRIPT = `
const [, built, model, ...files] = process.argv;
const { loadModel } = await import(built);
const answers = async (executionProviders) => {
  const opened = await loadModel(model, { executionProviders, threads: 2, batch: 4 });
  const all = [];
  for await (const { outputs, error } of opened.stream(files)) {
    if (error) throw error;
    all.push(...outputs.logits.data);
  }
  await opened.close();
  return all;
};
const expected = await answers(["cpu"]);
const found = await answers(["webgpu"]);
console.log(JSON.stringify({ expected, found }));
`;

/** Few operators, because the software takes seconds to compile each. */
function network(): Uint8Array {
  const g = new GraphBuilder("small", 17);
  const weights = (dims: number[]) =>
    g.constant(
      "weight",
      float32(
        Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(7 * i + 1)),
        dims,
      ),
    );
  const x = g.input("image", "float32", ["N", 1, 32, 32]);
  const convolved = g.node("Conv", [x, weights([16, 1, 3, 3])], { kernel_shape: [3, 3], strides: [2, 2] });
  const mean = g.node("GlobalAveragePool", [g.node("Relu", [convolved])]);
  const logits = g.node("Gemm", [g.node("Flatten", [mean]), weights([16, 10])]);
  g.output(logits, "logits", "float32", ["N", 10]);
  return writeOnnx(g.build());
}

test.skipIf(!hasVulkan)("WebGPU gives the CPU's outputs, with planes from worker threads", async () => {
  const folder = await mkdtemp(join(tmpdir(), "jpeg-domain-webgpu-"));
  const model = join(folder, "model.onnx");
  await writeFile(model, network());
  const { files } = await mnistJpegs(24, 90);
  const paths = files.map((_, i) => join(folder, `${i}.jpg`));
  await Promise.all(files.map((file, i) => writeFile(paths[i] as string, file)));
  const child = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", SCRIPT, BUILT.href, model, ...paths],
    {
      encoding: "utf8",
      env: {
        ...process.env,
        VK_ICD_FILENAMES: `${CHROMIUM}/vk_swiftshader_icd.json`,
        LD_LIBRARY_PATH: CHROMIUM,
      },
    },
  );
  await rm(folder, { recursive: true });
  expect(child.status, child.stderr).toBe(0);
  const { expected, found } = JSON.parse(child.stdout) as { expected: number[]; found: number[] };
  expect(found).toHaveLength(10 * files.length);
  const largest = Math.max(...expected.map(Math.abs));
  for (const [i, value] of expected.entries())
    expect(Math.abs((found[i] as number) - value)).toBeLessThanOrEqual(1e-4 * largest);
});
