/**
 * Our pixels against libjpeg-turbo's, and our resampling against PIL's, in levels of 0 to 255. A sample at a half may be
 * rounded either way, and the colour conversion makes up to 3 levels of that.
 */

import { readCoefficients } from "@jpeg-domain/coefficients";
import { describe, expect, test } from "vitest";
import { FILTERS } from "../packages/conversion/src/preprocess/filters.js";
import { geometry } from "../packages/conversion/src/preprocess/geometry.js";
import { type Job, jobOf } from "../packages/conversion/src/preprocess/job.js";
import { type Preprocess, TORCHVISION } from "../packages/conversion/src/preprocess/preprocess.js";
import { planesOf } from "../packages/conversion/src/preprocess/reference/planes.js";
import { scaledLayout } from "../packages/conversion/src/preprocess/scaling.js";
import { taps } from "../packages/conversion/src/preprocess/taps.js";
import { engines } from "../packages/conversion/src/preprocess/wasm/engine.js";
import { PlaneWriter } from "../packages/conversion/src/preprocess/wasm/planes.js";
import { Program } from "../packages/conversion/src/preprocess/wasm/program.js";
import { crop, photographs } from "./jpeg/photographs.js";
import { compare, djpeg, djpegPnm, oriented, PLAIN, pil, pythonWithPil, within } from "./jpeg/pixels.js";
import { byGraph, filled, jpegOf, SAMPLINGS } from "./jpeg/preprocess.js";
import { cjpeg, describeWith, hasJpegTools, testPicture } from "./jpeg/tools.js";

const TOOLS = hasJpegTools();
const PYTHON = pythonWithPil();

/** Our planes of the whole image at a scale, by WebAssembly. */
function pixelsAt(jpeg: Uint8Array, scale: number): Float32Array {
  const image = readCoefficients(jpeg);
  const layout = scaledLayout(image, scale);
  const { width, height } = layout;
  const [rows, columns] = [height, width].map((length) => taps(FILTERS.bilinear, length, length));
  const job = { ...jobOf(image, PLAIN), scale, layout, rows, columns } as Job;
  const { components } = image;
  const program = new Program(job, PLAIN, image);
  const engine = engines.take();
  program.write(engine);
  const writer = new PlaneWriter(engine, program, components);
  const parts = components.map(({ coefficients }) => coefficients);
  writer.add({ from: 0, to: Number.POSITIVE_INFINITY, parts, kept: 64 });
  const out = new Float32Array(3 * width * height);
  writer.finish(out);
  return out;
}

describe("pixels against libjpeg-turbo's, djpeg -dct int", () => {
  const [photograph] = photographs();
  const part = photograph ? crop(djpegPnm(photograph), 397, 301) : testPicture(397, 301, 3).pnm;
  const cases = SAMPLINGS.flatMap(([name, args]) => [50, 75, 85, 95].map((q) => [name, q, args] as const));

  test.each(cases)("a photograph, if there is one, %s, quality %i", async (name, quality, args) => {
    const jpeg = new Uint8Array(cjpeg(["-quality", String(quality), ...args], part));
    const { data: expected, ...size } = djpeg(jpeg);
    const [graph = []] = await byGraph([jpeg], PLAIN, size);
    within(filled(jpeg, PLAIN, size), expected, 0.1, 3, `WebAssembly, ${name}`);
    within(graph, expected, 0.1, 3, `graph, ${name}`);
    within(planesOf(readCoefficients(jpeg), PLAIN).data, expected, 0.1, 3, `definition, ${name}`);
  });

  test.each([
    [1, 1],
    [17, 33],
    [8, 8],
    [3, 40],
    [250, 7],
  ])("%i x %i", (width, height) => {
    for (const [name, args] of SAMPLINGS)
      for (const mode of [[], ["-progressive"]]) {
        const jpeg = jpegOf(width, height, [...args, ...mode]);
        within(pixelsAt(jpeg, 8), djpeg(jpeg).data, 0.1, 3, `${name} ${mode}`);
      }
  });

  test("red, green and blue components", () => {
    const jpeg = jpegOf(50, 41, ["-rgb"]);
    within(pixelsAt(jpeg, 8), djpeg(jpeg).data, 0.1, 2, "rgb");
  });
});

