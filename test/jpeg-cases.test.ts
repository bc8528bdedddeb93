import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import {
  encodeJpeg,
  JpegError,
  readCoefficients,
  readHeader,
  summarizeJpeg,
  writeCoefficients,
} from "@jpeg-domain/coefficients";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { type Needed, readBands } from "../packages/coefficients/src/jpeg/read.js";
import { dqt, EOI, SOI, segment, sof, sos } from "./jpeg/bits.js";
import { difference, libjpegAnswers, libjpegProgram } from "./jpeg/libjpeg.js";
import { sharpPixels } from "./jpeg/stand-in.js";

/** Files with one oddity or defect each, which is in the name. */
const FOLDER = fileURLToPath(new URL("cases/jpeg/", import.meta.url));
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".jpg"));
const load = (name: string) => new Uint8Array(readFileSync(`${FOLDER}${name}`));
const sound = load("00-sound.jpg");
const keep =
  (count: number): Needed =>
  ({ components }) =>
    components.map(() => count);

/** The files for which djpeg prints a warning, or an error without a picture. It is silent about all others. */
const WARNED = [/^02-/, /^03-/, /^05-/, /^06-/, /^09-/, /^18-/, /^21-/, /^53-/, /^60-/];
const REFUSED = [/^17-/, /^56-/];
const isOne = (name: string, of: readonly RegExp[]) => of.some((pattern) => pattern.test(name));

describe("files with one oddity or defect each", () => {
  test.each(names.filter((name) => !isOne(name, [...WARNED, ...REFUSED])))(
    "%s: libjpeg gives no warning, and the strict reader reads it",
    (name) => {
      const strict = readCoefficients(load(name));
      const { damage, damageCount, ...tolerant } = readCoefficients(load(name), { tolerant: true });
      expect(isDeepStrictEqual(tolerant, strict)).toBe(true);
      expect({ damage, damageCount }).toEqual({ damage: [], damageCount: 0 });
    },
  );

  test.each(names.filter((name) => isOne(name, WARNED)))("%s: the tolerant reader reads it", (name) => {
    expect(readCoefficients(load(name), { tolerant: true }).components.length).toBeGreaterThan(0);
  });

  test.each(names.filter((name) => isOne(name, REFUSED)))("%s: libjpeg refuses it, and so do we", (name) => {
    for (const tolerant of [false, true])
      expect(() => readCoefficients(load(name), { tolerant })).toThrow(JpegError);
  });

  test("each has libjpeg's coefficients; without libjpeg, sharp also reads or refuses it", async () => {
    if (libjpegProgram() === undefined) {
      for (const name of names) {
        const pixels = sharpPixels(load(name), true).catch(() => undefined);
        expect((await pixels) === undefined, name).toBe(isOne(name, REFUSED));
      }
      return;
    }
    const answers = libjpegAnswers(names.map(load));
    names.forEach((name, index) => {
      const answer = answers[index];
      expect(typeof answer === "string", name).toBe(isOne(name, REFUSED));
      if (answer === undefined || typeof answer === "string") return;
      const ours = readCoefficients(load(name), { tolerant: true });
      expect(difference(ours, answer), name).toBeUndefined();
      if (answer.warnings === 0) expect(ours.damage, name).toEqual([]);
    });
  });
});

test("a scan after the last one needed: tolerant reading ends before it, as reading libjpeg's rows does", async () => {
  const scan = Buffer.from(sound).lastIndexOf(Buffer.from([0xff, 0xda]));
  const file = Buffer.concat([sound.subarray(0, -2), sound.subarray(scan)]);
  expect(() => readCoefficients(file)).toThrow(/found another scan/);
  const { components, damage } = readCoefficients(file, { tolerant: true });
  expect(components).toEqual(readCoefficients(sound).components);
  expect(damage?.map(({ offset }) => offset)).toEqual([sound.length - 2]);
  expect((await sharpPixels(file, true)).equals(await sharpPixels(sound))).toBe(true);
});

test("a file cut off anywhere in its last header: tolerant reading assumes an end, as libjpeg does", () => {
  const start = readHeader(sound).firstScan.offset;
  for (let length = start - 9; length < start + 3; length++) {
    const cut = sound.subarray(0, length);
    expect(() => readCoefficients(cut)).toThrow(JpegError);
    const answer = libjpegProgram() ? libjpegAnswers([cut])[0] : undefined;
    const read = () => readCoefficients(cut, { tolerant: true });
    if (typeof answer === "string") expect(read, `${length} bytes`).toThrow(JpegError);
    else if (answer) expect(difference(read(), answer), `${length} bytes`).toBeUndefined();
  }
  // The last three bytes have no meaning in a sequential file.
  expect(readCoefficients(sound.subarray(0, start - 3), { tolerant: true }).damageCount).toBeGreaterThan(0);
});

