/**
 * A file's planes: the reference, WebAssembly and the graph must agree, and refuse the same.
 *
 * Tolerances are in levels of 0 to 255. A sample at a half may be rounded either way (most often at scale 2/8, whose values
 * are eighths), and the colour conversion makes up to 3 levels of that.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type JpegComponent,
  JpegDomainError,
  JpegError,
  type JpegImage,
  readCoefficients,
  UnsupportedJpegError,
} from "@jpeg-domain/coefficients";
import { JPEG_INPUTS, PreprocessError, readMetadata, writeOnnx } from "@jpeg-domain/conversion";
import { Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { ZIGZAG } from "../packages/coefficients/src/transform/frequency.js";
import { convertGraph } from "../packages/conversion/src/convert/convert.js";
import { feedsOf } from "../packages/conversion/src/preprocess/feeds.js";
import { FILTERS, type Filter, RESAMPLES } from "../packages/conversion/src/preprocess/filters.js";
import {
  type Area,
  checkPreprocess,
  type Preprocess,
  TORCHVISION,
} from "../packages/conversion/src/preprocess/preprocess.js";
import { fillPlanes, Preprocessor } from "../packages/conversion/src/preprocess/preprocessor.js";
import { parsePreprocessorConfig } from "../packages/conversion/src/preprocess/processors/config.js";
import { planesOf } from "../packages/conversion/src/preprocess/reference/planes.js";
import { coefficientsFor } from "../packages/conversion/src/preprocess/scaling.js";
import { mirrored, taps } from "../packages/conversion/src/preprocess/taps.js";
import { openSession } from "../packages/node/src/runtime/session.js";
import { generate, mutate, Random } from "./jpeg/generate.js";
import { oriented, PLAIN, within } from "./jpeg/pixels.js";
import { byGraph, filled, identity, jpegOf, SAMPLINGS } from "./jpeg/preprocess.js";

describe("one file after another", () => {
  test("of the same geometry or another, each has the same planes as alone", () => {
    const size = { height: 40, width: 40 };
    const preprocess: Preprocess = { ...PLAIN, resize: { shortestEdge: 48 }, crop: size };
    const files = [
      ["-quality", "95"],
      ["-quality", "40"],
      ["-quality", "40", "-grayscale"],
      ["-quality", "60", "-rgb"],
      ["-quality", "60", "-sample", "1x1"],
    ].flatMap((args) => [
      jpegOf(77, 61, args),
      jpegOf(61, 77, args),
      jpegOf(77, 61, [...args, "-progressive"]),
    ]);
    const random = new Random(4);
    for (let turn = 0; turn < 60; turn++) {
      const jpeg = random.pick(files);
      // A preprocessing that was changed in place must not count as the old one.
      preprocess.resample = random.pick(["bilinear", "bicubic"] as const);
      const expected = planesOf(readCoefficients(jpeg), preprocess);
      within(filled(jpeg, preprocess, size), expected.data, 0.3, 4, `turn ${turn}`);
    }
  });
});

describe("a Preprocessor", () => {
  const size = { channels: 3, height: 24, width: 24 };
  const preprocess: Preprocess = { ...PLAIN, resize: { shortestEdge: 30 }, crop: { height: 24, width: 24 } };

  test("gives the reference's planes for more kinds of files than it keeps plans for, twice", () => {
    const preprocessor = new Preprocessor(preprocess, size);
    const out = new Float32Array(3 * 24 * 24);
    const files = Array.from({ length: 70 }, (_, i) =>
      jpegOf(30 + i, 99 - i, i % 3 === 0 ? ["-grayscale"] : []),
    );
    for (const jpeg of [...files, ...files]) {
      const image = readCoefficients(jpeg);
      expect(preprocessor.fill(jpeg, out)).toMatchObject({ width: image.width, height: image.height });
      within(out, planesOf(image, preprocess).data, 0.3, 4, `${image.width}x${image.height}`);
    }
    preprocessor.dispose();
  });

  test("keeps nothing of a failed file, and does not change with the objects it was made from", () => {
    const given = { ...preprocess, mean: [0, 0, 0], crop: { height: 24, width: 24 } };
    const preprocessor = new Preprocessor(given, size);
    given.resample = "nearest";
    given.mean[0] = 5;
    given.crop.height = 3;
    const jpeg = jpegOf(90, 70, []);
    const expected = filled(jpeg, preprocess, size);
    const out = new Float32Array(3 * 24 * 24);
    expect(() => preprocessor.fill(jpeg.subarray(0, jpeg.length - 200), out)).toThrow(JpegError);
    expect(() => preprocessor.fill(new Uint8Array(5), out)).toThrow(JpegError);
    preprocessor.fill(jpeg, out);
    expect(out).toEqual(expected);
  });

  test("is disposed of at the end of its block, and then refuses work", () => {
    const jpeg = jpegOf(40, 30, []);
    const out = new Float32Array(3 * 24 * 24);
    let used: Preprocessor;
    {
      using preprocessor = new Preprocessor(preprocess, size);
      preprocessor.fill(jpeg, out);
      used = preprocessor;
    }
    expect(() => used.fill(jpeg, out)).toThrow(/^the preprocessor is disposed of; make a new one$/);
    expect(() => used.fillFrom(readCoefficients(jpeg), out)).toThrow(PreprocessError);
    expect(filled(jpeg, preprocess, size)).toEqual(out);
  });

  test("refuses an invalid description, and a size that it does not give", () => {
    expect(() => new Preprocessor({ ...preprocess, std: [0, 1, 1] }, size)).toThrow(/none of them 0/);
    const short = () => new Preprocessor(preprocess, size).fill(jpegOf(40, 30, []), new Float32Array(9));
    expect(short).toThrow(/^out has 9 floats; expected at least 1728$/);
    const other = new Preprocessor(preprocess, { ...size, height: 25 });
    const fill = () => other.fill(jpegOf(40, 30, []), new Float32Array(3 * 25 * 24));
    expect(fill).toThrow(/gives 3 planes of 24x24; the network takes 3 of 24x25/);
  });
});

describe("reference, WebAssembly and graph agree", () => {
  const preprocessings: [name: string, preprocess: Partial<Preprocess>, size: Area][] = [
    [
      "shortest edge and crop",
      { resize: { shortestEdge: 64 }, crop: { height: 56, width: 48 } },
      { height: 56, width: 48 },
    ],
    ["to a size, larger", { resize: { height: 190, width: 130 } }, { height: 190, width: 130 }],
    [
      "bicubic, bgr, normalised",
      {
        resize: { shortestEdge: 24 },
        crop: { height: 24, width: 17 },
        resample: "bicubic",
        channels: "bgr",
        rescale: 1 / 255,
        mean: TORCHVISION.mean,
        std: TORCHVISION.std,
      },
      { height: 24, width: 17 },
    ],
    [
      "lanczos, gray",
      {
        resize: { shortestEdge: 44 },
        crop: { height: 44, width: 44 },
        resample: "lanczos",
        channels: "grayscale",
        mean: [0],
        std: [1],
      },
      { height: 44, width: 44 },
    ],
    [
      "nearest",
      { resize: { shortestEdge: 31 }, crop: { height: 20, width: 30 }, resample: "nearest" },
      { height: 20, width: 30 },
    ],
    ["crop alone", { crop: { height: 33, width: 57 } }, { height: 33, width: 57 }],
    [
      "box, the middle rounded to even",
      {
        resize: { shortestEdge: 47 },
        crop: { height: 40, width: 34 },
        cropRounding: "even",
        resample: "box",
      },
      { height: 40, width: 34 },
    ],
    ["box, larger", { resize: { height: 200, width: 171 }, resample: "box" }, { height: 200, width: 171 }],
    [
      "hamming, padded with a level",
      {
        resize: { height: 28, width: 31 },
        resample: "hamming",
        pad: { top: 1, left: 2, bottom: 3, right: 4, value: 200 },
        mean: [0.5, 0.1, 0.2],
        std: [2, 3, 4],
      },
      { height: 32, width: 37 },
    ],
    [
      "a crop that is larger on one side or both, rounded down",
      { resize: { shortestEdge: 50 }, crop: { height: 61, width: 83 } },
      { height: 61, width: 83 },
    ],
    [
      "a crop that is larger, rounded towards 0, and padded",
      {
        resize: { height: 30, width: 60 },
        crop: { height: 41, width: 47 },
        cropRounding: "zero",
        pad: { top: 0, left: 3, bottom: 2, right: 0, value: 255 },
        channels: "grayscale",
        mean: [0],
        std: [1],
      },
      { height: 43, width: 50 },
    ],
    [
      "a crop of the image that is larger, rounded to even",
      { crop: { height: 130, width: 88 }, cropRounding: "even" },
      { height: 130, width: 88 },
    ],
    [
      "bilinear without antialiasing, much smaller",
      { resize: { shortestEdge: 17 }, crop: { height: 15, width: 16 }, antialias: false },
      { height: 15, width: 16 },
    ],
    [
      "bicubic without antialiasing, one side smaller, one larger",
      { resize: { height: 200, width: 41 }, resample: "bicubic", antialias: false },
      { height: 200, width: 41 },
    ],
    [
      "the middle, then a size: bicubic without antialiasing",
      {
        precrop: { height: 0.6, width: 0.9 },
        resize: { height: 35, width: 130 },
        resample: "bicubic",
        antialias: false,
        mean: [0.5, 0.1, 0.2],
        std: [2, 3, 4],
      },
      { height: 35, width: 130 },
    ],
    [
      "the middle, then a size: bicubic",
      { precrop: { height: 0.875, width: 0.6 }, resize: { height: 40, width: 33 }, resample: "bicubic" },
      { height: 40, width: 33 },
    ],
    [
      "the middle, then a size: nearest",
      { precrop: { height: 0.5, width: 1 }, resize: { height: 21, width: 40 }, resample: "nearest" },
      { height: 21, width: 40 },
    ],
    [
      "the middle, then an edge and a crop: box",
      {
        precrop: { height: 0.7, width: 0.9 },
        resize: { shortestEdge: 31 },
        crop: { height: 31, width: 39 },
        resample: "box",
      },
      { height: 31, width: 39 },
    ],
  ];

  test.each(preprocessings)("%s, every sampling and orientation", async (_, partial, size) => {
    const preprocess = { ...PLAIN, ...partial };
    const levels = preprocess.rescale / Math.min(...preprocess.std);
    const samplings = [
      ...SAMPLINGS,
      ["rgb", ["-rgb"]],
      ["mixed", ["-sample", "2x2,2x1"]],
      ["chroma finer", ["-sample", "1x1,2x2"]],
    ] as typeof SAMPLINGS;
    const cases = samplings.flatMap(([name, args], index) => {
      const jpeg = jpegOf(120 + index, 75 + 3 * index, args);
      return [1, 2 + (index % 4), 5 + (index % 4)].map((orientation) => ({
        what: `${name}, orientation ${orientation}`,
        jpeg: oriented(jpeg, orientation),
      }));
    });
    const graphs = await byGraph(
      cases.map(({ jpeg }) => jpeg),
      preprocess,
      size,
    );
    cases.forEach(({ what, jpeg }, index) => {
      const expected = planesOf(readCoefficients(jpeg), preprocess);
      expect([expected.height, expected.width]).toEqual([size.height, size.width]);
      within(filled(jpeg, preprocess, size), expected.data, 0.3 * levels, 4 * levels, `WebAssembly, ${what}`);
      within(graphs[index] ?? [], expected.data, 0.1 * levels, 3.01 * levels, `graph, ${what}`);
    });
  });

  test.each([9, 10, 12, 13, 18, 21])("in operator set %i", async (opset) => {
    const size = { height: 40, width: 37 };
    const preprocess: Preprocess = {
      ...PLAIN,
      resize: { shortestEdge: 40 },
      crop: size,
      resample: "bicubic",
    };
    const { graph } = convertGraph(identity(3, size, opset), { input: "jpeg", preprocess });
    const session = await openSession(graph);
    // At full size, where chroma is upsampled, and smaller.
    for (const [width, height] of [
      [60, 44],
      [99, 120],
    ] as const)
      for (const [name, args] of SAMPLINGS) {
        const image = readCoefficients(oriented(jpegOf(width, height, args), 6));
        const { planes } = await session.run(feedsOf(image, preprocess, Tensor));
        const expected = planesOf(image, preprocess).data;
        within(planes?.data as Float32Array, expected, 0.1, 3.01, `${name}, ${width}x${height}`);
      }
    await session.release();
    const all: Preprocess = {
      ...preprocess,
      precrop: { height: 0.8, width: 0.7 },
      resize: { shortestEdge: 30 },
      cropRounding: "even",
      pad: { top: 1, left: 2, bottom: 3, right: 4, value: 9 },
      resample: "box",
    };
    const padded = { height: 44, width: 43 };
    const [found] = await byGraph([oriented(jpegOf(99, 120, []), 7)], all, padded, opset);
    const image = readCoefficients(oriented(jpegOf(99, 120, []), 7));
    within(found ?? [], planesOf(image, all).data, 0.1, 3.01, "all steps");
  });

  test("any sampling factors, sizes and orientations, at every scale", async () => {
    const random = new Random(11);
    const size = { height: 24, width: 33 };
    // The crop starts and ends anywhere in an MCU.
    const preprocess: Preprocess = { ...PLAIN, resize: { height: 50, width: 75 }, crop: size };
    const session = await openSession(convertGraph(identity(3, size), { input: "jpeg", preprocess }).graph);
    for (let round = 0; round < 300; round++) {
      const image = randomImage(random);
      const { planes } = await session.run(feedsOf(image, preprocess, Tensor));
      const what = JSON.stringify({
        ...image,
        components: image.components.map(({ id, ...c }) => [c.horizontalSampling, c.verticalSampling]),
      });
      within(planes?.data as Float32Array, planesOf(image, preprocess).data, 0.1, 3.01, what);
    }
    await session.release();
  });

  test("only the coefficients that are needed give the same planes", () => {
    const size = { height: 24, width: 24 };
    const preprocess = { ...PLAIN, resize: { shortestEdge: 24 }, crop: size };
    for (const edge of [190, 96, 60, 40]) {
      const jpeg = jpegOf(edge + 9, edge, ["-progressive", "-sample", "2x2"]);
      const image = readCoefficients(jpeg);
      const all = new Float32Array(3 * 24 * 24);
      new Preprocessor(preprocess, { ...size, channels: 3 }).fillFrom(image, all);
      expect(filled(jpeg, preprocess, size)).toEqual(all);
    }
  });

  test("after the preprocessing, a network on coefficients gets the same planes", async () => {
    const size = { height: 20, width: 24 };
    const preprocess = { ...PLAIN, resize: size };
    const jpeg = jpegOf(61, 47, []);
    const { graph } = convertGraph(identity(3, size), { input: "jpeg", preprocess, plan: "blockwise" });
    expect(readMetadata(graph)).toMatchObject({ input: "jpeg", preprocess, ...size });
    const session = await openSession(graph);
    const { planes } = await session.run(feedsOf(readCoefficients(jpeg), preprocess, Tensor));
    within(planes?.data as Float32Array, planesOf(readCoefficients(jpeg), preprocess).data, 0.1, 3, "planes");
  });
});

/** An image with any three sampling factors and the coefficients of smooth waves. */
function randomImage(random: Random): JpegImage {
  const [width, height] = [1 + random.below(300), 1 + random.below(200)];
  const factors = Array.from({ length: 3 }, () => [1 + random.below(4), 1 + random.below(4)] as const);
  const [maxX, maxY] = [0, 1].map((axis) => Math.max(...factors.map((pair) => pair[axis as 0 | 1]))) as [
    number,
    number,
  ];
  const components = factors.map(([horizontalSampling, verticalSampling], id) => {
    const blocksWide = Math.ceil((width * horizontalSampling) / maxX / 8);
    const blocksHigh = Math.ceil((height * verticalSampling) / maxY / 8);
    const coefficients = new Int16Array(blocksWide * blocksHigh * 64).map((_, at) =>
      Math.trunc((random.below(121) - 60) / (1 + (at % 64))),
    );
    const quantization = new Uint16Array(64).map(() => 3 + random.below(13));
    return { id, horizontalSampling, verticalSampling, blocksWide, blocksHigh, quantization, coefficients };
  });
  const colorSpace = random.pick(["ycbcr", "rgb"] as const);
  return { width, height, progressive: false, colorSpace, orientation: 1 + random.below(8), components };
}

