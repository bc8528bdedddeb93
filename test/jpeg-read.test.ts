import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  JpegError,
  readCoefficients,
  readHeader,
  releasePool,
  writeCoefficients,
} from "@jpeg-domain/coefficients";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { BitWriter, codes, dht, dqt, dri, EOI, SOI, segment, sof, sos, tableOf } from "./jpeg/bits.js";
import { difference, libjpegAnswers, libjpegProgram } from "./jpeg/libjpeg.js";
import { crop, hasTools, photographs, tool } from "./jpeg/photographs.js";
import { sharpPixels } from "./jpeg/stand-in.js";
import { cjpeg, describeWith, testPicture } from "./jpeg/tools.js";

const folder = mkdtempSync(join(tmpdir(), "jpeg-domain-read-"));
afterAll(() => rmSync(folder, { recursive: true }));

const sources = photographs();
const tools = hasTools();
const libjpeg = libjpegProgram() !== undefined;

/** The top left corner of a photograph, with a size that is no multiple of any MCU's; a generated picture if there is none. */
const ppm = (width = 301, height = 203): Uint8Array =>
  tools && sources[0]
    ? crop(tool("djpeg", ["-ppm", "-scale", "1/4"], sources[0]), width, height)
    : testPicture(width, height, 3).pnm;

const cjpegOf = (options: string[], image: Uint8Array) => new Uint8Array(cjpeg(options, image));

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/**
 * Expects libjpeg's coefficients, block for block, and no warning from libjpeg. Without libjpeg it expects that our
 * coefficients, written again in another form, give the same pixels in sharp.
 */
async function expectSame(files: Record<string, Uint8Array>): Promise<void> {
  if (!libjpeg) {
    for (const [name, file] of Object.entries(files)) {
      const image = readCoefficients(file);
      const again = writeCoefficients(image, { progressive: !image.progressive, restartInterval: 5 });
      expect((await sharpPixels(again)).equals(await sharpPixels(file)), name).toBe(true);
    }
    return;
  }
  const answers = libjpegAnswers(Object.values(files));
  Object.entries(files).forEach(([name, file], index) => {
    const answer = answers[index];
    if (answer === undefined || typeof answer === "string")
      throw new Error(`${name}: libjpeg says ${answer}`);
    expect(answer.warnings, name).toBe(0);
    expect(difference(readCoefficients(file), answer), name).toBeUndefined();
  });
}