describe("arithmetic coding", () => {
  const arithmetic = names.filter((name) => name.startsWith("90-"));

  test("has a file of every kind", () => expect(arithmetic.length).toBe(4));

  test.each(arithmetic)(
    "%s: jpegtran made it from 00-sound.jpg, and it has the same coefficients",
    (name) => {
      const file = load(name);
      const expected = readCoefficients(sound);
      const { components, arithmetic: found, progressive, restartInterval } = readCoefficients(file);
      expect(found).toBe(true);
      expect(progressive).toBe(name.includes("progressive"));
      expect(restartInterval).toBe(name.includes("restart") ? 2 : 0);
      expect(components).toEqual(expected.components);
      expect(readHeader(file)).toMatchObject({ arithmetic: true, colorSpace: expected.colorSpace });
      const { arithmetic: coding, zeroShare } = summarizeJpeg(file);
      expect({ coding, zeroShare }).toEqual({ coding: true, zeroShare: summarizeJpeg(sound).zeroShare });
      const means: number[] = [];
      for (const { parts } of readBands(file, keep(1))) means.push(...(parts[0] ?? []));
      const luminance = expected.components[0]?.coefficients as Int16Array;
      expect(means).toEqual([...luminance].filter((_, at) => at % 64 === 0));
      // We write it with Huffman codes.
      const written = writeCoefficients(readCoefficients(file));
      expect(readHeader(written).arithmetic).toBe(false);
      expect(readCoefficients(written).components).toEqual(expected.components);
    },
  );
});

/** An EXIF segment whose only entry is the orientation. */
function exif(order: "II" | "MM", type: number, count: number, value: number, more: { magic?: number } = {}) {
  const data = Buffer.alloc(6 + 8 + 2 + 12 + 4 + 8);
  const little = order === "II";
  const put = (bytes: number, number: number, at: number) =>
    little ? data.writeUIntLE(number, at, bytes) : data.writeUIntBE(number, at, bytes);
  data.write(`Exif\0\0${order}`, "latin1");
  put(2, more.magic ?? 42, 8);
  put(4, 8, 10);
  put(2, 1, 14);
  put(2, 0x112, 16);
  put(2, type, 18);
  put(4, count, 20);
  const isRational = type === 5 || type === 10;
  const bytes = isRational || type === 4 || type === 9 ? 4 : type === 3 || type === 8 ? 2 : 1;
  put(bytes, isRational ? 26 : value, 24);
  if (isRational) {
    put(4, value, 32);
    put(4, 1, 36);
  }
  return segment(0xe1, [...data]);
}

describe("EXIF orientation", () => {
  const withSegments = (...segments: number[][]) =>
    Uint8Array.from([...SOI, ...segments.flat(), ...sound.subarray(2)]);
  const cases: Record<string, [segments: number[][], orientation: number | undefined]> = {
    "in the second EXIF segment, where the first says nothing": [
      [exif("MM", 3, 0, 6), exif("MM", 3, 1, 6)],
      undefined,
    ],
    "in two EXIF segments": [[exif("MM", 3, 1, 3), exif("II", 3, 1, 6)], 3],
    "0, then 6 in a second segment": [[exif("MM", 3, 1, 0), exif("II", 3, 1, 6)], undefined],
    "no TIFF file": [[exif("MM", 3, 1, 6, { magic: 43 })], undefined],
    "9": [[exif("MM", 3, 1, 9)], undefined],
    "9 as LONG": [[exif("II", 4, 1, 9)], undefined],
    "two values": [[exif("II", 3, 2, 6)], 6],
    "no values": [[exif("II", 3, 0, 6)], undefined],
    "in an APP2 segment": [[[0xff, 0xe2, ...exif("II", 3, 1, 6).slice(2)]], undefined],
  };
  const types = { BYTE: 1, SHORT: 3, LONG: 4, RATIONAL: 5, SBYTE: 6, SSHORT: 8, SLONG: 9, SRATIONAL: 10 };
  for (const [name, type] of Object.entries(types))
    for (const order of ["II", "MM"] as const)
      cases[`6 as ${name}, ${order}`] = [[exif(order, type, 1, 6)], 6];
  for (const [name, type] of Object.entries({ ASCII: 2, UNDEFINED: 7, FLOAT: 11, "type 13": 13 }))
    cases[`6 as ${name}`] = [[exif("MM", type, 1, 6)], undefined];

  test.each(Object.entries(cases))("%s, as in sharp", async (_, [segments, orientation]) => {
    const file = withSegments(...segments);
    const { orientation: theirs = 1 } = await sharp(file).metadata();
    expect(orientation ?? 1).toBe(theirs);
    expect(readHeader(file).orientation).toBe(orientation);
    expect(readCoefficients(file).orientation).toBe(orientation);
  });

  test("a LONG of more than 16 bits is not an orientation", () => {
    expect(readHeader(withSegments(exif("MM", 4, 1, 65542))).orientation).toBeUndefined();
  });
});