describe("resampling", () => {
  test("weights add up to 1 and stay inside the inputs; mirrored taps are those of the mirrored axis", () => {
    for (const filter of RESAMPLES)
      for (const [inputs, outputs] of [
        [7, 7],
        [100, 33],
        [5, 64],
        [1, 3],
      ] as const) {
        const straight = taps(FILTERS[filter], inputs, outputs);
        const turned = mirrored(straight, inputs);
        const signal = Float64Array.from({ length: inputs }, (_, i) => Math.sin(i * i));
        const value = ({ first, count, weights }: typeof straight, x: number, from: Float64Array) =>
          Array.from({ length: count }, (_, t) => t).reduce(
            (sum, t) => sum + (weights[x * count + t] as number) * (from[(first[x] as number) + t] as number),
            0,
          );
        for (let x = 0; x < outputs; x++) {
          const total = straight.weights
            .subarray(x * straight.count, (x + 1) * straight.count)
            .reduce((sum, weight) => sum + weight, 0);
          expect(total).toBeCloseTo(1, 12);
          expect((straight.first[x] as number) + straight.count).toBeLessThanOrEqual(inputs);
          const backwards = value(turned, outputs - 1 - x, signal.slice().reverse());
          expect(backwards).toBeCloseTo(value(straight, x, signal), 12);
        }
      }
  });

  test("a filter without one of the forms does not compile", () => {
    const { nodes: _, ...noNodes } = FILTERS.box;
    const { weight: __, ...noWeight } = FILTERS.box;
    // @ts-expect-error: the graph has no weights
    const first: Filter = noNodes;
    // @ts-expect-error: the reference and WebAssembly have no weights
    const second: Filter = noWeight;
    expect(Object.keys({ ...first, ...second }).sort()).toEqual(Object.keys(FILTERS.box).sort());
  });

  test("the number of coefficients in zigzag order for n x n frequencies", () => {
    for (let n = 1; n <= 8; n++) {
      const last = Math.max(...ZIGZAG.map((place, k) => (place >> 3 < n && (place & 7) < n ? k : -1)));
      expect(coefficientsFor(n)).toBe(last + 1);
    }
    expect(coefficientsFor(14)).toBe(64);
  });
});

