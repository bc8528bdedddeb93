import { readFileSync } from "node:fs";
import { Tensor } from "onnxruntime-node";
import { openSession } from "/work/blockwise/src/runtime/session.js";
import { test } from "vitest";
test("perf", { timeout: 300000 }, async () => {
  for (const round of [0, 1]) for (const root of ["/work/models", "/work/blockwise"]) {
    const { convertGraph } = await import(`${root}/src/convert/convert.ts`);
    const { readOnnx, writeOnnx } = await import(`${root}/src/onnx/file.ts`);
    const graph = readOnnx(readFileSync(`/work/blockwise/models/mnist-resnet.onnx`));
    for (const relu of ["exact", { asm: 10 }]) {
      const { graph: made, cost } = convertGraph(graph, { plan: "blockwise", relu });
      const s = await openSession(writeOnnx(made), { intraOpNumThreads: 1 });
      const shape = [64, 1, 4, 4, 64];
      const x = new Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)).map(() => Math.random()), shape);
      await s.run({ coefficients: x });
      const ts = [];
      for (let i = 0; i < 9; i++) { const t = performance.now(); await s.run({ coefficients: x }); ts.push(performance.now() - t); }
      ts.sort((a, b) => a - b);
      console.log(round, root, JSON.stringify(relu), `run ${ts[4]!.toFixed(1)} MACs ${(cost.multiplyAdds / 1e6).toFixed(1)}`);
      await s.release();
    }
  }
});