describe("libjpeg's coefficients", () => {
  test.skipIf(sources.length === 0)("of real photographs, as their package has them", async () => {
    await expectSame(Object.fromEntries(sources.map((file, index) => [`photograph ${index}`, file])));
  });

  test("in every mode of cjpeg, at every quality", async () => {
    const image = ppm();
    const modes: Record<string, string[]> = {
      baseline: [],
      optimised: ["-optimize"],
      progressive: ["-progressive"],
      "restart markers in every row": ["-restart", "1"],
      "restart markers in every MCU": ["-restart", "1B"],
      "progressive with restart markers": ["-progressive", "-restart", "3B"],
      grayscale: ["-grayscale"],
      "grayscale progressive": ["-grayscale", "-progressive"],
      RGB: ["-rgb"],
    };
    const files: Record<string, Uint8Array> = {};
    for (const [name, options] of Object.entries(modes))
      for (const quality of [1, 20, 50, 75, 95, 100])
        files[`${name}, quality ${quality}`] = cjpegOf(["-quality", `${quality}`, ...options], image);
    // 16-bit quantisation tables, in SOF1.
    files["16-bit tables"] = cjpegOf(["-quality", "1", "-qslots", "0,1,1"], image);
    await expectSame(files);
  });

  test("in every mix of sampling factors that libjpeg writes", async () => {
    const image = ppm();
    const files: Record<string, Uint8Array> = {};
    for (const sampling of [
      "1x1",
      "2x1",
      "1x2",
      "2x2",
      "4x1",
      "1x4",
      "4x2",
      "2x4",
      "2x2,1x2,2x1",
      "1x1,2x2,1x1",
      "2x1,1x2,1x1",
      "1x2,2x1,1x1",
      "2x2,2x1,1x1",
      "1x1,1x1,2x2",
    ])
      for (const options of [[], ["-progressive"], ["-restart", "2B"]])
        files[`${sampling} ${options}`] = cjpegOf(["-sample", sampling, ...options], image);
    await expectSame(files);
  });

  test("of every size from 1x1 to 33x17", async () => {
    const whole = ppm();
    const files: Record<string, Uint8Array> = {};
    for (const width of [1, 2, 7, 8, 9, 15, 16, 17, 33])
      for (const height of [1, 3, 8, 9, 16, 17])
        for (const options of [[], ["-progressive"]])
          files[`${width}x${height} ${options}`] = cjpegOf(options, crop(whole, width, height));
    await expectSame(files);
  });

  test("with scan scripts of every kind", async () => {
    const image = ppm();
    const scripts: Record<string, string> = {
      "one scan for each component": "0;\n1;\n2;\n",
      "two components together": "0,2;\n1;\n",
      "spectral selection only":
        "0,1,2: 0-0, 0, 0;\n0: 1-5, 0, 0;\n0: 6-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n",
      "86 scans, more than are decoded side by side": `0,1,2: 0-0, 0, 0;\n${[2, 2, 3].map((step, c) => Array.from({ length: Math.ceil(63 / step) }, (_, i) => `${c}: ${1 + i * step}-${Math.min(63, (i + 1) * step)}, 0, 0;\n`).join("")).join("")}`,
      "many bits of successive approximation": `0: 0-0, 0, 4;\n1: 0-0, 0, 3;\n2: 0-0, 0, 0;\n${[0, 1, 2].map((c) => `${c}: 1-63, 0, 5;\n${[5, 4, 3, 2, 1].map((bit) => `${c}: 1-63, ${bit}, ${bit - 1};\n`).join("")}`).join("")}0: 0-0, 4, 3;\n0,1: 0-0, 3, 2;\n0,1: 0-0, 2, 1;\n0,1: 0-0, 1, 0;\n`,
    };
    const files: Record<string, Uint8Array> = {};
    Object.entries(scripts).forEach(([name, text], index) => {
      for (const options of [[], ["-restart", "2B"]])
        files[`${name} ${options}`] = cjpegOf(
          ["-quality", "90", "-scans", script(`${index}.txt`, text), ...options],
          image,
        );
    });
    await expectSame(files);
  });

  test("with the standard's tables if the file has none, as in Motion JPEG", async () => {
    const whole = cjpegOf([], ppm());
    await expectSame({ "no DHT": withoutSegments(whole, 0xc4) });
  });

  test("with fill bytes before every marker", async () => {
    const whole = cjpegOf(["-restart", "1", "-progressive"], ppm(64, 64));
    const filled: number[] = [];
    for (const [at, byte] of whole.entries()) {
      // Only before real markers: an 0xff in a segment may look like one.
      const next = whole[at + 1] as number;
      if (byte === 0xff && at > 2 && next >= 0xd0 && next < 0xda) filled.push(0xff, 0xff, 0xff);
      filled.push(byte);
    }
    await expectSame({ filled: Uint8Array.from(filled) });
  });

  test("of CMYK and grayscale files from sharp", async () => {
    const image = sharp(sources[0] ?? cjpeg([], ppm(240, 154))).resize(120, 77);
    await expectSame({
      CMYK: await image.clone().toColourspace("cmyk").jpeg().toBuffer(),
      "4:2:0, mozjpeg's scans": await image.clone().jpeg({ mozjpeg: true }).toBuffer(),
      grayscale: await image.clone().grayscale().jpeg({ progressive: true }).toBuffer(),
    });
  });

  describeWith(tools, "libjpeg-turbo's programs", "arithmetic coded", () => {
    test("in every mode, sampling and quality: the same as in the Huffman file", async () => {
      const image = ppm(150, 101);
      const text =
        "0: 0-0, 0, 2;\n1,2: 0-0, 0, 1;\n0: 1-9, 0, 3;\n0: 10-63, 0, 0;\n1: 1-63, 0, 1;\n2: 1-63, 0, 0;\n";
      const refined = `${text}${[3, 2, 1].map((bit) => `0: 1-9, ${bit}, ${bit - 1};\n`).join("")}1: 1-63, 1, 0;\n0: 0-0, 2, 1;\n0,1,2: 0-0, 1, 0;\n`;
      const files: Record<string, Uint8Array> = {};
      for (const sampling of ["1x1", "2x1", "2x2", "1x2", "4x1", "2x2,1x2,2x1", "1x1,1x1,2x2"])
        for (const quality of [5, 75, 100]) {
          const huffman = cjpegOf(["-sample", sampling, "-quality", `${quality}`], image);
          const expected = readCoefficients(huffman).components.map(({ coefficients }) => coefficients);
          for (const mode of [[], ["-progressive"], ["-scans", script("refined.txt", refined)]])
            for (const restart of [[], ["-restart", "1"], ["-restart", "3B"]]) {
              const options = ["-arithmetic", ...mode, ...restart];
              const file = tool("jpegtran", options, huffman);
              const read = readCoefficients(file);
              expect(read.arithmetic).toBe(true);
              read.components.forEach(({ coefficients }, c) => {
                const all = expected[c] as Int16Array;
                expect(Buffer.from(coefficients.buffer).equals(Buffer.from(all.buffer))).toBe(true);
              });
              files[`${sampling}, quality ${quality}, ${options.join(" ")}`] = file;
            }
        }
      files.grayscale = cjpegOf(["-arithmetic", "-grayscale"], image);
      await expectSame(files);
    });

    test.skipIf(!tools || !libjpeg)("cut off anywhere: filled up as libjpeg does; and read in part", () => {
      for (const options of [[], ["-progressive"], ["-restart", "1"], ["-progressive", "-restart", "2B"]]) {
        const file = cjpegOf(["-arithmetic", ...options], ppm(120, 90));
        const start = readHeader(file).firstScan.offset;
        const cuts = Array.from({ length: 60 }, (_, i) =>
          file.subarray(0, start + Math.floor(((file.length - start) * i) / 60)),
        );
        libjpegAnswers(cuts).forEach((answer, index) => {
          const cut = cuts[index] as Uint8Array;
          if (typeof answer !== "object") return;
          const ours = readCoefficients(cut, { tolerant: true });
          expect(difference(ours, answer), `${options}, ${cut.length} bytes`).toBeUndefined();
        });
        const whole = readCoefficients(file);
        for (const kept of [1, 3, 40]) {
          const part = readCoefficients(file, { coefficients: kept });
          part.components.forEach(({ coefficients }, c) => {
            const all = whole.components[c]?.coefficients as Int16Array;
            const first = coefficients.map((_, i) => all[Math.floor(i / kept) * 64 + (i % kept)] as number);
            expect(Buffer.from(coefficients.buffer).equals(Buffer.from(first.buffer))).toBe(true);
          });
        }
      }
    });
  });

  test("the first k coefficients, from only the part of the file that has them", () => {
    for (const options of [[], ["-progressive"], ["-restart", "1"]]) {
      const file = cjpegOf(["-quality", "90", ...options], ppm());
      const whole = readCoefficients(file);
      for (const kept of [1, 2, 6, 20, 63, 64]) {
        const part = readCoefficients(file, { coefficients: kept });
        expect(part.coefficientsPerBlock).toBe(kept);
        part.components.forEach(({ coefficients }, index) => {
          const all = whole.components[index]?.coefficients as Int16Array;
          const expected = Int16Array.from(
            coefficients,
            (_, i) => all[Math.floor(i / kept) * 64 + (i % kept)] as number,
          );
          expect(
            Buffer.from(coefficients.buffer).equals(Buffer.from(expected.buffer)),
            `${options} ${kept}`,
          ).toBe(true);
        });
      }
    }
    // A photograph's DC scans come first and last. If the file is cut in the AC scans, the spectral ones still suffice.
    const spectral = script("dc.txt", "0,1,2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n");
    const file = cjpegOf(["-scans", spectral], ppm());
    const start = file.subarray(0, Math.round(file.length / 3));
    expect(readCoefficients(start, { coefficients: 1 }).components).toEqual(
      readCoefficients(file, { coefficients: 1 }).components,
    );
    expect(() => readCoefficients(start)).toThrow(JpegError);
  });

  test.skipIf(!libjpeg)("tolerant reading of a file cut off anywhere fills up as libjpeg does", () => {
    for (const options of [[], ["-progressive"], ["-restart", "1"]]) {
      const file = cjpegOf(options, ppm(120, 90));
      const cuts = Array.from({ length: 60 }, (_, i) =>
        file.subarray(0, Math.floor((file.length * (i + 20)) / 80)),
      );
      const answers = libjpegAnswers(cuts);
      cuts.forEach((cut, index) => {
        const answer = answers[index];
        if (typeof answer !== "object" || cut.length === file.length) return;
        const ours = readCoefficients(cut, { tolerant: true });
        expect(ours.damage).not.toEqual([]);
        expect(difference(ours, answer), `${options}, ${cut.length} bytes`).toBeUndefined();
        expect(() => readCoefficients(cut)).toThrow(JpegError);
      });
    }
  });

  test("arrays of an image that is no longer needed are reused", () => {
    const [a, b] = [cjpegOf(["-quality", "90"], ppm()), cjpegOf(["-quality", "10"], ppm())];
    const expected = readCoefficients(b);
    const first = readCoefficients(a);
    const arrays = first.components.map(({ coefficients }) => coefficients);
    releasePool();
    const second = readCoefficients(b, { reuse: first });
    expect(second).toEqual(expected);
    second.components.forEach(({ coefficients }, index) => {
      expect(coefficients).toBe(arrays[index]);
    });
  });
});

