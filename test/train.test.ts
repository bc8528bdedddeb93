import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GraphBuilder } from "../packages/conversion/src/onnx/builder.js";
import { readOnnx, writeOnnx } from "../packages/conversion/src/onnx/file.js";
import { type Graph, volume } from "../packages/conversion/src/onnx/graph.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { resnet } from "../packages/training/src/networks/resnet.js";
import { ADAM, adam } from "../packages/training/src/train/adam.js";
import { CheckpointError, readCheckpoint } from "../packages/training/src/train/checkpoint.js";
import { evaluate } from "../packages/training/src/train/evaluate.js";
import {
  TRAINING,
  type TrainingHooks,
  type TrainingOptions,
  train,
} from "../packages/training/src/train/loop.js";
import { eachBatch, type Samples, shuffledOrder } from "../packages/training/src/train/samples.js";
import { openTrainer } from "../packages/training/src/train/trainer.js";
import { gradientGraph } from "../packages/training/src/train/training-graph.js";
import { lehmer } from "./reference/lehmer.js";
import reference from "./reference/train.json" with { type: "json" };

const uniform = (random: () => number, length: number, low: number, high: number) =>
  Float32Array.from({ length }, () => low + (high - low) * random());

/** The network and the batch of `train.py`. */
function referenceStep() {
  const random = lehmer(1);
  const net = resnet(0);
  const initializers = new Map(net.initializers);
  const names = Object.keys(reference.resnet.gradients);
  for (const name of names) {
    const dims = net.initializers.get(name)?.dims as number[];
    const bound = dims.length > 1 ? 1 / Math.sqrt(volume(dims.slice(1))) : 0.3;
    const centre = name.includes(".bn") && name.endsWith("weight") ? 1 : 0;
    initializers.set(name, {
      type: "float32",
      dims,
      data: uniform(random, volume(dims), centre - bound, centre + bound),
    });
  }
  const inputs = uniform(random, 3 * 1024, -0.5, 2.5);
  return { net: { ...net, initializers }, names, inputs, labels: BigInt64Array.of(7n, 2n, 1n) };
}

describe("the notebook's network", () => {
  test("is initialised as in PyTorch", () => {
    const { initializers } = resnet(3);
    for (const [name, { data, dims }] of initializers) {
      const values = Array.from(data as Float32Array);
      if (name.includes(".bn")) {
        const fill = /weight|var/.test(name) ? 1 : 0;
        expect(new Set(values), name).toEqual(new Set([fill]));
        continue;
      }
      const bound = 1 / Math.sqrt(name === "fc.bias" ? 64 : volume(dims.slice(1)));
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      expect(Math.max(...values.map(Math.abs)), name).toBeLessThanOrEqual(bound * 1.0000001);
      if (values.length > 100) expect(deviation / (bound / Math.sqrt(3)), name).toBeCloseTo(1, 0.5);
    }
    expect(resnet(3)).toEqual(resnet(3));
    expect(resnet(4)).not.toEqual(resnet(3));
  });

  test("has PyTorch's gradients, to 1e-4 of the largest of each tensor", async () => {
    const { net, names, inputs, labels } = referenceStep();
    const session = await openSession(gradientGraph(net));
    const results = await session.run({
      input: new Tensor("float32", inputs, [3, 1, 32, 32]),
      labels: new Tensor("int64", labels, [3]),
    });
    const { loss, logits, gradients } = reference.resnet;
    expect(results.loss?.data[0]).toBeCloseTo(loss, 5);
    for (const [i, value] of logits.entries()) expect(results.logits?.data[i]).toBeCloseTo(value, 4);
    for (const name of names) {
      const { step, values, largest } = gradients[name as keyof typeof gradients];
      const found = results[`d.${name}`]?.data as Float32Array;
      expect(Math.max(...found.map(Math.abs)), name).toBeCloseTo(largest, 3);
      for (const [i, value] of values.entries())
        expect(Math.abs((found[i * step] as number) - value) / largest, `${name}[${i * step}]`).toBeLessThan(
          1e-4,
        );
    }
    await session.release();
  });

  test("has PyTorch's loss and running statistics after a step", async () => {
    const { net, inputs, labels } = referenceStep();
    const trainer = await openTrainer(net, ADAM);
    expect((await trainer.step(inputs, labels, 1e-3)).loss).toBeCloseTo(reference.resnet.loss, 5);
    const model = trainer.model();
    for (const [name, values] of Object.entries(reference.resnet.running)) {
      const found = model.initializers.get(name)?.data as Float32Array;
      for (const [i, value] of values.entries())
        expect((found[i] as number) / value, name).toBeCloseTo(1, value === 0 ? 0 : 3);
    }
    await trainer.release();
  });

  test("does not change its input arrays, with any batch size", async () => {
    const { net, inputs, labels } = referenceStep();
    const trainer = await openTrainer(net, ADAM);
    const before = trainer.state();
    const [images, answers] = [inputs.slice(), labels.slice()];
    await trainer.step(images, answers, 1e-3);
    await trainer.step(images.subarray(0, 2048), answers.subarray(0, 2), 1e-3);
    expect(images).toEqual(inputs);
    expect(answers).toEqual(labels);
    expect(trainer.state().step).toBe(2);
    trainer.load(before);
    expect(trainer.state()).toEqual(before);
    await trainer.step(images, answers, 1e-3);
    expect(before).not.toEqual(trainer.state());
    expect(before.step).toBe(0);
    await trainer.release();
  });
});

