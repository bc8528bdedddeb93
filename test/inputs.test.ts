/** Models' inputs: images of every layout and type, and other inputs, through every API from file to output. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromHalf, toHalf } from "../packages/conversion/src/onnx/half.js";
import type * as Api from "./api.js";
import { importBuilt } from "./built.js";
import { picture } from "./runtime-material.js";
import { answers, planesOf, type Raw } from "./runtime-reference.js";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path("../packages/cli/dist/main.js");
/** A model in test/cases. The models of operator sets 8 and 23 are other files with a changed number. */
async function onnxCase(name: string): Promise<Uint8Array> {
  const neighbour = { opset8: "opset7", opset23: "opset22" }[name];
  if (neighbour === undefined) return readFile(path(`cases/onnx/${name}.onnx`));
  const graph = api.readOnnx(await onnxCase(neighbour));
  const irVersion = name === "opset23" ? 11 : 8;
  return api.writeOnnx({ ...graph, irVersion, opsets: new Map([["", Number(name.slice(5))]]) });
}

let api: typeof Api;
let folder: string;
beforeAll(async () => {
  api = await importBuilt();
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-inputs-"));
  await Promise.all(FILES.map((file, i) => writeFile(join(folder, `${i}.jpg`), file)));
});
afterAll(() => rm(folder, { recursive: true }));

const SIZE = { channels: 3, height: 32, width: 32 };
const FILES = [picture(40, 56), picture(90, 33, "4:4:4"), picture(64, 64, "4:2:2")];
/** Pixels as they are. */
const LEVELS: Api.Preprocess = {
  resize: { height: 32, width: 32 },
  resample: "bilinear",
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  channels: "rgb",
};
const NORMAL: Api.Preprocess = { ...LEVELS, rescale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };

type Made = [Uint8Array, Api.ModelOptions];
/** Every API that gives a model that takes files. */
const WAYS: [string, (bytes: Uint8Array, preprocess: Api.Preprocess, inputs?: Api.InputValues) => Made][] = [
  ["spatial", (bytes) => [bytes, {}]],
  ["on the fly, fused", (bytes) => [bytes, { plan: "fused" }]],
  ["on the fly, blockwise", (bytes) => [bytes, { plan: "blockwise" }]],
  ...(["fused", "blockwise"] as const).flatMap((plan) =>
    (["planes", "jpeg"] as const).map((input): (typeof WAYS)[number] => [
      `converted, ${plan}, ${input}`,
      (bytes, preprocess, inputs) => [
        api.convert(bytes, {
          plan,
          input,
          ...(input === "jpeg" && { preprocess }),
          ...(inputs && { inputs }),
        }),
        {},
      ],
    ]),
  ),
];

async function run(model: Api.JpegModel): Promise<Api.Outputs[]> {
  const results: Api.Outputs[] = [];
  for await (const { outputs, error } of model.stream(FILES)) {
    if (error) throw error;
    results.push(outputs);
  }
  return results;
}

function expectSame(output: Api.ModelOutput | undefined, { data, dims }: Raw, tolerance = 1e-4) {
  expect(output?.shape).toEqual(dims.slice(1));
  for (const [i, value] of (data as number[]).entries())
    expect(Math.abs((output?.data[i] as number) - value)).toBeLessThan(
      tolerance * Math.max(1, Math.abs(value)),
    );
}

const transpose = (planes: Float32Array) =>
  planes.map((_, i) => planes[(i % 3) * 1024 + Math.floor(i / 3)] as number);
const rounded = (planes: Float32Array) => planes.map((value) => Math.floor(value + 0.5));
const float32 = (dims: number[]) => (planes: Float32Array) => new Tensor("float32", planes, dims);