describe("preprocessing", () => {
  const mean = [0.5, 0.5, 0.5];
  const base = { do_normalize: true, image_mean: mean, image_std: mean };

  test.each<[string, object, Partial<Preprocess>]>([
    ["a square", { ...base, size: 224, do_resize: true }, { resize: { height: 224, width: 224 } }],
    [
      "edge and crop",
      { ...base, size: { shortest_edge: 256 }, crop_size: 224, do_center_crop: true, resample: 3 },
      { resize: { shortestEdge: 256 }, crop: { height: 224, width: 224 }, resample: "bicubic" },
    ],
    [
      "a number before a crop",
      { ...base, size: 256, crop_size: { height: 200, width: 224 }, do_center_crop: true },
      { resize: { shortestEdge: 256 }, crop: { height: 200, width: 224 } },
    ],
    [
      "crop_pct",
      { ...base, size: { shortest_edge: 224 }, crop_pct: 0.875, resample: "lanczos" },
      { resize: { shortestEdge: 256 }, crop: { height: 224, width: 224 }, resample: "lanczos" },
    ],
    [
      "no rescaling, no normalising, flipped channels",
      { size: { height: 8, width: 9 }, do_rescale: false, do_normalize: false, do_flip_channel_order: true },
      { resize: { height: 8, width: 9 }, rescale: 1, mean: [0, 0, 0], std: [1, 1, 1], channels: "bgr" },
    ],
  ])("preprocessor_config.json: %s", (_, config, expected) => {
    const parsed = parsePreprocessorConfig(JSON.stringify(config));
    expect(parsed).toMatchObject(expected);
    expect(checkPreprocess(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["no JSON", () => parsePreprocessorConfig("{"), /not JSON/],
    [
      "longest edge",
      () => parsePreprocessorConfig({ ...base, size: { longest_edge: 9 } }),
      /size\.longest_edge: not supported/,
    ],
    [
      "a filter",
      () => parsePreprocessorConfig({ ...base, size: 8, resample: 6 }),
      /resample is 6; expected 0 \(nearest\)/,
    ],
    ["no mean", () => parsePreprocessorConfig({ size: 8, do_normalize: true }), /image_mean is missing/],
    ["a deviation of 0", () => checkPreprocess({ ...PLAIN, std: [1, 0, 1] }), /none of them 0/],
    [
      "a side",
      () => checkPreprocess({ ...PLAIN, crop: { height: 0, width: 1 } }),
      /preprocess.crop.height is 0/,
    ],
    ["no object", () => checkPreprocess(3), /preprocess is 3; expected an object/],
  ])("refuses %s", (_, make, message) => {
    expect(make).toThrow(PreprocessError);
    expect(make).toThrow(message);
  });
});

describe("refused", () => {
  const size = { height: 32, width: 32 };
  const preprocess: Preprocess = { ...PLAIN, crop: size };

  test("images that do not get the network's size", () => {
    const jpeg = jpegOf(31, 40, []);
    expect(() => filled(jpeg, PLAIN, size)).toThrow(/gives 3 planes of 31x40; the network takes 3 of 32x32/);
  });

  test("no runtime is needed for feeds: any class that takes type, data and dimensions will do", () => {
    class Plain {
      constructor(
        readonly type: string,
        readonly data: Int16Array | Int32Array | BigInt64Array,
        readonly dims: readonly number[],
      ) {}
    }
    const image = readCoefficients(jpegOf(31, 40, ["-sample", "2x1"]));
    const feeds = feedsOf(image, PLAIN, Plain);
    expect(Object.keys(feeds)).toEqual([...JPEG_INPUTS]);
    for (const { dims, data } of Object.values(feeds))
      expect(dims.reduce((a, b) => a * b, 1)).toBe(data.length);
    expect(feeds.y).toMatchObject({
      type: "int16",
      dims: [5, 4, 64],
      data: image.components[0]?.coefficients,
    });
    expect(feeds.size).toMatchObject({ type: "int64", data: BigInt64Array.of(40n, 31n) });
  });

  test("two components, and in a graph more than three", () => {
    const image = randomImage(new Random(3));
    const [first, second] = image.components as [JpegComponent, JpegComponent];
    const two: JpegImage = { ...image, colorSpace: "unknown", components: [first, second] };
    const four: JpegImage = { ...image, colorSpace: "cmyk", components: [first, second, first, second] };
    const out = new Float32Array(3 * 32 * 32);
    const fill = () => new Preprocessor(small, { ...size, channels: 3 }).fillFrom(two, out);
    const small: Preprocess = { ...PLAIN, resize: size };
    for (const refused of [fill, () => planesOf(two, small)]) {
      expect(refused).toThrow(UnsupportedJpegError);
      expect(refused).toThrow(/2 components, whose colours no marker tells; expected 1 .* 3 .* or 4/);
    }
    expect(() => feedsOf(two, small, Tensor)).toThrow(/of no known space; expected grayscale, YCbCr or RGB/);
    expect(() => feedsOf(four, small, Tensor)).toThrow(UnsupportedJpegError);
    expect(() => feedsOf(four, small, Tensor)).toThrow(/CMYK; expected grayscale, YCbCr or RGB.*loadModel/);
  });

  test("networks that do not fit the preprocessing", () => {
    const jpeg = { input: "jpeg", preprocess } as const;
    expect(() => convertGraph(identity(1, size), jpeg)).toThrow(/gives 3 planes \(rgb\), the model takes 1/);
    expect(() => convertGraph(identity(3, { height: 9, width: 32 }), jpeg)).toThrow(
      /gives images of height 32, the network takes 9/,
    );
    expect(() => convertGraph(identity(3, size, 8), jpeg)).toThrow(/opset 9 or later; this one has 8/);
  });

  test("malformed and unusual files: an error of this package, or finite planes; memory does not grow", () => {
    const random = new Random(7);
    const small: Preprocess = { ...PLAIN, resize: { height: 16, width: 16 }, resample: "bicubic" };
    const size16 = { channels: 3, height: 16, width: 16 };
    const out = new Float32Array(3 * 16 * 16);
    let [read, refused] = [0, 0];
    let before = 0;
    const preprocessor = new Preprocessor(small, size16);
    for (let round = 0; round < 3000; round++) {
      const file = generate(random);
      const jpeg = round % 2 === 0 ? file : mutate(random, file, generate(random));
      const fill = (image: JpegImage) => {
        out.fill(Number.NaN);
        preprocessor.fillFrom(image, out);
        expect(out.every((value) => value >= 0 && value <= 255)).toBe(true);
        return out.slice();
      };
      try {
        fill(readCoefficients(jpeg, { tolerant: true, maxPixels: 2 ** 20 }));
        read++;
        const expected = fill(readCoefficients(jpeg, { maxPixels: 2 ** 20 }));
        fillPlanes(jpeg, small, size16, out);
        expect(out).toEqual(expected);
      } catch (error) {
        if (!(error instanceof JpegDomainError)) throw error;
        refused++;
      }
      if (round === 500) before = process.memoryUsage().rss;
    }
    expect(read).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(100);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28);
    expect(() => fillPlanes(new Uint8Array(9), small, size16, out)).toThrow(JpegError);
  });
});

describe("the file", () => {
  test("passes the ONNX checker", () => {
    const python = ["python3", "/usr/bin/python3"].find((path) => {
      try {
        execFileSync(path, ["-c", "import onnx"], { stdio: "ignore" });
        return true;
      } catch {
        return false;
      }
    });
    if (python === undefined) {
      if (process.env.CI) throw new Error("missing python3-onnx");
      console.warn("SKIPPED: the ONNX checker, for lack of python3-onnx");
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), "jpeg-domain-"));
    try {
      for (const opset of [9, 13, 17, 21])
        for (const preprocess of [TORCHVISION, { ...PLAIN, resize: { height: 20, width: 24 } }]) {
          const size = preprocess === TORCHVISION ? { height: 224, width: 224 } : { height: 20, width: 24 };
          const path = join(folder, `${opset}.onnx`);
          writeFileSync(
            path,
            writeOnnx(convertGraph(identity(3, size, opset), { input: "jpeg", preprocess }).graph),
          );
          execFileSync(python, [
            "-c",
            "import sys, onnx; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)",
            path,
          ]);
        }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("says in its metadata what its inputs are", () => {
    const { graph } = convertGraph(identity(3, { height: 224, width: 224 }), { input: "jpeg" });
    expect(readMetadata(graph)).toMatchObject({ input: "jpeg", preprocess: TORCHVISION, planes: "image" });
    expect(graph.inputs.map(({ name }) => name)).toContain("quantization");
  });
});
