import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JpegImageError } from "../packages/coefficients/src/jpeg/errors.js";
import type { JpegComponent } from "../packages/coefficients/src/jpeg/image.js";
import { estimateQuality, qualityTable } from "../packages/coefficients/src/jpeg/quality.js";
import { readCoefficients, readHeader } from "../packages/coefficients/src/jpeg/read.js";
import {
  type EncodeOptions,
  encodeJpeg,
  type PixelPlanes,
  planesFromPixels,
} from "../packages/coefficients/src/transform/encode.js";
import { compress, decompress } from "../packages/coefficients/src/transform/images.js";
import { encodeByTurbo } from "./jpeg/stand-in.js";
import { cjpeg, hasJpegTools, testPicture } from "./jpeg/tools.js";

const color = testPicture(131, 75, 3);
const grey = testPicture(131, 75, 1);
const colorPlanes = planesFromPixels(color.pixels, 131, 75);
const greyPlanes = planesFromPixels(grey.pixels, 131, 75);
const qualities = Array.from({ length: 100 }, (_, index) => index + 1);

/** The share of coefficients that differ, and the largest difference. */
function differences(ours: Uint8Array, theirs: Uint8Array): { share: number; most: number } {
  const [a, b] = [readCoefficients(ours), readCoefficients(theirs)];
  let [differ, all, most] = [0, 0, 0];
  a.components.forEach((component, c) => {
    const other = b.components[c] as JpegComponent;
    const { coefficients: values, ...shape } = component;
    const { coefficients: expected, ...otherShape } = other;
    expect(shape).toEqual(otherShape);
    values.forEach((value, at) => {
      const by = Math.abs(value - (expected[at] as number));
      all++;
      if (by > 0) differ++;
      most = Math.max(most, by);
    });
  });
  return { share: differ / all, most };
}

const tools = hasJpegTools();

/** cjpeg's file; without cjpeg the npm package's, which has 8-bit tables and the fast transform. */
const encoded = (pnm: Uint8Array, quality: number, args: string[]): Uint8Array | undefined =>
  tools
    ? cjpeg(["-dct", "float", "-quality", String(quality), ...args], pnm)
    : args.length === 0 || args[0] === "-sample"
      ? encodeByTurbo(pnm, quality, args[1])
      : undefined;

describe("against cjpeg, or libjpeg-turbo's package", () => {
  test("the tables of every quality, also limited to 8 bits", () => {
    const { pnm } = testPicture(8, 8, 3);
    for (const quality of qualities) {
      for (const baseline of tools ? [false, true] : [true]) {
        const file = tools
          ? cjpeg(["-quality", String(quality), ...(baseline ? ["-baseline"] : [])], pnm)
          : encodeByTurbo(pnm, quality);
        const [luminance, chrominance] = readHeader(file as Uint8Array).components;
        expect(qualityTable(quality, "luminance", baseline)).toEqual(luminance?.quantization);
        expect(qualityTable(quality, "chrominance", baseline)).toEqual(chrominance?.quantization);
      }
    }
  });

  const ways: [options: EncodeOptions, args: string[]][] = [
    [{}, []],
    [{ subsampling: "4:4:4" }, ["-sample", "1x1"]],
    [{ subsampling: "4:2:2" }, ["-sample", "2x1"]],
    [{ subsampling: "4:4:0" }, ["-sample", "1x2"]],
    [{ subsampling: "4:1:1" }, ["-sample", "4x1"]],
    [{ subsampling: [3, 2] }, ["-sample", "3x2"]],
    [{ colorSpace: "rgb" }, ["-rgb"]],
  ];
  const possible = ways.filter(([, args]) => encoded(color.pnm, 75, args) !== undefined);
  test.each(possible)(
    "coefficients of %o equal those of cjpeg -dct float, up to rounding",
    (options, args) => {
      for (const [quality, share, most] of [
        [20, 0.005, 1],
        [75, 0.02, 1],
        [95, 0.1, 2],
      ] as const) {
        const ours = encodeJpeg(colorPlanes, { ...options, quality, baseline: !tools });
        const theirs = encoded(color.pnm, quality, args) as Uint8Array;
        const found = differences(ours, theirs);
        // With the fast transform a few more are off by one.
        expect(found.share).toBeLessThan(tools ? share : 1.5 * share);
        expect(found.most).toBeLessThanOrEqual(tools ? most : most + 1);
      }
    },
  );

  test.runIf(tools)(
    "grayscale, where nothing is rounded before: equal except for values half way between two",
    () => {
      const { pnm, pixels } = testPicture(128, 72, 1);
      const shifted = Float32Array.from(pixels, (value) => value - 128);
      for (const quality of [5, 50, 90, 100]) {
        const theirs = readCoefficients(encoded(pnm, quality, []) as Uint8Array);
        const ours = readCoefficients(encodeJpeg(planesFromPixels(pixels, 128, 72), { quality }));
        const { coefficients, quantization } = ours.components[0] as JpegComponent;
        const unrounded = compress(shifted, [1, 1, 72, 128], { table: quantization }).data;
        theirs.components[0]?.coefficients.forEach((value, at) => {
          const exact = unrounded[at] as number;
          if (value !== coefficients[at])
            expect(Math.abs(exact - Math.floor(exact) - 0.5)).toBeLessThan(1e-4);
        });
      }
    },
  );
});