/** How to make each model's own input from planes, written by hand. */
const IMAGES: [string, string, Api.Preprocess, (planes: Float32Array) => Tensor][] = [
  ["rank3_chw", "i", NORMAL, float32([3, 32, 32])],
  ["nhwc_unknown_c", "i", NORMAL, (planes) => new Tensor("float32", transpose(planes), [1, 32, 32, 3])],
  [
    "nhwc_u8",
    "i",
    LEVELS,
    (p) => new Tensor("uint8", Uint8Array.from(transpose(rounded(p))), [1, 32, 32, 3]),
  ],
  [
    "int32_in",
    "i",
    LEVELS,
    (planes) => new Tensor("int32", Int32Array.from(rounded(planes)), [1, 3, 32, 32]),
  ],
  [
    "int8_in",
    "i",
    { ...LEVELS, mean: [128, 128, 128] },
    (planes) => new Tensor("int8", Int8Array.from(rounded(planes)), [1, 3, 32, 32]),
  ],
  ...[7, 8, 9, 17, 21, 22, 23].map((opset): (typeof IMAGES)[number] => [
    `opset${opset}`,
    "x",
    NORMAL,
    float32([1, 3, 32, 32]),
  ]),
];

describe.each(WAYS)("%s", (way, make) => {
  // The converted graph's preprocessing uses operators from set 9 on.
  const images = IMAGES.filter(([name]) => !["opset7", "opset8"].includes(name) || !way.endsWith("jpeg"));
  test.each(images)(
    "%s answers as ONNX Runtime does of the same planes",
    async (name, input, preprocess, feed) => {
      const bytes = await onnxCase(name);
      const [model, options] = make(bytes, preprocess);
      const opened = await api.loadModel(model, { threads: 1, preprocess, batch: 2, ...options });
      for (const [i, outputs] of (await run(opened)).entries()) {
        const planes = planesOf(FILES[i] as Uint8Array, preprocess, SIZE);
        // A pixel that becomes a whole number may be rounded the other way.
        const tolerance = preprocess === NORMAL || way === "spatial" ? 1e-4 : 1e-3;
        expectSame(
          outputs.y ?? outputs.y_output,
          (await answers(bytes, { [input]: feed(planes) })).y as Raw,
          tolerance,
        );
      }
      await opened.close();
    },
  );

  test.each([
    ["every image its own", "N"],
    ["fixed", 1],
  ] as const)("an input beside the image, given: %s", async (_, batch) => {
    const bytes = api.writeOnnx({
      ...api.readOnnx(await onnxCase("two_inputs_size")),
      inputs: [
        { name: "s", type: "float32", shape: [batch, 1] },
        { name: "x", type: "float32", shape: [batch, 3, 32, 32] },
      ],
    });
    for (const s of [[2.5], 2.5]) {
      // As constants in the converted model, and as its inputs.
      for (const isEarly of [true, false]) {
        const [model, options] = make(bytes, NORMAL, isEarly ? { s } : undefined);
        const isConstant = isEarly && way.startsWith("converted");
        const given = isConstant ? {} : { inputs: { s } };
        const opened = await api.loadModel(model, {
          // Threads get the values too.
          threads: isEarly ? 2 : 1,
          preprocess: NORMAL,
          batch: 2,
          ...options,
          ...given,
        });
        for (const [i, outputs] of (await run(opened)).entries()) {
          const x = float32([1, 3, 32, 32])(planesOf(FILES[i] as Uint8Array, NORMAL, SIZE));
          const raw = await answers(bytes, { x, s: new Tensor("float32", Float32Array.of(2.5), [1, 1]) });
          expectSame(outputs.z, raw.z as Raw);
        }
        await opened.close();
        if (!way.startsWith("converted")) break;
        const names = api.readOnnx(model).inputs.map(({ name }) => name);
        expect(names.includes("s")).toBe(!isConstant);
        await expect(api.loadModel(model, { preprocess: NORMAL, inputs: { t: 1 } })).rejects.toThrow(
          'no input "t" beside the image',
        );
        if (!isConstant)
          await expect(api.loadModel(model, { preprocess: NORMAL })).rejects.toThrow("takes s: float32");
      }
    }
  });
});

