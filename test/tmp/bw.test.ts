import { readFileSync } from "node:fs";
import { Tensor } from "onnxruntime-node";
import { test } from "vitest";
import { convertGraph } from "/work/blockwise/src/convert/convert.js";
import { readOnnx, writeOnnx } from "/work/blockwise/src/onnx/file.js";
import { openSession } from "/work/blockwise/src/runtime/session.js";
import { compress } from "/work/blockwise/src/transform/images.js";

const names = (process.env.MODELS ?? "resnet18").split(",");
const relu = process.env.ASM ? { asm: Number(process.env.ASM) } : ("exact" as const);
test("models", { timeout: 600000 }, async () => {
  for (const name of names) {
    try {
      const bytes = readFileSync(`${process.env.DIR ?? "/tmp/models-small"}/${name}.onnx`);
      const graph = readOnnx(bytes);
      const [, c, h, w] = graph.inputs[0]!.shape as number[];
      const [H, W] = [Math.ceil(h! / 8) * 8, Math.ceil(w! / 8) * 8];
      const n = 1;
      const padded = new Float32Array(n * c! * H * W);
      const plain = new Float32Array(n * c! * h! * w!);
      let seed = 1;
      const rnd = () => ((seed = (seed * 48271) % 2147483647) / 2147483647) * 4 - 2;
      for (let p = 0; p < n * c!; p++)
        for (let i = 0; i < H; i++)
          for (let j = 0; j < W; j++) {
            const v = rnd();
            padded[(p * H + i) * W + j] = v;
            if (i < h! && j < w!) plain[(p * h! + i) * w! + j] = v;
          }
      const t0 = Date.now();
      const { graph: made, report, cost } = convertGraph(graph, { plan: "blockwise", relu });
      const t1 = Date.now();
      const out = writeOnnx(made);
      const s = await openSession(bytes, { intraOpNumThreads: 1 });
      const a = (await s.run({ [s.inputNames[0]!]: new Tensor("float32", plain, [n, c!, h!, w!]) }))[
        s.outputNames[0]!
      ]!.data as Float32Array;
      await s.release();
      const t2 = Date.now();
      const s2 = await openSession(out, { intraOpNumThreads: 1 });
      const t3 = Date.now();
      const packed = compress(padded, [n, c!, H, W]);
      const b = (await s2.run({ coefficients: new Tensor("float32", packed.data, packed.shape) }))[
        s2.outputNames[0]!
      ]!.data as Float32Array;
      await s2.release();
      let d = 0,
        m = 0;
      for (let i = 0; i < a.length; i++) {
        d = Math.max(d, Math.abs(a[i]! - b[i]!));
        m = Math.max(m, Math.abs(a[i]!));
      }
      const inC = report.filter((r) => r.domain === "coefficients").length;
      const first = report.find((r) => r.domain === "pixels");
      const reasons = new Map<string, number>();
      for (const r of report.filter((r) => r.domain === "pixels")) {
        const k = `${r.op}: ${(r.reason ?? "").slice(0, 100)}`;
        reasons.set(k, (reasons.get(k) ?? 0) + 1);
      }
      console.log(
        name,
        `diff ${(d / m).toExponential(2)} (max ${m.toFixed(3)})`,
        `${inC} of ${report.length} on coefficients`,
        `MACs ${(cost.multiplyAdds / 1e6).toFixed(0)}M`,
        `largest ${(cost.largestOperatorBytes / 1e6).toFixed(1)}MB`,
        `file ${(out.length / 1e6).toFixed(1)} of ${(bytes.length / 1e6).toFixed(1)} MB convert ${t1 - t0} ms load ${t3 - t2} run ${Date.now() - t3}`,
        "\n  first:",
        first?.op,
        first?.node,
        (first?.reason ?? "").slice(0, 120),
        "\n  ",
        [...reasons].map(([k, v]) => `${v}x ${k}`).join("\n   "),
      );
    } catch (e) {
      console.log(name, "FAILED", (e as Error).message.slice(0, 300));
    }
  }
});