test("coefficients are rounded to the nearest: at quality 100 decompressing gives the pixels, up to rounding", () => {
  const { components } = readCoefficients(encodeJpeg(greyPlanes, { quality: 100 }));
  const { coefficients, quantization, blocksHigh, blocksWide } = components[0] as JpegComponent;
  const tensor = { data: Float32Array.from(coefficients), shape: [1, 1, blocksHigh, blocksWide, 64] };
  const { data } = decompress(tensor, { table: quantization });
  grey.pixels.forEach((pixel, at) => {
    const [y, x] = [Math.floor(at / 131), at % 131];
    // 64 coefficients, each off by at most a half: an error of 4 in the worst case, and usually far less.
    expect(Math.abs((data[y * blocksWide * 8 + x] as number) + 128 - pixel)).toBeLessThan(1.5);
  });
});

test("float and clamped planes give the same as bytes; values outside are clamped to 0 or 255", () => {
  const bytes = encodeJpeg(colorPlanes);
  for (const make of [Float32Array, Float64Array, Uint8ClampedArray]) {
    const planes = colorPlanes.planes.map((plane) => make.from(plane));
    expect(encodeJpeg({ ...colorPlanes, planes })).toEqual(bytes);
  }
  const floats = Float32Array.from(greyPlanes.planes[0] as Uint8Array, (value) => (value > 128 ? 300 : -7));
  const clamped = Uint8Array.from(floats, (value) => (value > 0 ? 255 : 0));
  expect(encodeJpeg({ ...greyPlanes, planes: [floats] })).toEqual(
    encodeJpeg({ ...greyPlanes, planes: [clamped] }),
  );
});

test("the largest values that samples can give have codes at quality 100", () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 256, maxLength: 256 }),
      fc.boolean(),
      (bits, progressive) => {
        const plane = Uint8Array.from(bits, (bit) => (bit ? 255 : 0));
        const image: PixelPlanes = { width: 16, height: 16, colorSpace: "grayscale", planes: [plane] };
        expect(readCoefficients(encodeJpeg(image, { quality: 100, progressive })).components).toHaveLength(1);
      },
    ),
  );
  // The frequency whose basis has the same magnitude everywhere, and the block's mean.
  for (const sign of [(x: number) => (((x + 1) >> 1) & 1) === 0, () => true, () => false]) {
    const plane = Uint8Array.from({ length: 64 }, (_, at) => (sign(at % 8) ? 255 : 0));
    encodeJpeg({ width: 8, height: 8, colorSpace: "grayscale", planes: [plane] }, { quality: 100 });
  }
});

test("RGBA pixels of a canvas become planes", () => {
  const rgba = new Uint8ClampedArray(4 * 131 * 75).fill(255);
  for (let at = 0; at < 131 * 75; at++) rgba.set(color.pixels.subarray(3 * at, 3 * at + 3), 4 * at);
  expect(planesFromPixels(rgba, 131, 75)).toEqual(colorPlanes);
});

test("segments are written to the file", () => {
  const comment = { marker: 0xfe, data: Uint8Array.of(1, 2, 3) };
  expect(readHeader(encodeJpeg(greyPlanes, { segments: [comment] })).segments[1]).toEqual(comment);
});

test("the quality is recovered from its tables", () => {
  for (const quality of qualities) {
    for (const baseline of [false, true]) {
      const luminance = qualityTable(quality, "luminance", baseline);
      const chrominance = qualityTable(quality, "chrominance", baseline);
      const estimated = estimateQuality(luminance, chrominance);
      expect(estimated.exact).toBe(true);
      // If several qualities have the same tables, the highest.
      expect(estimated.quality).toBeGreaterThanOrEqual(quality);
      expect(qualityTable(estimated.quality, "luminance", baseline)).toEqual(luminance);
      const other = luminance.map((entry, k) => entry + (k === 63 ? 1 : 0));
      expect(estimateQuality(other, chrominance).exact).toBe(false);
      if (quality > 24 && quality < 98) {
        expect(estimated.quality).toBe(quality);
        expect(estimateQuality(other, chrominance).quality).toBe(quality);
        expect(estimateQuality(luminance)).toEqual({ quality, exact: true });
      }
    }
  }
});

test.each<[message: string, image: Partial<PixelPlanes>, options: EncodeOptions]>([
  ["quality 0, expected a whole number from 1 to 100", {}, { quality: 0 }],
  ["quality 75.5", {}, { quality: 75.5 }],
  ["3 planes in grayscale, expected 1", { colorSpace: "grayscale" }, {}],
  ["plane 0 has 9825 values, expected 9900 for 132x75 pixels", { width: 132 }, {}],
  ["plane 1 is NaN in row 0, column 2", { planes: withNaN() }, {}],
  ['subsampling "4:3:3", expected 4:4:4, 4:2:2', {}, { subsampling: "4:3:3" as "4:4:4" }],
  ["subsampling [5,1]", {}, { subsampling: [5, 1] }],
  [
    "planes in ycbcr, a file in rgb: only rgb is converted, to ycbcr",
    { colorSpace: "ycbcr" },
    { colorSpace: "rgb" },
  ],
  ['colour space "lab"', { colorSpace: "lab" as "rgb" }, {}],
  ["an image width of 0", { width: 0, height: 0, planes: [0, 1, 2].map(() => new Uint8Array()) }, {}],
])("refused: %s", (message, image, options) => {
  const encode = () => encodeJpeg({ ...colorPlanes, ...image }, options);
  expect(encode).toThrow(JpegImageError);
  expect(encode).toThrow(message);
});

function withNaN(): Float32Array[] {
  const planes = [0, 1, 2].map(() => new Float32Array(131 * 75));
  (planes[1] as Float32Array)[2] = Number.NaN;
  return planes;
}