describeWith(TOOLS, "djpeg", "pixels at a scale against libjpeg-turbo's, djpeg -dct int", () => {
  test.each([3, 5, 6, 7])("at %i/8", (scale) => {
    for (const [name, args] of SAMPLINGS)
      for (const [width, height] of [
        [100, 75],
        [17, 33],
        [1, 1],
      ] as const) {
        const jpeg = jpegOf(width, height, args);
        within(pixelsAt(jpeg, scale), djpeg(jpeg, scale).data, 0.15, 3, `${name} ${width}x${height}`);
      }
  });

  test("equal at 1/8 for grayscale and 4:4:4, and near libjpeg's averages at 2/8 and 4/8", () => {
    // For these scales libjpeg-turbo takes means of pixels (jidctred.c), not the lowest frequencies.
    const gray = jpegOf(101, 75, ["-grayscale"]);
    within(pixelsAt(gray, 1), djpeg(gray, 1).data, 0.1, 1, "1/8");
    const fine = jpegOf(101, 75, ["-sample", "1x1"]);
    within(pixelsAt(fine, 1), djpeg(fine, 1).data, 0.1, 3, "1/8, 4:4:4");
    for (const scale of [2, 4]) {
      const { mean } = compare(pixelsAt(gray, scale), djpeg(gray, scale).data);
      expect(mean).toBeLessThan(1.5);
    }
  });
});

describeWith(PYTHON !== undefined, "PIL and NumPy", "against PIL", () => {
  const jpeg = jpegOf(150, 100, ["-quality", "90", "-sample", "2x2"]);

  test.each(["nearest", "bilinear", "bicubic", "lanczos"] as const)("%s", (resample) => {
    // Not below 7/8, so that the whole inverse transform is used and only the resampling can differ from PIL's.
    // Sizes for which no centre is between two pixels, where PIL's nearest depends on float32.
    for (const [width, height] of [
      [140, 96],
      [150, 100],
      [202, 264],
    ] as const) {
      const size = { width, height };
      const expected = pil(PYTHON as string, jpeg, resample, [width, height, 0, 0, width, height]);
      const found = filled(jpeg, { ...PLAIN, resize: size, resample }, size);
      // PIL rounds to bytes after each direction.
      within(
        found,
        expected,
        resample === "nearest" ? 0.1 : 0.5,
        resample === "lanczos" ? 6 : 4,
        `${width}x${height}`,
      );
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("orientation %i", (orientation) => {
    const preprocess: Preprocess = {
      ...PLAIN,
      resize: { shortestEdge: 99 },
      crop: { height: 91, width: 88 },
    };
    const file = oriented(jpeg, orientation);
    const { width, height } = orientation > 4 ? { width: 100, height: 150 } : { width: 150, height: 100 };
    const { resized, crop: part } = geometry(preprocess, { width, height });
    const numbers = [resized.width, resized.height, part.left, part.top, part.width, part.height];
    const expected = pil(PYTHON as string, file, "bilinear", numbers);
    within(filled(file, preprocess, { height: 91, width: 88 }), expected, 0.5, 4, "upright");
  });

  test("a photograph that shrinks: the scaled inverse transform stays near PIL's result from all pixels", () => {
    const [photograph] = photographs();
    if (photograph === undefined) return;
    const part = crop(djpegPnm(photograph), 1200, 900);
    const small = new Uint8Array(cjpeg(["-quality", "85"], part));
    const { resized, crop: middle } = geometry(TORCHVISION, { width: 1200, height: 900 });
    const numbers = [resized.width, resized.height, middle.left, middle.top, 224, 224];
    const expected = pil(PYTHON as string, small, "bilinear", numbers);
    const found = filled(
      small,
      { ...TORCHVISION, rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
      {
        height: 224,
        width: 224,
      },
    );
    expect(compare(found, expected).mean).toBeLessThan(1);
  });
});