describe("what libjpeg reads without a warning is not damage", () => {
  test.each([0xe0, 0xe1, 0xe5, 0xee, 0xef, 0xfe])("a segment 0xff%x of length 0 or 1", (marker) => {
    for (const length of [0, 1]) {
      const file = Uint8Array.from([...SOI, 0xff, marker, 0, length, ...sound.subarray(2)]);
      expect(readCoefficients(file).components).toEqual(readCoefficients(sound).components);
    }
  });

  test("up to seven bytes before EOI, which fit into libjpeg's bit buffer; not twenty", () => {
    const before = sound.subarray(0, -2);
    for (const more of [[1], [0xff, 0], [0xff, 0, 0xff, 0], [1, 2, 3, 4, 5, 6, 7]])
      expect(readCoefficients(Uint8Array.from([...before, ...more, ...EOI])).components).toEqual(
        readCoefficients(sound).components,
      );
    const far = Uint8Array.from([...before, ...new Array<number>(20).fill(1), ...EOI]);
    expect(() => readCoefficients(far)).toThrow(/data that no block needs/);
  });
});

describe("written back", () => {
  const markers = (file: Uint8Array) =>
    readCoefficients(file, { keepSegments: true }).segments?.map(({ marker }) => marker);
  const coefficients = (file: Uint8Array) =>
    readCoefficients(file).components.map((component) => component.coefficients);

  test("a file with EXIF and without JFIF gets no JFIF segment", () => {
    const file = load("71-exif-only-no-jfif.jpg");
    expect(markers(file)).toEqual([0xe1]);
    const image = readCoefficients(file, { keepSegments: true });
    for (const progressive of [false, true]) {
      const written = writeCoefficients(image, { progressive });
      expect(markers(written)).toEqual([0xe1]);
      expect(readHeader(written)).toMatchObject({ colorSpace: image.colorSpace, orientation: 6 });
      expect(coefficients(written)).toEqual(coefficients(file));
    }
    expect(markers(writeCoefficients(image, { segments: false }))).toEqual([0xe0]);
    // Identifiers that mean RGB unless a marker says otherwise.
    const ids = [...Buffer.from("RGB")];
    const components = image.components.map((component, c) => ({ ...component, id: ids[c] as number }));
    const written = writeCoefficients({ ...image, components });
    expect(markers(written)).toEqual([0xe0, 0xe1]);
    expect(readHeader(written).colorSpace).toBe("ycbcr");
  });

  test("components with the same identifier get different ones", async () => {
    const file = load("13-component-ids-all-1.jpg");
    const image = readCoefficients(file);
    expect(image.components.map(({ id }) => id)).toEqual([1, 1, 1]);
    for (const progressive of [false, true]) {
      const written = writeCoefficients(image, { progressive });
      expect(readHeader(written).components.map(({ id }) => id)).toEqual([1, 2, 3]);
      expect(coefficients(written)).toEqual(coefficients(file));
      expect(await sharp(written).raw().toBuffer()).toEqual(await sharp(file).raw().toBuffer());
    }
  });

  test("a quantisation table with entries of 0", async () => {
    const table = dqt(0, 0);
    const at = Buffer.from(sound).indexOf(Buffer.from([0xff, 0xdb, 0, 67, 0]));
    expect(at).toBeGreaterThan(0);
    const file = sound.slice();
    file.set(table.slice(5, 5 + 30), at + 5 + 20);
    const image = readCoefficients(file);
    expect(image.components[0]?.quantization.subarray(20, 50).every((entry) => entry === 0)).toBe(true);
    const written = writeCoefficients(image);
    expect(readCoefficients(written).components).toEqual(image.components);
    expect(await sharp(written).raw().toBuffer()).toEqual(await sharp(file).raw().toBuffer());
  });
});