test("Adam agrees with PyTorch's over five steps, with gradients from 0 to 10", async () => {
  const g = new GraphBuilder("adam", 17);
  const vector = (name: string) => g.input(name, "float32", [6]);
  const step = g.input("step", "float64", []);
  const state = {
    parameters: vector("parameters"),
    moment1: vector("moment1"),
    moment2: vector("moment2"),
    step,
  };
  const inputs = { gradient: vector("gradient"), learningRate: g.input("learningRate", "float64", []) };
  const next = adam(g, ADAM, state, inputs);
  for (const name of ["parameters", "moment1", "moment2"] as const)
    g.output(next[name], `next.${name}`, "float32", [6]);
  g.output(next.step, "next.step", "float64", []);
  const session = await openSession(g.build());

  const random = lehmer(2);
  const scales = [10, 1, 1e-2, 1e-5, 1e-9, 0].map(Math.fround);
  const tensor = (data: Float32Array) => new Tensor("float32", data, [6]);
  let feeds: Record<string, Tensor> = {
    parameters: tensor(uniform(random, 6, -1, 1)),
    moment1: tensor(new Float32Array(6)),
    moment2: tensor(new Float32Array(6)),
    step: new Tensor("float64", Float64Array.of(0), []),
  };
  for (const expected of reference.adam) {
    const gradient = uniform(random, 6, -1, 1).map((value, i) => value * (scales[i] as number));
    const learningRate = new Tensor("float64", Float64Array.of(1e-3), []);
    const results = await session.run({ ...feeds, gradient: tensor(gradient), learningRate });
    feeds = Object.fromEntries(Object.keys(feeds).map((name) => [name, results[`next.${name}`] as Tensor]));
    for (const [row, name] of ["parameters", "moment1", "moment2"].entries())
      for (const [i, value] of (expected[row] as number[]).entries()) {
        const found = feeds[name]?.data[i] as number;
        expect(Math.abs(found - value), `${name}[${i}]`).toBeLessThanOrEqual(2e-7 * Math.abs(value));
      }
  }
  await session.release();
});

/** Images of two classes, one with the top half bright and one with the bottom half; learnt in a few steps. */
function halves(count: number, seed: number): Samples {
  const random = lehmer(seed);
  const images = uniform(random, count * 1024, 0, 1);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  for (const [i, label] of labels.entries())
    for (let p = 0; p < 512; p++) images[i * 1024 + label * 512 + p] = 1 + random();
  return {
    name: `halves ${seed}`,
    count,
    dims: [1, 32, 32],
    classes: 2,
    fill(indices, inputs, answers) {
      for (const [n, i] of indices.entries()) {
        inputs.set(images.subarray(i * 1024, (i + 1) * 1024), n * 1024);
        answers[n] = BigInt(labels[i] as number);
      }
    },
  };
}

/** A network small enough to train in a test. */
function small(): Graph {
  const g = new GraphBuilder("small", 17);
  const random = lehmer(5);
  const weight = (name: string, dims: number[]) =>
    g.constant(name, { type: "float32", dims, data: uniform(random, volume(dims), -0.3, 0.3) });
  const fill = (name: string, value: number) =>
    g.constant(name, { type: "float32", dims: [4], data: new Float32Array(4).fill(value) });
  let x = g.input("input", "float32", ["N", 1, 32, 32]);
  x = g.node("Conv", [x, weight("conv.weight", [4, 1, 3, 3])], { strides: [2, 2], pads: [1, 1, 1, 1] });
  x = g.node("BatchNormalization", [x, fill("w", 1), fill("b", 0), fill("mean", 0), fill("var", 1)]);
  x = g.node("AveragePool", [g.node("Relu", [x])], { kernel_shape: [8, 8], strides: [8, 8] });
  x = g.node("Gemm", [g.node("Flatten", [x]), weight("fc.weight", [2, 16]), weight("fc.bias", [2])], {
    transB: 1,
  });
  g.output(x, "logits", "float32", ["N", 2]);
  return g.build();
}

