import { readFileSync } from "node:fs";
import { Tensor } from "onnxruntime-node";
import { convertGraph } from "/work/blockwise/src/convert/convert.js";
import { readOnnx, writeOnnx } from "/work/blockwise/src/onnx/file.js";
import { openSession } from "/work/blockwise/src/runtime/session.js";
import { test } from "vitest";
test("perf", { timeout: 300000 }, async () => {
  for (const [dir, name] of [["/tmp/bw-models", "mobilenet_v2"], ["/tmp/models-small", "mobilenet_v2"], ["/tmp/models-small", "efficientnet_b0"], ["/work/blockwise/test/reference", "mnist-resnet-pytorch"]] as const) {
    const graph = readOnnx(readFileSync(`${dir}/${name}.onnx`));
    const res = [];
    for (const big of ["16e6", "1e6", "0"]) {
      process.env.BIG = big;
      const { graph: made, cost, report } = convertGraph(graph, { plan: "blockwise" });
      const t0 = performance.now();
      const s = await openSession(writeOnnx(made), { intraOpNumThreads: 1 });
      const load = performance.now() - t0;
      const shape = (made.inputs[0]!.shape as number[]).map((v) => (typeof v === "number" ? v : name.startsWith("mnist") ? 32 : 1));
      const x = new Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)).map(() => Math.random()), shape);
      await s.run({ coefficients: x });
      const ts = [];
      for (let i = 0; i < 7; i++) { const t = performance.now(); await s.run({ coefficients: x }); ts.push(performance.now() - t); }
      ts.sort((a, b) => a - b);
      const ways = new Map<string, number>();
      for (const r of report) { const w = (r.reason ?? "").split(" ")[0]!; if (/dense|fact|pointw|shared/.test(w)) ways.set(w, (ways.get(w) ?? 0) + 1); }
      res.push(`${big}: load ${load.toFixed(0)} run ${ts[3]!.toFixed(1)} MACs ${(cost.multiplyAdds / 1e6).toFixed(0)} ${[...ways].map((x) => x.join("=")).join(" ")}`);
      await s.release();
    }
    console.log(name, shape0(graph), "\n  " + res.join("\n  "));
  }
});
const shape0 = (g: any) => JSON.stringify(g.inputs[0].shape);