describe("a converted model in ONNX Runtime alone", () => {
  test.each(["fused", "blockwise", "exploded"] as const)(
    "%s: its other inputs under their names",
    async (plan) => {
      const bytes = await onnxCase("two_inputs_size");
      const planes = planesOf(FILES[0] as Uint8Array, NORMAL, SIZE);
      const two = new Float32Array(2 * planes.length);
      two.set(planes);
      two.set(
        planes.map((value) => 1 - value),
        planes.length,
      );
      const { data, shape } = api.compress(two, [2, 3, 32, 32]);
      const s = new Tensor("float32", Float32Array.of(2, 3), [2, 1]);
      const raw = await answers(bytes, { x: float32([2, 3, 32, 32])(two), s });
      const coefficients = new Tensor("float32", data, shape);
      const open = await answers(api.convert(bytes, { plan }), { coefficients, s });
      const bound = await answers(api.convert(bytes, { plan, inputs: { s: 3 } }), { coefficients });
      for (let i = 0; i < 8; i++) {
        const expected = raw.z?.data[i] as number;
        expect(open.z?.data[i]).toBeCloseTo(expected, 4);
        expect(bound.z?.data[i]).toBeCloseTo(i < 4 ? 1.5 * expected : expected, 4);
      }
    },
  );

  test("of input jpeg: a constant, or an input in addition to the file's", async () => {
    const bytes = await onnxCase("two_inputs_size");
    const feeds = api.feedsOf(api.readCoefficients(FILES[0] as Uint8Array), NORMAL, Tensor);
    const x = float32([1, 3, 32, 32])(planesOf(FILES[0] as Uint8Array, NORMAL, SIZE));
    // By position, because the names do not matter here.
    const s = new Tensor("float32", Float32Array.of(2), [1, 1]);
    const raw = await answers(bytes, { x, s });
    const options = { input: "jpeg", preprocess: NORMAL } as const;
    const answer = (model: Uint8Array, all: Tensor[]) => {
      const names = api.readOnnx(model).inputs.map(({ name }) => name);
      expect(names).toHaveLength(all.length);
      return answers(model, Object.fromEntries(all.map((tensor, i) => [names[i] as string, tensor])));
    };
    const open = await answer(api.convert(bytes, options), [...Object.values(feeds), s]);
    const bound = await answer(api.convert(bytes, { ...options, inputs: { s: [2] } }), Object.values(feeds));
    for (const { z } of [open, bound] as { z: Raw }[])
      for (const [i, value] of z.data.entries()) expect(value).toBeCloseTo(raw.z?.data[i] as number, 2);
  });
});