/** The file without the segments of a marker. */
function withoutSegments(file: Uint8Array, marker: number): Uint8Array {
  const kept: number[] = [...file.subarray(0, 2)];
  let at = 2;
  while (file[at + 1] !== 0xda) {
    const end = at + 2 + (((file[at + 2] as number) << 8) | (file[at + 3] as number));
    if (file[at + 1] !== marker) kept.push(...file.subarray(at, end));
    at = end;
  }
  return Uint8Array.from([...kept, ...file.subarray(at)]);
}

// Files written by hand: DC differences of 0 to 11 bits, and AC codes of several lengths.
const DC = tableOf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const AC = {
  counts: [0, 1, 2, 3, 2, 3, 0, 0, 0, 3, 0, 2, 0, 0, 0, 2],
  symbols: [
    0x00, 0x01, 0x11, 0x02, 0x21, 0xf0, 0x03, 0x31, 0x0a, 0x41, 0x04, 0x05, 0x12, 0xf1, 0x0f, 0x22, 0xe3,
    0x1f,
  ],
};

/** Encodes one block's coefficients. Values with more bits or longer runs than the table has are left out. */
function putBlock(bits: BitWriter, coefficients: number[], prediction: number): void {
  const put = (value: number, size: number) => bits.put(value < 0 ? value + 2 ** size - 1 : value, size);
  const sizeOf = (value: number) => (value === 0 ? 0 : Math.floor(Math.log2(Math.abs(value))) + 1);
  const difference = (coefficients[0] ?? 0) - prediction;
  const dc = codes(DC).get(sizeOf(difference)) as [number, number];
  bits.put(...dc);
  put(difference, sizeOf(difference));
  const table = codes(AC);
  let run = 0;
  for (let k = 1; k < 64; k++) {
    const value = coefficients[k] ?? 0;
    if (value === 0) {
      run++;
      continue;
    }
    for (; run > 15; run -= 16) bits.put(...(table.get(0xf0) as [number, number]));
    bits.put(...(table.get(16 * run + sizeOf(value)) as [number, number]));
    put(value, sizeOf(value));
    run = 0;
  }
  if (run > 0) bits.put(...(table.get(0) as [number, number]));
}

