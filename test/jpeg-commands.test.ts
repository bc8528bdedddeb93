import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode } from "fast-png";
import { afterAll, describe, expect, test } from "vitest";
import { mosaicPng } from "../packages/cli/src/views/coefficient-mosaic.js";
import { writeNpy } from "../packages/cli/src/views/npz.js";
import type { JpegComponent, JpegImage } from "../packages/coefficients/src/jpeg/image.js";
import { readCoefficients } from "../packages/coefficients/src/jpeg/read.js";
import { summarizeJpeg } from "../packages/coefficients/src/jpeg/summary.js";
import { encodeJpeg, planesFromPixels } from "../packages/coefficients/src/transform/encode.js";
import { pythonWithNumpy, run, testPicture } from "./jpeg/tools.js";

const MAIN = fileURLToPath(new URL("../packages/cli/dist/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "jpeg-domain-commands-"));
afterAll(() => rmSync(folder, { recursive: true }));

const photo = encodeJpeg(planesFromPixels(testPicture(90, 50, 3).pixels, 90, 50), {
  quality: 60,
  progressive: true,
  restartInterval: 5,
});
const stored = (name: string, bytes: Uint8Array | string) => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const photoFile = stored("photo.jpg", photo);
const textFile = stored("text.jpg", "hello");
const cutFile = stored("cut.jpg", photo.subarray(0, photo.length / 2));

function command(...args: string[]): { status: number | null; output: string; errors: string[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, output: stdout, errors: stderr.split("\n").filter((line) => line !== "") };
}

describe("inspect", () => {
  test("describes a file as text", () => {
    const { status, output, errors } = command("inspect", photoFile);
    expect({ status, errors }).toEqual({ status: 0, errors: [] });
    const lines = output.trimEnd().split("\n");
    expect(lines[0]).toMatch(/photo\.jpg: 90x50 pixels, YCbCr 4:2:0, progressive, .*bits per pixel/);
    expect(output).toMatch(/^ {2}quality {6}60$/m);
    expect(output).toMatch(/component 0 {2}id 1, sampling 2x2, 12x7 blocks, table 0, \d+\.\d % zeros/);
    expect(output).toMatch(/table 0 {6}13 +9 +8 +13 +19 +32 +41 +49$/m); // K.1 times 0.8
    expect(output).toMatch(/scans {8}10, a restart marker every 5 MCUs$/m);
    expect(output).toMatch(/^ {4}0: components 0, 1, 2, frequencies 0 to 0, from bit 1$/m);
    expect(output).toMatch(/segments {5}APP0 \(14 B\)/);
  });

  test("names arithmetic coding", () => {
    const path = fileURLToPath(new URL("cases/jpeg/90-arithmetic-progressive.jpg", import.meta.url));
    expect(command("inspect", path).output).toMatch(/: 56x40 pixels, .*, progressive, arithmetic coded, /);
  });

  test("several files, some of them bad: the others are shown, exit status 1", () => {
    const { status, output, errors } = command(
      "inspect",
      textFile,
      photoFile,
      join(folder, "none.jpg"),
      cutFile,
    );
    expect(status).toBe(1);
    expect(output.match(/pixels/g)).toHaveLength(1);
    expect(errors).toHaveLength(3);
    expect(errors[0]).toMatch(/^error: .*text\.jpg: the file starts with 68 65 6c 6c, expected a JPEG file/);
    expect(errors[1]).toMatch(/^error: .*none\.jpg: no such file$/);
    expect(errors[2]).toMatch(/^error: .*cut\.jpg: byte \d+/);
  });

  test("--json: one object, each file with its fields or its error", () => {
    const { status, output } = command("inspect", "--json", photoFile, textFile);
    expect(status).toBe(1);
    const { files } = JSON.parse(output) as { files: Record<string, unknown>[] };
    expect(files[0]).toEqual({ file: photoFile, kind: "jpeg", ...summarizeJpeg(photo) });
    expect(files[1]).toEqual({ file: textFile, error: expect.stringContaining("expected a JPEG file") });
  });

  test("no files, or an unknown option: exit status 2", () => {
    expect(command("inspect").status).toBe(2);
    expect(command("inspect", "--josn", photoFile).status).toBe(2);
  });
});

test("a summary counts the coefficients' zeros, and gives orientation and profile", () => {
  const exif = "Exif\0\0MM\0*\0\0\0\b\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
  const app = (marker: number, text: string) =>
    Buffer.concat([Buffer.from([0xff, marker, 0, 2 + text.length]), Buffer.from(text, "latin1")]);
  const icc = app(0xe2, "ICC_PROFILE\0\x01\x01profile");
  const file = Buffer.concat([
    photo.subarray(0, 20),
    app(0xe1, exif),
    icc,
    app(0xfe, "hi"),
    photo.subarray(20),
  ]);
  const summary = summarizeJpeg(file);
  expect(summary).toMatchObject({
    fileBytes: file.length,
    width: 90,
    height: 50,
    progressive: true,
    colorSpace: "ycbcr",
    subsampling: "4:2:0",
    quality: { quality: 60, exact: true },
    restartInterval: 5,
    orientation: 6,
    iccProfileBytes: 7,
    segments: [
      { name: "APP0", bytes: 14 },
      { name: "APP1", bytes: exif.length },
      { name: "APP2", bytes: 21 },
      { name: "comment", bytes: 2 },
    ],
  });
  const values = readCoefficients(photo).components.flatMap(({ coefficients }) => Array.from(coefficients));
  expect(summary.zeroShare).toBe(values.filter((value) => value === 0).length / values.length);
  expect(summary.components.map(({ table }) => table)).toEqual([0, 1, 1]);
});

describe("coefficients", () => {
  const out = join(folder, "new", "photo.npz");
  const png = join(folder, "photo.png");

  test("writes arrays and a picture", () => {
    const { status, output, errors } = command("coefficients", photoFile, "--out", out, "--png", png);
    expect({ status, errors }).toEqual({ status: 0, errors: [] });
    expect(output).toMatch(/photo\.npz: \[7, 12, 64\], \[4, 6, 64\], \[4, 6, 64\], .*\n.*photo\.png: /);
    const { width, height } = decode(readFileSync(png));
    expect(width).toBeGreaterThan(600);
    expect(height).toBeGreaterThan(600);
  });

  const python = pythonWithNumpy();
  test.runIf(python)("NumPy reads them, without pickles", () => {
    const script = `
import json, sys, numpy
arrays = numpy.load(sys.argv[1], allow_pickle=False)
print(json.dumps({name: [str(a.dtype), a.shape, a.flatten().tolist()] for name, a in arrays.items()}))`;
    const found = JSON.parse(run(python as string, ["-c", script, out]).toString()) as Record<
      string,
      unknown
    >;
    const expected: Record<string, unknown> = { size: ["int32", [2], [50, 90]] };
    readCoefficients(photo).components.forEach(
      ({ blocksHigh, blocksWide, coefficients, quantization }, c) => {
        expected[`component${c}`] = ["int16", [blocksHigh, blocksWide, 64], Array.from(coefficients)];
        expected[`quantization${c}`] = ["uint16", [64], Array.from(quantization)];
      },
    );
    expect(found).toEqual(expected);
  });

  test("nothing to write, a bad file, a path that cannot be written: one line and the exit status", () => {
    const nothing = command("coefficients", photoFile);
    expect(nothing.status).toBe(2);
    expect(nothing.errors[0]).toMatch(/^error: nothing to write, expected --out FILE\.npz or --png/);
    const bad = command("coefficients", cutFile, "--out", out);
    expect(bad.status).toBe(1);
    expect(bad.errors).toEqual([expect.stringMatching(/^error: .*cut\.jpg: byte \d+/)]);
    const nowhere = command("coefficients", photoFile, "--out", join(photoFile, "x.npz"));
    expect(nowhere.status).toBe(1);
    expect(nowhere.errors).toEqual([expect.stringMatching(/^error: .*x\.npz: part of the path is a file/)]);
  });
});

test("an .npy's data starts at a multiple of 64 bytes, whatever its shape", () => {
  for (const shape of [
    [12],
    [3, 4],
    [1, 2, 1, 6],
    Array.from({ length: 30 }, (_, i) => (i === 0 ? 12 : 1)),
  ]) {
    const data = Int16Array.from({ length: 12 }, (_, i) => i - 5);
    const file = writeNpy({ data, shape });
    expect((file.length - data.byteLength) % 64).toBe(0);
    expect(new Int16Array(file.slice(-data.byteLength).buffer)).toEqual(data);
  }
});

describe("the picture", () => {
  const component = (over: Partial<JpegComponent> = {}): JpegComponent => ({
    id: 1,
    horizontalSampling: 1,
    verticalSampling: 1,
    blocksWide: 2,
    blocksHigh: 1,
    quantization: new Uint16Array(64).fill(1),
    coefficients: new Int16Array(128),
    ...over,
  });
  const image = (...components: JpegComponent[]): JpegImage => ({
    width: 16,
    height: 8,
    progressive: false,
    colorSpace: "grayscale",
    components,
  });
  const pixels = (jpeg: JpegImage) => {
    const { width, data } = decode(mosaicPng(jpeg));
    return (x: number, y: number) => Array.from(data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3));
  };
  const [WHITE, GREY] = [
    [255, 255, 255],
    [85, 85, 85],
  ];

  test("shows every value twice: by block above, by frequency below", () => {
    const coefficients = new Int16Array(128);
    coefficients[0] = -100; // block 0's mean
    coefficients[64 + 2] = 100; // block 1, one half wave down its columns
    const at = pixels(image(component({ coefficients })));
    const [blue, red] = [
      [33, 102, 172],
      [178, 24, 43],
    ];
    // 10 pixels per value, a margin of 12, a line between: block 1 starts at 12 + 80 + 1, frequencies at 12 + 80 + 12.
    expect(at(11, 12)).toEqual(GREY);
    expect(at(12, 12)).toEqual(blue);
    expect(at(22, 12)).toEqual(WHITE);
    expect(at(92, 12)).toEqual(GREY);
    expect(at(93, 12 + 10)).toEqual(red);
    expect(at(12, 104)).toEqual(blue);
    expect(at(22, 104)).toEqual(WHITE);
    expect(at(12 + 10, 104 + 11)).toEqual(red);
  });

  test("1 and 0 have different colours", () => {
    const coefficients = new Int16Array(128);
    coefficients.set([1000, 1]);
    const [, green] = pixels(image(component({ coefficients })))(22, 12) as [number, number, number];
    expect(green).toBeLessThan(230);
  });

  test("no values at all, and an image far larger than the picture", () => {
    expect(pixels(image(component()))(12, 12)).toEqual(WHITE);
    const [blocksWide, blocksHigh] = [1000, 2];
    const coefficients = new Int16Array(blocksWide * blocksHigh * 64);
    coefficients[64 * 999 + 5] = 3;
    const { width, height, data } = decode(
      mosaicPng(image(component({ blocksWide, blocksHigh, coefficients }))),
    );
    expect(width).toBeLessThan(3000);
    expect(height).toBeLessThan(200);
    // A single value is not lost when the picture is reduced: once above, once below.
    let coloured = 0;
    for (let at = 0; at < data.length; at += 3) if (data[at] !== data[at + 2]) coloured++;
    expect(coloured).toBe(2);
  });
});
