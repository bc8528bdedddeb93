import fc from "fast-check";
import { mkdirSync, writeFileSync } from "node:fs";
import { Tensor } from "onnxruntime-node";
import { test, expect } from "vitest";
import { convertGraph } from "../../src/convert/convert.js";
import { writeOnnx } from "../../src/onnx/file.js";
import { decompress } from "../../src/transform/images.js";
import { openSession } from "../../src/runtime/session.js";
import { buildMaps, mapRecipes } from "../reference/random-maps.js";
test("asm runs, checker", { timeout: 300000 }, async () => {
  mkdirSync("/tmp/bw-check", { recursive: true });
  let i = 0;
  for (const r of fc.sample(mapRecipes, { numRuns: 60, seed: 99 })) {
    const g = buildMaps(r);
    for (const relu of ["exact", { asm: 6 }, { apx: 4 }] as const) {
      const { graph, report, cost } = convertGraph(g, { plan: "blockwise", relu });
      const bytes = writeOnnx(graph);
      if (i < 60) writeFileSync(`/tmp/bw-check/${i++}.onnx`, bytes);
      const s = await openSession(bytes, { intraOpNumThreads: 1 });
      const one = (n: number, x: Float32Array) => s.run({ coefficients: new Tensor("float32", x, [n, ...(graph.inputs[0]!.shape!.slice(1) as number[])]) });
      const len = (graph.inputs[0]!.shape!.slice(1) as number[]).reduce((a, b) => a * b);
      const x = new Float32Array(2 * len).map((_, k) => Math.sin(k * 1.7));
      const both = (await one(2, x)).y!.data as Float32Array;
      const a = (await one(1, x.slice(0, len))).y!.data as Float32Array;
      const [c, X, Y] = graph.inputs[0]!.shape!.slice(1) as number[];
      const px = decompress({ data: x.slice(0, len), shape: [1, c!, X!, Y!, 64] }).data;
      const [, , h, w] = g.inputs[0]!.shape as number[];
      const crop = new Float32Array(c! * h! * w!).map((_, at) => px[(Math.floor(at / (h! * w!)) * X! * 8 + (Math.floor(at / w!) % h!)) * Y! * 8 + (at % w!)]!);
      if (relu === "exact") {
        const t = await openSession(writeOnnx(g), { intraOpNumThreads: 1 });
        const want = (await t.run({ image: new Tensor("float32", crop, [1, c!, h!, w!]) })).y!.data as Float32Array;
        const bad = want.findIndex((v) => !Number.isFinite(v));
        if (bad >= 0) { console.log("spatial itself not finite", g.nodes.map((n) => n.op).join()); continue; }
        let dd = 0, mm = 1e-9; want.forEach((v, k) => { dd = Math.max(dd, Math.abs(v - a[k]!)); mm = Math.max(mm, Math.abs(v)); });
        if (!(dd / mm < 1e-4)) console.log("DIFF", dd / mm, g.nodes.map((n) => n.op).join());
      }
      let m = 1, d = 0;
      for (let k = 0; k < a.length; k++) { m = Math.max(m, Math.abs(a[k]!)); d = Math.max(d, Math.abs(a[k]! - both[k]!)); if (relu === "exact" && !Number.isFinite(a[k]!)) throw new Error(g.nodes.map((n) => n.op).join() + " not finite " + a[k] + " " + JSON.stringify(r)); }
      if (d / m > 1e-4) console.log("batch differs", d / m, JSON.stringify(relu), JSON.stringify(r).slice(0, 300));
      await s.release();
    }
  }
});