describe("a training run", () => {
  // 70 images in batches of 16: the fifth batch of an epoch has 6.
  const data = { train: halves(70, 11), test: halves(40, 12) };
  const options = {
    ...TRAINING,
    epochs: 4,
    batch: 16,
    learningRate: 1e-2,
    schedule: "cosine",
    seed: 6,
  } as const;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jpeg-domain-train-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const run = (hooks: TrainingHooks = {}) => train(small(), data, options, hooks);
  const abortAt = (step: number) => {
    const controller = new AbortController();
    return {
      signal: controller.signal,
      onStep: (at: { step: number }) => void (at.step === step && controller.abort()),
    };
  };

  test("learns, and keeps its history", async () => {
    const epochs: number[] = [];
    const { model, history, finished, step, steps } = await run({
      onEpoch: ({ epoch }) => epochs.push(epoch),
    });
    expect({ finished, step, steps, epochs }).toEqual({
      finished: true,
      step: 20,
      steps: 20,
      epochs: [1, 2, 3, 4],
    });
    expect(history.map((entry) => entry.step)).toEqual([5, 10, 15, 20]);
    expect(history.at(-1)?.testAccuracy).toBeGreaterThan(0.9);
    expect(history.at(-1)?.loss).toBeLessThan((history[0]?.loss as number) / 2);
    const again = await evaluate(readOnnx(writeOnnx(model)), data.test, 7);
    expect(again.correct / again.total).toBe(history.at(-1)?.testAccuracy);
    expect(model.nodes.some(({ op }) => op === "BatchNormalization")).toBe(true);
  });

  test("gives the same bits again", async () => {
    const [one, two] = [await run(), await run()];
    expect(writeOnnx(one.model)).toEqual(writeOnnx(two.model));
    expect(one.history).toEqual(two.history);
    const other = await train(small(), data, { ...options, seed: 7 });
    expect(writeOnnx(other.model)).not.toEqual(writeOnnx(one.model));
  });

  test.each([
    ["before the first step", 0],
    ["within an epoch", 8],
    ["at the end of an epoch", 10],
  ])("stopped %s and resumed gives the same result as without stopping", async (_, stop) => {
    const checkpoint = join(folder, `stop-${stop}.onnx`);
    const whole = await run();
    const hooks = stop === 0 ? { signal: AbortSignal.abort() } : abortAt(stop);
    const part = await run({ checkpoint, ...hooks });
    expect(part).toMatchObject({ finished: false, step: stop });
    const starts: number[] = [];
    const rest = await run({ checkpoint, resume: true, onStart: ({ step }) => starts.push(step) });
    expect(starts).toEqual([stop]);
    expect(writeOnnx(rest.model)).toEqual(writeOnnx(whole.model));
    expect(rest.history).toEqual(whole.history);
  });

  test("at a constant rate can be extended", async () => {
    const checkpoint = join(folder, "longer.onnx");
    const constant = { ...options, schedule: "constant" } as const;
    await train(small(), data, { ...constant, epochs: 2 }, { checkpoint });
    const rest = await train(small(), data, constant, { checkpoint, resume: true });
    const whole = await train(small(), data, constant);
    expect(writeOnnx(rest.model)).toEqual(writeOnnx(whole.model));
  });

  test("leaves a checkpoint that is a model, and nothing else", async () => {
    const checkpoint = join(folder, "model.onnx");
    const { model } = await run({ checkpoint });
    expect(await evaluate(readOnnx(await readFile(checkpoint)), data.test)).toEqual(
      await evaluate(model, data.test),
    );
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("that fails keeps the last checkpoint", async () => {
    const checkpoint = join(folder, "kept.onnx");
    await run({ checkpoint, ...abortAt(7) });
    const before = await readFile(checkpoint);
    const fails = {
      onStep() {
        throw new Error("power cut");
      },
    };
    await expect(run({ checkpoint, resume: true, ...fails })).rejects.toThrow("power cut");
    expect(await readFile(checkpoint)).toEqual(before);
  });

  test.each([
    [
      "labels that the network has no logit for",
      { classes: 3 },
      /labels up to 2, but the network has 2 classes/,
    ],
    [
      "images of another size",
      { dims: [1, 28, 28] },
      /inputs \[1, 28, 28\], but the network takes \[1, 32, 32\]/,
    ],
  ])("refuses %s", async (_, change, message) => {
    await expect(train(small(), { ...data, test: { ...data.test, ...change } }, options)).rejects.toThrow(
      message,
    );
  });

  describe("refuses with one line a checkpoint that", () => {
    let checkpoint: string;
    let bytes: Buffer;
    beforeAll(async () => {
      checkpoint = join(folder, "refused.onnx");
      await run({ checkpoint, ...abortAt(3) });
      bytes = await readFile(checkpoint);
    });
    const resume = (change: Partial<TrainingOptions> = {}, net = small(), path = checkpoint) =>
      train(net, data, { ...options, ...change }, { checkpoint: path, resume: true });
    const refusal = async (attempt: Promise<unknown>) => {
      const error = await attempt.then(
        () => expect.fail("not refused"),
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toMatch(/^checkpoint \S+: [^\n]+$/);
      return (error as Error).message;
    };
    const damaged = async (name: string, content: Uint8Array) => {
      const path = join(folder, name);
      await writeFile(path, content);
      return refusal(resume({}, small(), path));
    };

    test("does not exist", async () => {
      expect(await refusal(resume({}, small(), join(folder, "none.onnx")))).toContain("no such file");
    });
    test("has other settings", async () => {
      expect(await refusal(resume({ batch: 8 }))).toContain("batch 16, but this run has batch 8");
      expect(await refusal(resume({ schedule: "constant" }))).toContain("this run has schedule constant");
      expect(await refusal(resume({ seed: 1 }))).toContain("seed 6, but this run has seed 1");
    });
    test("is of another network", async () => {
      expect(await refusal(resume({}, resnet(0)))).toContain("is of another network");
    });
    test("is cut off anywhere", async () => {
      for (let part = 0; part < 1; part += 0.0625)
        await damaged("cut.onnx", bytes.subarray(0, Math.floor(part * bytes.length)));
    });
    test("has a flipped bit in its numbers", async () => {
      const state = await readCheckpoint(
        checkpoint,
        {
          data: data.train.name,
          samples: 70,
          batch: 16,
          learningRate: 1e-2,
          schedule: "cosine over 20 steps",
          seed: 6,
        },
        (await openTrainer(small(), ADAM)).state(),
      );
      const place = bytes.indexOf(Buffer.from(state.state.moment2.buffer));
      expect(place).toBeGreaterThan(0);
      const turned = Uint8Array.from(bytes);
      turned[place + 5] = (turned[place + 5] as number) ^ 4;
      expect(await damaged("bit.onnx", turned)).toContain("do not match their checksum");
    });
    test("is damaged at any byte: flipped, missing, or doubled", async () => {
      const settings = {
        data: data.train.name,
        samples: 70,
        batch: 16,
        learningRate: 1e-2,
        schedule: "cosine over 20 steps",
        seed: 6,
      };
      const fresh = (await openTrainer(small(), ADAM)).state();
      const path = join(folder, "byte.onnx");
      const read = async (content: Uint8Array) => {
        await writeFile(path, content);
        return refusal((async () => readCheckpoint(path, settings, fresh))());
      };
      // All of the description, and steps of a prime through the rest.
      const [start, end] = [bytes.indexOf('{"version"'), bytes.indexOf("testAccuracy")];
      expect(start).toBeGreaterThan(0);
      const places = Array.from({ length: bytes.length }, (_, at) => at).filter(
        (at) => at % 211 === 0 || (at > start - 20 && at < Math.max(start + 400, end)),
      );
      for (const at of places) {
        const turned = Uint8Array.from(bytes);
        turned[at] = (turned[at] as number) ^ (1 << (at % 8));
        await read(turned);
      }
      for (const at of places.filter((_, i) => i % 10 === 0)) {
        await read(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]));
        await read(Buffer.concat([bytes.subarray(0, at + 1), bytes.subarray(at)]));
      }
      await read(Buffer.concat([bytes, Buffer.from([0x0a, 0x00])]));
    });
    test("is a model without training state", async () => {
      expect(await damaged("model-only.onnx", writeOnnx(small()))).toContain("without training state");
    });
  });
});

describe("samples", () => {
  test("come in an order that depends on seed and epoch", () => {
    const order = shuffledOrder(1000, 1, 1);
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(shuffledOrder(1000, 1, 1)).toEqual(order);
    for (const [seed, epoch] of [
      [1, 2],
      [2, 1],
      [0, 1],
    ] as const)
      expect(shuffledOrder(1000, seed, epoch)).not.toEqual(order);
    const meanShift = order.reduce((sum, to, from) => sum + Math.abs(to - from), 0) / 1000;
    expect(Math.abs(meanShift - 1000 / 3)).toBeLessThan(40);
  });

  test("come in batches, the last one smaller, from any batch on", () => {
    const samples = halves(10, 1);
    const order = shuffledOrder(10, 0, 1);
    const seen = Array.from(eachBatch(samples, order, 4), ({ labels }) => Array.from(labels, Number));
    expect(seen.map(({ length }) => length)).toEqual([4, 4, 2]);
    expect(seen.flat()).toEqual(Array.from(order, (i) => i % 2));
    expect(Array.from(eachBatch(samples, order, 4, 2), ({ inputs }) => inputs.length)).toEqual([2 * 1024]);
  });
});
