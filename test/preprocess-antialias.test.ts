/**
 * Resizing without antialiasing, in all three forms, against PyTorch's `interpolate`, torchvision on tensors and OpenCV,
 * whose numbers test/reference/antialias.py wrote to test/cases/antialias.json.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readCoefficients } from "@jpeg-domain/coefficients";
import {
  checkPreprocess,
  convertGraph,
  fillPlanes,
  type Preprocess,
  PreprocessError,
  parsePreprocessorConfig,
  readMetadata,
  readOnnx,
  readPreprocess,
  writeOnnx,
  writePreprocess,
} from "@jpeg-domain/conversion";
import { describe, expect, test } from "vitest";
import { toldSteps } from "../packages/conversion/src/convert/preparation.js";
import { planesOf } from "../packages/conversion/src/preprocess/reference/planes.js";
import { PLAIN } from "./jpeg/pixels.js";
import { byGraph, filled, identity, jpegOf } from "./jpeg/preprocess.js";

const read = (name: string) => readFileSync(fileURLToPath(new URL(`cases/${name}`, import.meta.url)));

interface Row {
  by: "torch" | "vision" | "opencv";
  picture: string;
  resample: "bilinear" | "bicubic";
  height: number;
  width: number;
  /** Channel, row and column of each level. */
  places: number[];
  levels: number[];
}
const rows = JSON.parse(read("antialias.json").toString()) as Row[];

/** The largest difference in levels. torchvision and OpenCV round to bytes; OpenCV's weights have 11 bits. */
const MOST = { torch: 0.6, vision: 1.1, opencv: 1.6 };
/** WebAssembly repeats the arithmetic of PIL's decoder, the other forms do not: 3 levels apart, on average under 0.1. */
const DECODED = { reference: 3, WebAssembly: 0, graph: 3 };

async function planesBy(jpeg: Uint8Array, preprocess: Preprocess, size: { height: number; width: number }) {
  const [graph = []] = await byGraph([jpeg], preprocess, size);
  return {
    reference: planesOf(readCoefficients(jpeg), preprocess).data,
    WebAssembly: filled(jpeg, preprocess, size),
    graph,
  };
}

test.each(
  rows.map(
    (row) => [`${row.by}, ${row.resample}, ${row.picture} to ${row.height}x${row.width}`, row] as const,
  ),
)("%s", async (_, { by, picture, resample, height, width, places, levels }) => {
  const jpeg = new Uint8Array(read(`hf/${picture}.jpg`));
  const size = { height, width };
  const forms = await planesBy(jpeg, { ...PLAIN, resize: size, resample, antialias: false }, size);
  for (const [form, planes] of Object.entries(forms)) {
    const differences = levels.map((level, i) => {
      const [channel = 0, row = 0, column = 0] = places.slice(3 * i);
      return Math.abs((planes[(channel * height + row) * width + column] as number) - level);
    });
    const most = MOST[by] + DECODED[form as keyof typeof forms];
    expect(Math.max(...differences), form).toBeLessThan(most);
    expect(differences.reduce((sum, value) => sum + value) / levels.length, form).toBeLessThan(0.6);
  }
});

test("the rows tell a filter that is antialiased, and one that is not, apart", () => {
  for (const { picture, resample, height, width, places, levels } of rows.filter(
    (row) => row.height === 24,
  )) {
    const size = { height, width };
    const planes = filled(
      new Uint8Array(read(`hf/${picture}.jpg`)),
      { ...PLAIN, resize: size, resample },
      size,
    );
    const differences = levels.map((level, i) => {
      const [channel = 0, row = 0, column = 0] = places.slice(3 * i);
      return Math.abs((planes[(channel * height + row) * width + column] as number) - level);
    });
    expect(Math.max(...differences)).toBeGreaterThan(5);
  }
});

test("the whole inverse transform is taken, however small the result", () => {
  const jpeg = jpegOf(160, 120, ["-progressive"]);
  const size = { channels: 3, height: 6, width: 8 };
  const preprocess: Preprocess = { ...PLAIN, resize: { height: 6, width: 8 } };
  const out = new Float32Array(3 * 6 * 8);
  expect(fillPlanes(jpeg, preprocess, size, out).scale).toBe(1);
  expect(fillPlanes(jpeg, { ...preprocess, antialias: false }, size, out).scale).toBe(8);
});

describe("antialias: false", () => {
  test("is checked, and goes through a model's metadata", () => {
    const given = { ...PLAIN, antialias: false };
    expect(checkPreprocess(given)).toEqual(given);
    expect(checkPreprocess({ ...given, resample: "nearest" }).antialias).toBe(false);
    const graph = identity(3, { height: 8, width: 8 });
    writePreprocess(graph, { ...given, resize: { height: 8, width: 8 } });
    expect(readPreprocess(readOnnx(writeOnnx(graph)))?.antialias).toBe(false);
    const { graph: made } = convertGraph(graph, { input: "jpeg" });
    expect(readMetadata(made)?.preprocess?.antialias).toBe(false);
    expect(toldSteps(given).join(", ")).not.toContain("antialiasing");
    expect(toldSteps({ ...given, resize: { height: 8, width: 8 } }).join(", ")).toContain(
      "resize to 8x8, bilinear without antialiasing",
    );
  });

  test.each(["box", "hamming", "lanczos"] as const)("is refused with %s", (resample) => {
    const check = () => checkPreprocess({ ...PLAIN, resample, antialias: false });
    expect(check).toThrow(PreprocessError);
    expect(check).toThrow(
      `preprocess.antialias is false; expected true with ${resample}; only nearest, bilinear, bicubic can be without`,
    );
  });

  test("is what DepthPro's processor does, by PyTorch's bilinear alone", () => {
    const config = { image_processor_type: "DepthProImageProcessor", size: { height: 90, width: 77 } };
    const preprocess = parsePreprocessorConfig(config);
    expect(preprocess).toMatchObject({
      resize: config.size,
      resample: "bilinear",
      antialias: false,
      mean: [0.5, 0.5, 0.5],
    });
    expect(parsePreprocessorConfig({ image_processor_type: "DepthProImageProcessorFast" })).toMatchObject({
      resize: { height: 1536, width: 1536 },
      antialias: false,
    });
    // It resizes what is normalised, which is the same.
    for (const { picture, places, levels } of rows.filter(
      (row) => row.by === "torch" && row.resample === "bilinear" && row.height === 90,
    )) {
      const planes = filled(new Uint8Array(read(`hf/${picture}.jpg`)), preprocess, config.size);
      levels.forEach((level, i) => {
        const [channel = 0, row = 0, column = 0] = places.slice(3 * i);
        const found = planes[(channel * 90 + row) * 77 + column] as number;
        expect(Math.abs(found - (level / 255 - 0.5) / 0.5)).toBeLessThan(0.6 / 127.5);
      });
    }
    expect(() => parsePreprocessorConfig({ ...config, resample: 3 })).toThrow(
      /^resample is 3; expected 2 \(bilinear\), the only one supported without antialiasing$/,
    );
  });
});