describe("what is assumed", () => {
  const assumed = async (name: string, options: Api.ModelOptions = {}) => {
    const model = await api.loadModel(await onnxCase(name), { threads: 1, ...options });
    await model.close();
    return model;
  };

  test("whole-number inputs take plain pixels, and this is reported", async () => {
    for (const name of ["nhwc_u8", "int32_in"]) {
      const model = await assumed(name);
      expect(model.preprocess).toMatchObject({ rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
      expect(model.assumed).toMatch(/rgb, rescale 1, mean 0 0 0, std 1 1 1$/);
    }
    expect((await assumed("int8_in")).preprocess).toMatchObject({
      rescale: 1,
      mean: [128, 128, 128],
      std: [1, 1, 1],
    });
    expect((await assumed("opset17")).preprocess).toMatchObject({
      rescale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
    });
    const given = await assumed("nhwc_u8", { preprocess: { resize: { height: 32, width: 32 } } });
    expect(given.preprocess).toMatchObject({ rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
  });

  test("a converted model with whole-number inputs assumes the same", async () => {
    for (const name of ["nhwc_u8", "int8_in"]) {
      const spatial = await assumed(name);
      const converted = await api.loadModel(api.convert(await onnxCase(name)), { threads: 1 });
      expect(converted.preprocess).toEqual(spatial.preprocess);
      await converted.close();
    }
  });

  test("values that such a type cannot hold are refused", async () => {
    expect((await assumed("nhwc_u8", { preprocess: NORMAL })).assumed).toBe(
      "the model takes uint8, and the preprocessing gives -2.50 to 2.50, which is rounded and ends at 0 and 255; expected 0 to 255 (rescale 1, mean 0, std 1) or the like",
    );
    expect((await assumed("int8_in", { preprocess: LEVELS })).assumed).toContain("ends at -128 and 127");
    expect((await assumed("int32_in", { preprocess: LEVELS })).assumed).toBeUndefined();
  });
});

/** A model with one convolution. The caller's nodes turn the input into its image. */
function convolution(
  input: { type?: Api.ElementType; shape: Api.Dimension[] },
  toPlanes: (g: Api.GraphBuilder, x: string) => string,
  { channels = 3, opset = 17 } = {},
): Uint8Array {
  const g = new api.GraphBuilder("convolution", opset);
  const x = toPlanes(g, g.input("i", input.type ?? "float32", input.shape));
  const weights = Float32Array.from({ length: channels * 36 }, (_, i) => Math.sin(7 * i) / 10);
  const w = g.constant("w", api.float32(weights, [4, channels, 3, 3]));
  const maps = g.node("Conv", [x, w], { pads: [1, 1, 1, 1] });
  g.output(
    g.node("Flatten", [g.node("GlobalAveragePool", [g.node("Relu", [maps])])]),
    "y",
    "float32",
    undefined,
  );
  return api.writeOnnx(g.build());
}

describe("layouts and types that follow from the graph or the lengths", () => {
  const perm = (g: Api.GraphBuilder, x: string, axes: number[]) => g.node("Transpose", [x], { perm: axes });
  const cast = (g: Api.GraphBuilder, x: string) => g.node("Cast", [x], { to: 1 });
  const gray = { ...LEVELS, channels: "grayscale" as const, mean: [0], std: [1] };
  const hwc = (planes: Float32Array) => transpose(rounded(planes));

  const CASES: [string, () => Uint8Array, Api.Preprocess, (planes: Float32Array) => Tensor][] = [
    [
      "[H, W, C] uint8",
      () =>
        convolution({ type: "uint8", shape: [32, 32, 3] }, (g, x) =>
          g.node("Unsqueeze", [perm(g, cast(g, x), [2, 0, 1]), g.ints([0])]),
        ),
      LEVELS,
      (planes) => new Tensor("uint8", Uint8Array.from(hwc(planes)), [32, 32, 3]),
    ],
    [
      "[H, W, C] of unknown C and sides, inferred from the convolution",
      () =>
        convolution({ shape: ["h", "w", "c"] }, (g, x) =>
          perm(g, g.node("Unsqueeze", [g.node("Div", [x, g.floats([255])]), g.ints([0])]), [0, 3, 1, 2]),
        ),
      LEVELS,
      (planes) => new Tensor("float32", transpose(planes), [32, 32, 3]),
    ],
    [
      "[C, H, W] of operator set 11",
      () =>
        convolution({ shape: [3, "h", "w"] }, (g, x) => g.node("Unsqueeze", [x], { axes: [0] }), {
          opset: 11,
        }),
      NORMAL,
      float32([3, 32, 32]),
    ],
    [
      "[N, H, W], gray",
      () =>
        convolution({ shape: ["N", 32, 32] }, (g, x) => g.node("Unsqueeze", [x, g.ints([1])]), {
          channels: 1,
        }),
      gray,
      float32([1, 32, 32]),
    ],
    [
      "[N, H, W], gray, by a reshape",
      () =>
        convolution({ shape: ["N", 32, 32] }, (g, x) => g.node("Reshape", [x, g.ints([-1, 1, 32, 32])]), {
          channels: 1,
        }),
      gray,
      float32([1, 32, 32]),
    ],
    [
      "[N, C, H, W] int64",
      () => convolution({ type: "int64", shape: ["N", 3, 32, 32] }, cast),
      LEVELS,
      (planes) =>
        new Tensor(
          "int64",
          BigInt64Array.from(rounded(planes), (v) => BigInt(v)),
          [1, 3, 32, 32],
        ),
    ],
    [
      "[N, C, H, W] uint16",
      () => convolution({ type: "uint16", shape: ["N", "C", "H", "W"] }, cast),
      LEVELS,
      (planes) => new Tensor("uint16", Uint16Array.from(rounded(planes)), [1, 3, 32, 32]),
    ],
    [
      "[N, C, H, W] float64",
      () => convolution({ type: "float64", shape: ["N", 3, 32, 32] }, cast),
      NORMAL,
      (planes) => new Tensor("float64", Float64Array.from(planes), [1, 3, 32, 32]),
    ],
    [
      "[N, H, W, C] float16",
      () =>
        convolution({ type: "float16", shape: ["N", 32, 32, 3] }, (g, x) =>
          perm(g, cast(g, x), [0, 3, 1, 2]),
        ),
      NORMAL,
      (planes) => new Tensor("float16", Uint16Array.from(transpose(planes), toHalf), [1, 32, 32, 3]),
    ],
    [
      "[N, C, H, W] of unknown C, quantised on the way",
      () => {
        const g = new api.GraphBuilder("quantised", 17);
        const x = g.input("i", "float32", ["N", "C", "H", "W"]);
        const [q = "", scale = "", zero = ""] = g.nodes("DynamicQuantizeLinear", [x], 3);
        const data = Uint8Array.from({ length: 108 }, (_, i) => 100 + (i % 50));
        const w = g.constant("w", { type: "uint8", dims: [4, 3, 3, 3], data });
        const none = g.constant("zero", { type: "uint8", dims: [], data: Uint8Array.of(125) });
        const maps = g.node("Mul", [
          g.node("Cast", [g.node("ConvInteger", [q, w, zero, none])], { to: 1 }),
          scale,
        ]);
        g.output(g.node("Flatten", [g.node("GlobalAveragePool", [maps])]), "y", "float32", ["N", 4]);
        return api.writeOnnx(g.build());
      },
      NORMAL,
      float32([1, 3, 32, 32]),
    ],
    [
      "[N, W, H, C], sides exchanged",
      () => convolution({ shape: ["N", 32, 32, 3] }, (g, x) => perm(g, x, [0, 3, 2, 1])),
      NORMAL,
      (planes) =>
        new Tensor(
          "float32",
          planes.map((_, i) => {
            const [w, h, c] = [Math.floor(i / 96), Math.floor(i / 3) % 32, i % 3];
            return planes[c * 1024 + h * 32 + w] as number;
          }),
          [1, 32, 32, 3],
        ),
    ],
  ];

  test.each(CASES)("%s", async (_, build, preprocess, feed) => {
    const bytes = build();
    const channels = preprocess.mean.length;
    for (const model of [bytes, api.convert(bytes), api.convert(bytes, { input: "jpeg", preprocess })]) {
      const opened = await api.loadModel(model, { threads: 1, preprocess, batch: 2 });
      expect(opened.planes).toEqual({ ...SIZE, channels });
      for (const [i, { y_output, y = y_output }] of (await run(opened)).entries()) {
        const planes = planesOf(FILES[i] as Uint8Array, preprocess, { ...SIZE, channels });
        expectSame(y, (await answers(bytes, { i: feed(planes) })).y as Raw);
      }
      await opened.close();
    }
  });

  test("no image input, two, or one with four channels is refused in one line", async () => {
    const load = (model: Uint8Array, options: Api.ModelOptions = {}) =>
      expect(api.loadModel(model, { threads: 1, ...options })).rejects;
    await load(await onnxCase("two_images")).toThrow(
      `the model's inputs are a: float32 [N, 3, 32, 32]; b: float32 [N, 3, 32, 32]; expected one image input, and "a" and "b" both may be it; the values of others can be given`,
    );
    await load(await onnxCase("rgba")).toThrow(
      "the model takes images of 4 channels, expected 1 (grey) or 3 (colour); JPEG files have no alpha",
    );
    const words = new api.GraphBuilder("words");
    const embeddings = words.input("embeddings", "float32", ["N", 128, 768]);
    words.output(words.node("Relu", [embeddings]), "y", "float32", ["N", 128, 768]);
    await load(api.writeOnnx(words.build())).toThrow(
      "inputs are embeddings: float32 [N, 128, 768]; expected one image",
    );
    // The caller can give the second image; then it is one of the other inputs.
    const opened = await api.loadModel(await onnxCase("two_images"), {
      preprocess: NORMAL,
      threads: 1,
      inputs: { b: 0 },
    });
    const x = planesOf(FILES[0] as Uint8Array, NORMAL, SIZE);
    const raw = await answers(await onnxCase("two_images"), {
      a: float32([1, 3, 32, 32])(x),
      b: float32([1, 3, 32, 32])(new Float32Array(x.length)),
    });
    expectSame((await run(opened))[0]?.y, raw.y as Raw);
    await opened.close();
  });
});

describe("values of the other inputs", () => {
  /** The image's means times a vector of a type. */
  const model = (type: Api.ElementType, shape: Api.Dimension[] | undefined) => {
    const g = new api.GraphBuilder("beside");
    const x = g.input("x", "float32", ["N", 3, "H", "W"]);
    const s = g.input("s", type, ["?"]);
    (g.graph.inputs[1] as Api.ValueInfo).shape = shape;
    const sum = g.node("ReduceSum", [g.node("Cast", [s], { to: 1 })], { keepdims: 0 });
    const means = g.node("Flatten", [g.node("GlobalAveragePool", [x])]);
    g.output(g.node("Mul", [means, sum]), "y", "float32", ["N", 3]);
    g.output(g.node("Identity", [s]), "back", type, shape);
    return api.writeOnnx(g.build());
  };
  const load = (bytes: Uint8Array, s: number | number[]) =>
    api.loadModel(bytes, { threads: 1, preprocess: NORMAL, inputs: { s } });

  test.each(["float32", "float16", "float64", "int64", "int32", "uint8", "int8", "uint64", "bool"] as const)(
    "%s, of any shape",
    async (type) => {
      for (const [shape, s, expected] of [
        [[2], [1, 0], [2]],
        [
          [1, 2],
          [0, 1],
          [1, 2],
        ],
        [[], [1], []],
        [["n"], [1, 0, 1], [3]],
        [undefined, [1, 1], [2]],
        [
          [2, "n"],
          [1, 0, 1, 1],
          [2, 2],
        ],
        [["N", 2], [1, 0], [2]],
        [[2, 3], 1, [2, 3]],
        [["N", "H", "W"], 1, [32, 32]],
      ] as [Api.Dimension[] | undefined, number | number[], number[]][]) {
        const opened = await load(model(type, shape), s);
        const [first] = await run(opened);
        expect(first?.back?.shape.slice(-expected.length || undefined)).toEqual(expected);
        const values = Array.from(first?.back?.data as Float32Array);
        expect(values).toEqual(typeof s === "number" ? values.map(() => s) : s);
        await opened.close();
      }
    },
  );

  test("values that do not fit are refused in one line", async () => {
    const refused = (type: Api.ElementType, shape: Api.Dimension[], s: number | number[]) =>
      expect(load(model(type, shape), s)).rejects;
    await refused("float32", [2], [1, 2, 3]).toThrow(
      "inputs: 3 values given for s: float32 [2]; expected 2, or one for all",
    );
    await refused("float32", ["N", 2], [1, 2, 3]).toThrow("expected 2 for an image, or one for all");
    await refused("float32", [2, "n"], [1, 2, 3]).toThrow("expected a multiple of 2");
    await refused("int64", [1], [1.5]).toThrow('inputs: "s" is int64, found 1.5');
    await refused("uint8", [1], [-1]).toThrow('inputs: "s" is uint8, found -1');
    await refused("bool", [1], [2]).toThrow('inputs: "s" is bool, found 2');
    await refused("float32", [1], [Number.NaN]).toThrow('inputs: "s" is float32, found NaN');
    await refused("string", [1], [1]).toThrow('inputs: "s" is string, whose values cannot be given');
    const bytes = model("float32", [1]);
    await expect(api.loadModel(bytes, { inputs: { s: 1, x: 2 }, preprocess: NORMAL })).rejects.toThrow(
      /image|"x"/,
    );
    await expect(api.loadModel(bytes, { preprocess: NORMAL })).rejects.toThrow(
      'the model takes s: float32 [1] beside the image "x"; expected values, as inputs: { "s": [...] } or --input s=...',
    );
    await expect(api.loadModel(await onnxCase("opset17"), { inputs: { s: 1 } })).rejects.toThrow(
      'the model has no input "s" beside the image; expected none: its only input is the image "x"',
    );
  });

  test("nested lists, true and false, and names of built-in object properties", async () => {
    for (const s of [
      [[1, 0]],
      [true, false],
      [1n, 0n],
      Int8Array.of(1, 0),
    ] as unknown as Api.InputValues[string][]) {
      const opened = await api.loadModel(model("float32", [1, 2]), {
        threads: 1,
        preprocess: NORMAL,
        inputs: { s },
      });
      expect((await run(opened))[0]?.back?.data).toEqual(Float32Array.of(1, 0));
      await opened.close();
    }
    await expect(load(model("float32", [1]), "1" as unknown as number)).rejects.toThrow("found NaN");
    const renamed = api.readOnnx(await onnxCase("two_inputs_size"));
    (renamed.inputs[1] as Api.ValueInfo).name = "constructor";
    const multiply = renamed.nodes.find(({ op }) => op === "Mul") as Api.Node;
    multiply.inputs = multiply.inputs.map((name) => (name === "s" ? "constructor" : name));
    const bytes = api.writeOnnx(renamed);
    await expect(api.loadModel(bytes, { preprocess: NORMAL })).rejects.toThrow(
      "takes constructor: float32 [N, 1]",
    );
    await (await api.loadModel(bytes, { preprocess: NORMAL, inputs: { constructor: 1 } as never })).close();
  });

  test("an input with the name of a file's input must be a constant in a model that takes files", async () => {
    const graph = api.readOnnx(await onnxCase("two_inputs_size"));
    (graph.inputs[1] as Api.ValueInfo).name = "size";
    const multiply = graph.nodes.find(({ op }) => op === "Mul") as Api.Node;
    multiply.inputs = multiply.inputs.map((name) => (name === "s" ? "size" : name));
    const bytes = api.writeOnnx(graph);
    expect(() => api.convert(bytes, { input: "jpeg" })).toThrow(
      'the model has an input "size" beside the image, as converted models have; expected its values',
    );
    const inputs = { size: 2 };
    const preprocess = NORMAL;
    const opened = await api.loadModel(api.convert(bytes, { input: "jpeg", preprocess, inputs }), {
      threads: 1,
    });
    const x = float32([1, 3, 32, 32])(planesOf(FILES[0] as Uint8Array, NORMAL, SIZE));
    const raw = await answers(bytes, { x, size: new Tensor("float32", Float32Array.of(2), [1, 1]) });
    expectSame((await run(opened))[0]?.z, raw.z as Raw);
    await opened.close();
  });

  test("with a batch fixed to 2: values for one image, or for both", async () => {
    const graph = api.readOnnx(await onnxCase("two_inputs_size"));
    for (const value of [...graph.inputs, ...graph.outputs])
      value.shape = [2, ...(value.shape ?? []).slice(1)];
    const bytes = api.writeOnnx(graph);
    const images = FILES.map((file) => planesOf(file, NORMAL, SIZE));
    for (const s of [[3], [3, 3]])
      for (const model of [
        bytes,
        api.convert(bytes),
        api.convert(bytes, { plan: "blockwise", inputs: { s } }),
      ]) {
        const isBound = api.readOnnx(model).inputs.length === 1;
        const opened = await api.loadModel(model, {
          threads: 1,
          preprocess: NORMAL,
          ...(!isBound && { inputs: { s } }),
        });
        for (const [i, { z }] of (await run(opened)).entries()) {
          const two = new Float32Array(2 * 3072);
          two.set(images[i] as Float32Array);
          const feeds = {
            x: float32([2, 3, 32, 32])(two),
            s: new Tensor("float32", Float32Array.of(3, 3), [2, 1]),
          };
          const { z: raw } = (await answers(bytes, feeds)) as { z: Raw };
          expectSame(z, { ...raw, data: raw.data.slice(0, 4) });
        }
        await opened.close();
      }
  });

  test("values of float16 inputs are rounded to the nearest", async () => {
    const numbers = Float32Array.from({ length: 4000 }, (_, i) => Math.sin(i) * 2 ** ((i % 44) - 26));
    const edges = [
      0,
      -0,
      65519.9,
      65520,
      -65520,
      2 ** -24,
      2 ** -25,
      1.5 * 2 ** -25,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
    ];
    const all = Float32Array.from([...numbers, ...edges]);
    const g = new api.GraphBuilder("cast");
    g.output(g.node("Cast", [g.input("x", "float32", ["n"])], { to: 10 }), "y", "float16", ["n"]);
    const { y } = await answers(api.writeOnnx(g.build()), { x: new Tensor("float32", all, [all.length]) });
    expect(Array.from(all, (value) => fromHalf(toHalf(value)))).toEqual(
      ((y as Raw).data as number[]).map(fromHalf),
    );
  });
});

describe("commands", () => {
  const command = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", cwd: folder });
  const two = path("cases/onnx/two_inputs_size.onnx");

  test("classify --input gives the values; convert and inspect use them or keep the input", async () => {
    const first = (args: string[]) => {
      const { stdout, stderr } = command("classify", ...args, "0.jpg", "--jsonl", "--top", "4");
      expect(stderr).not.toContain("error");
      return (JSON.parse(stdout) as { top: { class: number; probability: number }[] }).top;
    };
    const expected = first([two, "--input", "s=2"]);
    expect(expected).not.toEqual(first([two, "--input", "s=1"]));
    expect(command("convert", two, "bound.onnx", "--input", "jpeg", "--input", "s=2").status).toBe(0);
    expect(command("convert", two, "open.onnx", "--plan", "blockwise").status).toBe(0);
    for (const found of [first(["bound.onnx"]), first(["open.onnx", "--input", "s=2"])])
      for (const [i, { class: index, probability }] of found.entries()) {
        expect(index).toBe(expected[i]?.class);
        expect(probability).toBeCloseTo(expected[i]?.probability as number, 3);
      }
    expect(command("inspect", two, "--input", "s=2").stderr).toBe("");
    expect(command("inspect", two).stderr).toBe("");
    const missing = command("classify", two, "0.jpg");
    expect(missing).toMatchObject({ status: 1, stdout: "" });
    expect(missing.stderr).toContain("takes s: float32 [N, 1] beside the image");
    for (const text of ["s=", "=1", "s=a", "s=1,,2", "s"])
      expect(command("classify", two, "0.jpg", "--input", text)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(
          "Expected the input's name and its numbers, such as scale=1,1.",
        ) as string,
      });
    expect(command("convert", two, "x.onnx", "--input", "pixels")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Allowed choices are planes, jpeg, or NAME=numbers.") as string,
    });
  });
});