const coded = (...blocks: number[][]) => {
  const bits = new BitWriter();
  let prediction = 0;
  for (const block of blocks) {
    putBlock(bits, block, prediction);
    prediction = block[0] ?? 0;
  }
  return bits.pad().bytes;
};
const HEAD = [...SOI, ...dqt(), ...dht(0x00, DC), ...dht(0x10, AC)];
const GRAY = sof(0xc0, 8, 8, [[1, 1, 1, 0]]);
const SCAN = sos([[1, 0x00]]);
const gray = (...blocks: number[][]) =>
  Uint8Array.from([
    ...HEAD,
    ...sof(0xc0, 8 * blocks.length, 8, [[1, 1, 1, 0]]),
    ...SCAN,
    ...coded(...blocks),
    ...EOI,
  ]);

describe("files written by hand", () => {
  test("any block of small coefficients is read back", () => {
    const ac = fc.array(fc.constantFrom(0, 0, 0, 1, -1), { minLength: 63, maxLength: 63 });
    // Only runs of 0 to 4 and 15 have a code, so other runs are shortened.
    const block = fc.tuple(fc.integer({ min: -1000, max: 1000 }), ac).map(([dc, values]) => {
      let run = 0;
      return [
        dc,
        ...values.map((value) => {
          if (value === 0 && run < 4) {
            run++;
            return 0;
          }
          run = 0;
          return value === 0 ? 1 : value;
        }),
      ];
    });
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 40 }), (blocks) => {
        const image = readCoefficients(gray(...blocks));
        expect([...(image.components[0]?.coefficients ?? [])]).toEqual(blocks.flat());
      }),
    );
  });

  test("codes of every length, and values of up to 15 bits", () => {
    const block = [
      -1023,
      31,
      -16,
      0,
      2,
      0,
      0,
      -1,
      1023,
      -512,
      ...new Array<number>(15).fill(0),
      1,
      0,
      3,
      0,
      -16384,
      32767,
    ];
    const image = readCoefficients(gray(block, [5]));
    expect([...(image.components[0]?.coefficients.subarray(0, block.length) ?? [])]).toEqual(block);
  });

  test("colour spaces by the JFIF and Adobe markers, as in libjpeg", () => {
    const jfif = segment(0xe0, [...Buffer.from("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]);
    const adobe = (transform: number) =>
      segment(0xee, [...Buffer.from("Adobe"), 0, 100, 0, 0, 0, 0, transform]);
    const file = (ids: number[], ...markers: number[][]) =>
      Uint8Array.from([
        ...HEAD,
        ...markers.flat(),
        ...sof(
          0xc0,
          8,
          8,
          ids.map((id) => [id, 1, 1, 0]),
        ),
        ...sos(ids.map((id) => [id, 0])),
        ...coded(...ids.map(() => [])),
        ...EOI,
      ]);
    const space = (ids: number[], ...markers: number[][]) =>
      readCoefficients(file(ids, ...markers)).colorSpace;
    expect(space([1])).toBe("grayscale");
    expect(space([1, 2])).toBe("unknown");
    expect(space([1, 2, 3])).toBe("ycbcr");
    expect(space([0x52, 0x47, 0x42])).toBe("rgb");
    expect(space([0x52, 0x47, 0x42], jfif)).toBe("ycbcr");
    expect(space([1, 2, 3], adobe(0))).toBe("rgb");
    expect(space([1, 2, 3], jfif, adobe(0))).toBe("ycbcr");
    expect(space([1, 2, 3, 4])).toBe("cmyk");
    expect(space([1, 2, 3, 4], adobe(0))).toBe("cmyk");
    expect(space([1, 2, 3, 4], adobe(2))).toBe("ycck");
  });

  test("a table redefined after a component's first scan does not change the component's", () => {
    const scans = [1, 2].map((id) => [...sos([[id, 0]]), ...coded([7 * id])]);
    const file = Uint8Array.from([
      ...HEAD,
      ...sof(0xc0, 8, 8, [
        [1, 1, 1, 0],
        [2, 1, 1, 0],
      ]),
      ...(scans[0] as number[]),
      ...dqt(0, 300, true),
      ...(scans[1] as number[]),
      ...EOI,
    ]);
    const { components } = readCoefficients(file);
    expect(components.map(({ quantization }) => quantization[5])).toEqual([1, 300]);
    expect(components.map(({ coefficients }) => coefficients[0])).toEqual([7, 14]);
  });

  test("comments, APP segments, orientation and ICC profile", () => {
    const exif = (order: string) => {
      const data = Buffer.alloc(6 + 8 + 2 + 12);
      data.write("Exif\0\0");
      const little = order === "II";
      const u16 = (value: number, at: number) =>
        little ? data.writeUInt16LE(value, at) : data.writeUInt16BE(value, at);
      data.write(order, 6);
      u16(42, 8);
      if (little) data.writeUInt32LE(8, 10);
      else data.writeUInt32BE(8, 10);
      u16(1, 14);
      u16(0x112, 16);
      u16(3, 18);
      u16(1, order === "II" ? 20 : 22);
      u16(6, 24);
      return segment(0xe1, [...data]);
    };
    const icc = (number: number, total: number, content: number[]) =>
      segment(0xe2, [...Buffer.from("ICC_PROFILE\0"), number, total, ...content]);
    const comment = segment(0xfe, [...Buffer.from("hello")]);
    for (const order of ["II", "MM"]) {
      const file = Uint8Array.from([
        ...SOI,
        ...exif(order),
        ...icc(2, 2, [4, 5]),
        ...icc(1, 2, [1, 2, 3]),
        ...comment,
        ...gray([1]).subarray(2),
      ]);
      const image = readCoefficients(file, { keepSegments: true });
      expect(image.orientation).toBe(6);
      expect([...(image.iccProfile ?? [])]).toEqual([1, 2, 3, 4, 5]);
      expect(image.segments?.map(({ marker }) => marker)).toEqual([0xe1, 0xe2, 0xe2, 0xfe]);
      expect(Buffer.from(image.segments?.[3]?.data ?? []).toString()).toBe("hello");
      expect(readCoefficients(file).segments).toBeUndefined();
      const header = readHeader(file);
      expect(header).toMatchObject({
        width: 8,
        height: 8,
        progressive: false,
        orientation: 6,
        colorSpace: "grayscale",
      });
      expect(header.components[0]?.quantization).toEqual(new Uint16Array(64).fill(1));
    }
  });

  test("zeros after a scan's data are no error, nor is a restart marker after its last interval", () => {
    const file = [...HEAD, ...GRAY, ...SCAN, ...coded([3])];
    for (const more of [
      [0, 0, 0],
      [0xff, 0xd0],
    ])
      expect(
        readCoefficients(Uint8Array.from([...file, ...more, ...EOI])).components[0]?.coefficients[0],
      ).toBe(3);
  });
});

describe("malformed files, one for each defect", () => {
  const scan = [...SCAN, ...coded([3])];
  const table = (counts: number[], symbols: number[]) =>
    dht(0x00, { counts: [...counts, ...new Array<number>(16 - counts.length).fill(0)], symbols });
  const progressive = (...scans: number[][]) => [
    ...HEAD,
    ...sof(0xc2, 8, 8, [[1, 1, 1, 0]]),
    ...scans.flat(),
    ...EOI,
  ];
  const bits = (length: number) => new BitWriter().put(0, length).pad().bytes;
  const defects: Record<string, [file: number[], message: RegExp]> = {
    "no bytes": [[], /^byte 0: found 0 bytes, expected a JPEG file's ff d8$/],
    "a PNG file": [[0x89, 0x50, 0x4e, 0x47], /found 89 50, expected a JPEG file's ff d8/],
    "nothing after SOI": [[...SOI], /the end of the file, expected a marker/],
    "no frame": [[...SOI, ...EOI], /expected a frame and a scan/],
    "no scan": [[...HEAD, ...GRAY, ...EOI], /expected a frame and a scan/],
    "a scan before the frame": [[...HEAD, ...scan, ...EOI], /expected a frame header \(SOF\) before it/],
    "two frames": [[...HEAD, ...GRAY, ...GRAY, ...scan, ...EOI], /found a second frame/],
    "a second SOI": [[...HEAD, ...SOI, ...GRAY, ...scan, ...EOI], /second start of image/],
    "width 0": [
      [...HEAD, ...sof(0xc0, 0, 8, [[1, 1, 1, 0]]), ...scan, ...EOI],
      /SOF0 \(0xffc0\): found width 0/,
    ],
    "height 0, for DNL": [
      [...HEAD, ...sof(0xc0, 8, 0, [[1, 1, 1, 0]]), ...scan, ...EOI],
      /DNL segment, is not supported/,
    ],
    "no components": [[...HEAD, ...sof(0xc0, 8, 8, []), ...scan, ...EOI], /no components/],
    "five components": [
      [
        ...HEAD,
        ...sof(
          0xc0,
          8,
          8,
          [1, 2, 3, 4, 5].map((id) => [id, 1, 1, 0]),
        ),
        ...scan,
        ...EOI,
      ],
      /5 components are not supported/,
    ],
    "sampling factor 0": [
      [...HEAD, ...sof(0xc0, 8, 8, [[1, 0, 1, 0]]), ...scan, ...EOI],
      /sampling factors 0x1, expected 1 to 4 each/,
    ],
    "sampling factor 5": [
      [...HEAD, ...sof(0xc0, 8, 8, [[1, 5, 1, 0]]), ...scan, ...EOI],
      /sampling factors 5x1/,
    ],
    "12 bits a sample": [
      [...HEAD, ...sof(0xc1, 8, 8, [[1, 1, 1, 0]], 12), ...scan, ...EOI],
      /12 bits a sample are not supported/,
    ],
    "7 bits a sample": [
      [...HEAD, ...sof(0xc0, 8, 8, [[1, 1, 1, 0]], 7), ...scan, ...EOI],
      /found 7 bits a sample, expected 8/,
    ],
    "arithmetic conditioning of an odd length": [
      [...HEAD, ...segment(0xcc, [0, 16, 1])],
      /DAC \(0xffcc\): found length 5, expected two bytes for each slot/,
    ],
    "arithmetic conditioning of slot 32": [[...HEAD, ...segment(0xcc, [32, 0])], /found slot 0x20/],
    "arithmetic conditioning with its bounds exchanged": [
      [...HEAD, ...segment(0xcc, [0, 0x12])],
      /found bounds 2 and 1, expected the lower one first/,
    ],
    "arithmetic coding that makes no sense": [
      [
        ...HEAD,
        ...sof(0xc9, 8, 8, [[1, 1, 1, 0]]),
        ...SCAN,
        ...new Array<number[]>(20).fill([0xff, 0]).flat(),
        ...EOI,
      ],
      /found a value of more than 15 bits in MCU 0 .* of scan 0/,
    ],
    "a lossless frame": [
      [...HEAD, ...sof(0xc3, 8, 8, [[1, 1, 1, 0]])],
      /lossless Huffman coding \(SOF3\) is not supported/,
    ],
    "a hierarchical frame": [
      [...HEAD, ...sof(0xc5, 8, 8, [[1, 1, 1, 0]])],
      /hierarchical sequential coding \(SOF5\)/,
    ],
    "a frame header of the wrong length": [
      [...HEAD, 0xff, 0xc0, 0, 12, 8, 0, 8, 0, 8, 1, 1, 0x11, 0, 0, ...scan],
      /found length 12, expected 11/,
    ],
    "a segment of length 1": [
      [...HEAD, 0xff, 0xdd, 0, 1],
      /DRI \(0xffdd\): found length 1, expected at least 2/,
    ],
    "a segment cut off": [[...HEAD, 0xff, 0xdb, 0, 67, 0, 1, 2], /expected 62 more bytes of the segment/],
    "bytes between segments": [
      [...HEAD, 1, 2, ...GRAY, ...scan, ...EOI],
      /found byte 0x01, expected a marker/,
    ],
    "a reserved marker": [
      [...HEAD, 0xff, 0x02, ...GRAY, ...scan, ...EOI],
      /marker 0xff02, expected a marker of a segment/,
    ],
    "quantisation table 4": [[...SOI, ...dqt(4)], /found table 4, expected 0 to 3/],
    "a quantisation table cut short": [
      [...SOI, ...segment(0xdb, [0, 1, 2])],
      /DQT \(0xffdb\): found 3 bytes/,
    ],
    "no quantisation table": [
      [...SOI, ...dht(0, DC), ...dht(16, AC), ...GRAY, ...scan, ...EOI],
      /no quantisation table 0/,
    ],
    "Huffman table 4": [[...SOI, ...dht(4, DC)], /found table 0x04/],
    "a Huffman table of 257 codes": [
      [...SOI, ...table([0, 0, 0, 0, 0, 0, 0, 200, 57], [])],
      /found 257 codes/,
    ],
    "a Huffman table without its symbols": [
      [...SOI, ...table([0, 3], [1])],
      /found 3 codes, expected at most 1/,
    ],
    "a Huffman table of too many codes": [
      [...HEAD, ...table([3], [0, 1, 2]), ...GRAY, ...scan, ...EOI],
      /DC table 0 with too many codes of 1 bits/,
    ],
    "a code of all ones": [
      [...HEAD, ...table([2], [0, 1]), ...GRAY, ...scan, ...EOI],
      /too many codes of 1 bits/,
    ],
    "a DC symbol of 16": [[...HEAD, ...table([1], [16]), ...GRAY, ...scan, ...EOI], /the DC symbol 16/],
    "no Huffman table": [[...HEAD, ...GRAY, ...sos([[1, 0x20]]), ...coded([3]), ...EOI], /no DC table 2/],
    "a restart interval of 3 bytes": [
      [...HEAD, ...segment(0xdd, [0, 0, 1])],
      /DRI \(0xffdd\): found length 5, expected 4/,
    ],
    "a scan of no components": [[...HEAD, ...GRAY, ...sos([])], /found 0 components, expected 1 to 4/],
    "a scan of an unknown component": [
      [...HEAD, ...GRAY, ...sos([[9, 0]])],
      /component 9, expected one of the frame's/,
    ],
    "a component twice in a scan": [
      [
        ...HEAD,
        ...GRAY,
        ...sos([
          [1, 0],
          [1, 0],
        ]),
      ],
      /component 1, expected one of the frame's, and each once/,
    ],
    "a scan header of the wrong length": [
      [...HEAD, ...GRAY, ...segment(0xda, [1, 1, 0, 0, 63])],
      /found length 7, expected 8/,
    ],
    "an MCU of 11 blocks": [
      [
        ...HEAD,
        ...sof(0xc0, 8, 8, [
          [1, 4, 2, 0],
          [2, 3, 1, 0],
        ]),
        ...sos([
          [1, 0],
          [2, 0],
        ]),
      ],
      /11 blocks in an MCU, expected at most 10/,
    ],
    "a second scan after all components": [
      [...HEAD, ...GRAY, ...scan, ...scan, ...EOI],
      /found another scan/,
    ],
    "a component without a scan": [
      [
        ...HEAD,
        ...sof(0xc0, 8, 8, [
          [1, 1, 1, 0],
          [2, 1, 1, 0],
        ]),
        ...scan,
        ...EOI,
      ],
      /expected a scan of component 2/,
    ],
    "no EOI": [[...HEAD, ...GRAY, ...scan], /the end of the file, expected a marker/],
    "data that ends in a block": [
      [...HEAD, ...GRAY, ...SCAN, ...coded([1000, 1]).slice(0, 2), ...EOI],
      /found the end of the scan's data in MCU 0/,
    ],
    "no data at all": [
      [...HEAD, ...GRAY, ...SCAN, ...EOI],
      /the end of the scan's data in MCU 0 \(row 0, column 0\), component 1 of scan 0/,
    ],
    "data left over": [
      [...HEAD, ...GRAY, ...scan, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...EOI],
      /found data that no block needs after the last MCU/,
    ],
    "bits that are no code": [
      [...HEAD, ...GRAY, ...SCAN, 0xff, 0, 0xff, 0, 0xff, 0, ...EOI],
      /found bits that are no Huffman code/,
    ],
    "a run past the block's end": [
      [
        ...HEAD,
        ...GRAY,
        ...SCAN,
        ...new BitWriter()
          .put(0, 4)
          .put(...(codes(AC).get(0xf0) as [number, number]))
          .put(...(codes(AC).get(0xf0) as [number, number]))
          .put(...(codes(AC).get(0xf0) as [number, number]))
          .put(...(codes(AC).get(0xf1) as [number, number]))
          .put(1, 1)
          .pad().bytes,
        ...EOI,
      ],
      /a run of zeros past the block's end/,
    ],
    "a missing restart marker": [
      [...HEAD, ...dri(1), ...sof(0xc0, 16, 8, [[1, 1, 1, 0]]), ...SCAN, ...coded([3]), ...EOI],
      /no restart marker, or the wrong one in MCU 1/,
    ],
    "a restart marker out of order": [
      [
        ...HEAD,
        ...dri(1),
        ...sof(0xc0, 16, 8, [[1, 1, 1, 0]]),
        ...SCAN,
        ...coded([3]),
        0xff,
        0xd5,
        ...coded([3]),
        ...EOI,
      ],
      /no restart marker, or the wrong one/,
    ],
    "a restart marker where none belongs": [
      [
        ...HEAD,
        ...sof(0xc0, 16, 8, [[1, 1, 1, 0]]),
        ...SCAN,
        ...coded([3]),
        0xff,
        0xd0,
        ...coded([3]),
        ...EOI,
      ],
      /the end of the scan's data in MCU 1/,
    ],
    "AC coefficients of two components together": [
      [
        ...HEAD,
        ...sof(0xc2, 8, 8, [
          [1, 1, 1, 0],
          [2, 1, 1, 0],
        ]),
        ...sos(
          [
            [1, 0],
            [2, 0],
          ],
          1,
          63,
        ),
      ],
      /coefficients 1 to 63 of 2 components/,
    ],
    "DC and AC coefficients together": [
      progressive(sos([[1, 0]], 0, 63)),
      /coefficients 0 to 63 of 1 components/,
    ],
    "coefficient 64": [progressive(sos([[1, 0]], 1, 64)), /coefficients 1 to 64/],
    "a refinement by two bits": [progressive(sos([[1, 0]], 0, 0, 3, 1)), /bit positions 3 to 1/],
    "bit position 14": [progressive(sos([[1, 0]], 0, 0, 0, 14)), /bit positions 0 to 14/],
    "AC coefficients before DC": [
      progressive(sos([[1, 0]], 1, 63), bits(2)),
      /expected the component's DC coefficients before them/,
    ],
    "a refinement of what is not there": [
      progressive(sos([[1, 0]], 0, 0, 1, 0), bits(2)),
      /coefficient 0 from bit 1, expected its first scan/,
    ],
  };
  test.each(Object.entries(defects))("%s", (_, [file, message]) => {
    const bytes = Uint8Array.from(file);
    expect(() => readCoefficients(bytes)).toThrow(JpegError);
    expect(() => readCoefficients(bytes)).toThrow(message);
    try {
      expect(readCoefficients(bytes, { tolerant: true }).damage).not.toEqual([]);
    } catch (error) {
      expect(error).toBeInstanceOf(JpegError);
    }
  });

  test("an error says where", () => {
    const file = Uint8Array.from([...HEAD, ...GRAY, ...SCAN, ...EOI]);
    try {
      readCoefficients(file);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ name: "JpegError", offset: file.length - 2, marker: 0xda });
    }
  });
});

describe("limits", () => {
  test("on pixels, before anything is allocated", () => {
    const file = Uint8Array.from([...HEAD, ...sof(0xc0, 65535, 65535, [[1, 4, 4, 0]]), ...SCAN, ...EOI]);
    expect(() => readCoefficients(file)).toThrow(/65535 x 65535 pixels, the limit maxPixels is 268402689/);
    const small = gray([1]);
    expect(() => readCoefficients(small, { maxPixels: 63 })).toThrow(JpegError);
    expect(readCoefficients(small, { maxPixels: 64 }).width).toBe(8);
  });

  test("ten thousand segments", () => {
    const comments = Array.from({ length: 10_001 }, () => [0xff, 0xfe, 0, 2]).flat();
    expect(() => readCoefficients(Uint8Array.from([...SOI, ...comments]))).toThrow(/at most 10000 segments/);
  });

  test("a flood of progressive scans over a large image ends soon", () => {
    // 2^19 blocks in each scan; EOB runs of 32767 blocks take 16 bits.
    const eob = tableOf([0xe0]);
    const run = [0x7f, 0xff];
    const ac = Array.from({ length: 17 }, () => run)
      .flat()
      .flatMap((byte) => (byte === 0xff ? [0xff, 0] : [byte]));
    const head = [
      ...SOI,
      ...dqt(),
      ...dht(0, tableOf([0])),
      ...dht(16, eob),
      ...sof(0xc2, 16384, 2048, [[1, 1, 1, 0]]),
    ];
    const dc = [...sos([[1, 0]], 0, 0), ...new Array<number>(2 ** 16).fill(0)];
    const scans = (count: number) => {
      const parts = [head, dc];
      for (let i = 0; i < count; i++) parts.push(sos([[1, 0]], 1, 63, i === 0 ? 0 : 1, i === 0 ? 1 : 0), ac);
      return Uint8Array.from([...parts.flat(), ...EOI]);
    };
    const time = (read: () => void) => {
      const before = process.cpuUsage();
      read();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1e6;
    };
    expect(() => readCoefficients(scans(2000), { tolerant: true, maxScans: 1e9 })).toThrow(
      /far fewer in so small a file/,
    );
    expect(() => readCoefficients(scans(2000), { tolerant: true })).toThrow(JpegError);
    expect(time(() => readCoefficients(scans(400), { tolerant: true }))).toBeLessThan(10);
    // Restart markers are due after every block, and missing.
    const restarts = Uint8Array.from([
      ...head.slice(0, -13),
      ...dri(1),
      ...head.slice(-13),
      ...Array.from({ length: 400 }, (_, i) => [
        ...sos([[1, 0]], 0, 0, i === 0 ? 0 : 1, i === 0 ? 1 : 0),
        0,
      ]).flat(),
      ...EOI,
    ]);
    expect(time(() => readCoefficients(restarts, { tolerant: true }))).toBeLessThan(10);
  });
});