describe("a summary", () => {
  const zerosOf = (values: Int16Array) => values.filter((value) => value === 0).length;

  test("counts the zeros in files decoded in bands, and in files with too many scans for that", () => {
    const image = readCoefficients(sound);
    const spectral = (component: number, at: number) => ({
      components: [component],
      spectralStart: at,
      spectralEnd: at,
      approximationHigh: 0,
      approximationLow: 0,
    });
    const script = [0, 1, 2].flatMap((c) => Array.from({ length: 64 }, (_, at) => spectral(c, at)));
    const shares = image.components.map((c) => zerosOf(c.coefficients) / c.coefficients.length);
    for (const file of [sound, writeCoefficients(image, { progressive: true, script })])
      expect(summarizeJpeg(file).components.map(({ zeroShare }) => zeroShare)).toEqual(shares);
    expect(shares[0]).toBeGreaterThan(0.1);
  });

  test("takes little more time than reading", () => {
    const [width, height] = [1600, 1000];
    const planes = [0, 1, 2].map((c) =>
      Float32Array.from({ length: width * height }, (_, i) => (i * (c + 1) + ((i * i) >> 7)) & 255),
    );
    const file = encodeJpeg({ width, height, colorSpace: "ycbcr", planes }, { quality: 85 });
    const least = (read: () => void) => {
      const times = Array.from({ length: 7 }, () => {
        const before = process.cpuUsage();
        read();
        const { user, system } = process.cpuUsage(before);
        return user + system;
      });
      return Math.min(...times);
    };
    let reuse = readCoefficients(file);
    const reading = least(() => {
      reuse = readCoefficients(file, { reuse });
    });
    expect(least(() => summarizeJpeg(file)) / reading).toBeLessThan(2.5);
  });
});

describe("hostile files", () => {
  test("a million damaged places: the first hundred are listed, the others counted", () => {
    const garbage = Array.from({ length: 1000 }, () => [0xff, 0xd0, 0]).flat();
    const start = sound.subarray(0, 20);
    const pieces = Array.from({ length: 1000 }, () => Uint8Array.from(garbage));
    const file = Buffer.concat([start, ...pieces, sound.subarray(20)]);
    const before = process.cpuUsage();
    const { damage, damageCount } = readCoefficients(file, { tolerant: true });
    const { user, system } = process.cpuUsage(before);
    expect(damage?.length).toBe(100);
    expect(damageCount).toBe(1_000_000);
    expect((user + system) / 1e6).toBeLessThan(1);
    expect(() => readCoefficients(file)).toThrow(JpegError);
  });

  test("a flood of arithmetic scans, which decode zeros without end, is refused", () => {
    const gray = sof(0xca, 16000, 16000, [[1, 1, 1, 0]]);
    const scans = [1, 0].flatMap((bit) => sos([[1, 0]], 1, 63, bit === 1 ? 0 : 1, bit));
    const file = (count: number) =>
      Uint8Array.from([
        ...SOI,
        ...dqt(),
        ...gray,
        ...sos([[1, 0]], 0, 0),
        ...Array.from({ length: count }, () => scans).flat(),
        ...EOI,
      ]);
    const before = process.cpuUsage();
    for (const tolerant of [false, true])
      expect(() => readCoefficients(file(300), { tolerant })).toThrow(/far fewer in so small a file/);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(1);
  });

  test("bands: stopping early frees the decoder, and two readers may run at once", () => {
    const memory = () => {
      for (const { parts } of readBands(sound, keep(64))) return parts[0]?.buffer;
      return undefined;
    };
    const first = memory();
    expect(first).toBeDefined();
    expect(memory()).toBe(first);
    expect(() => {
      for (const _ of readBands(sound, keep(64))) throw new Error("the reader's own");
    }).toThrow("the reader's own");
    expect(memory()).toBe(first);

    const luminance = (band: { parts: readonly Int16Array[] } | undefined) => [...(band?.parts[0] ?? [])];
    const suspended = readBands(sound, keep(64));
    const own: number[] = [];
    for (let step = suspended.next(); !step.done; step = suspended.next()) {
      own.push(...luminance(step.value));
      expect(memory()).not.toBe(step.value.parts[0]?.buffer);
    }
    expect(own).toEqual([...(readCoefficients(sound).components[0]?.coefficients ?? [])]);
  });

  test("every function obeys maxPixels, by default sharp's limit", async () => {
    const tall = (width: number, height: number) => {
      const file = sound.slice();
      const at = Buffer.from(file).indexOf(Buffer.from([0xff, 0xc0]));
      file.set([height >> 8, height & 255, width >> 8, width & 255], at + 5);
      return file;
    };
    const functions = {
      readHeader,
      readCoefficients,
      summarizeJpeg,
      readBands: (file: Uint8Array, options?: { maxPixels?: number }) =>
        Array.from(readBands(file, keep(1), options)),
    };
    const { width, height } = readHeader(sound);
    for (const [name, read] of Object.entries(functions)) {
      expect(() => read(tall(16384, 16383)), name).toThrow(/16384 x 16383 pixels, the limit maxPixels/);
      expect(() => read(sound, { maxPixels: width * height - 1 }), name).toThrow(/the limit maxPixels/);
      expect(() => read(sound, { maxPixels: width * height }), name).not.toThrow();
    }
    expect(readHeader(tall(16383, 16383)).width).toBe(16383);
    await expect(sharp(tall(16384, 16383)).raw().toBuffer()).rejects.toThrow(/pixel limit/);
  });
});
