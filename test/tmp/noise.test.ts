import { readFileSync } from "node:fs";
import { Tensor } from "onnxruntime-node";
import { openSession } from "/work/blockwise/src/runtime/session.js";
import { test } from "vitest";
const npy = (f: string) => { const b = readFileSync(f); const h = b.readUInt16LE(8); return new Float32Array(b.buffer.slice(b.byteOffset + 10 + h, b.byteOffset + b.length)); };
test("noise", async () => {
  for (const name of ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet18"]) {
    const x = npy(`/tmp/models-small/${name}.input.npy`), y = npy(`/tmp/models-small/${name}.logits.npy`);
    const n = x.length / (3 * 64 * 64);
    const s = await openSession(readFileSync(`/tmp/models-small/${name}.onnx`), { intraOpNumThreads: 1 });
    const z = (await s.run({ [s.inputNames[0]!]: new Tensor("float32", x, [n, 3, 64, 64]) }))[s.outputNames[0]!]!.data as Float32Array;
    let d = 0, m = 0; for (let i = 0; i < y.length; i++) { d = Math.max(d, Math.abs(y[i]! - z[i]!)); m = Math.max(m, Math.abs(y[i]!)); }
    console.log(name, "ORT vs PyTorch", d / m);
  }
});
