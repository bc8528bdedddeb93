import { describe, expect, test } from "vitest";
import { JpegImageError } from "../packages/coefficients/src/jpeg/errors.js";
import type { JpegComponent, JpegImage, JpegScan } from "../packages/coefficients/src/jpeg/image.js";
import { releasePool } from "../packages/coefficients/src/jpeg/program.js";
import { readCoefficients, readHeader } from "../packages/coefficients/src/jpeg/read.js";
import { type WriteOptions, writeCoefficients } from "../packages/coefficients/src/jpeg/write.js";
import { encodeJpeg } from "../packages/coefficients/src/transform/encode.js";
import { cjpeg, hasJpegTools, pixelsOf, run, testPicture, tryRun } from "./jpeg/tools.js";

const color = testPicture(333, 217, 3);
const grey = testPicture(100, 75, 1);

function component(over: Partial<JpegComponent> = {}): JpegComponent {
  return {
    id: 1,
    horizontalSampling: 1,
    verticalSampling: 1,
    blocksWide: 2,
    blocksHigh: 2,
    quantization: new Uint16Array(64).fill(1),
    coefficients: new Int16Array(4 * 64),
    ...over,
  };
}

function image(over: Partial<JpegImage> = {}): JpegImage {
  return {
    width: 16,
    height: 16,
    progressive: false,
    colorSpace: "grayscale",
    components: [component()],
    ...over,
  };
}

const withValue = (at: number, value: number) => {
  const coefficients = new Int16Array(4 * 64);
  coefficients[at] = value;
  return image({ components: [component({ coefficients })] });
};

const tools = hasJpegTools();

/** The grayscale file with other sampling factors for its only component; its blocks stay in place. */
function withGreyFactors(file: Uint8Array, factor: number): Uint8Array {
  const image = readCoefficients(file);
  const components = image.components.map((one) => ({
    ...one,
    horizontalSampling: factor,
    verticalSampling: factor,
  }));
  return writeCoefficients({ ...image, components });
}

describe("against libjpeg-turbo's tools, or sharp", () => {
  const sources: [name: string, file: Buffer, args: string[]][] = [
    ["4:2:0", color.pnm, []],
    ["4:4:4", color.pnm, ["-sample", "1x1"]],
    ["4:2:2", color.pnm, ["-sample", "2x1", "-quality", "96"]],
    ["4x2 factors", color.pnm, ["-sample", "4x2"]],
    ["mixed factors", color.pnm, ["-sample", "1x2,1x1,2x1"]],
    ["chrominance finer than luminance", color.pnm, ["-sample", "2x1,2x2,1x1"]],
    ["RGB", color.pnm, ["-rgb"]],
    ["grayscale", grey.pnm, []],
    ["16-bit tables", color.pnm, ["-quality", "3"]],
  ];
  const ways: [options: WriteOptions, jpegtran: string[]][] = [
    [{}, ["-optimize"]],
    [{ huffman: "standard" }, []],
    [{ restartInterval: 7 }, ["-optimize", "-restart", "7B"]],
    [{ progressive: true }, ["-progressive"]],
    [{ progressive: true, restartInterval: 3 }, ["-progressive", "-restart", "3B"]],
  ];

  test.each(sources)("%s: the same bytes as jpegtran, the same pixels", async (_, pnm, args) => {
    const original = cjpeg(args, pnm);
    const read = readCoefficients(original);
    const pixels = await pixelsOf(original);
    for (const [options, jpegtran] of ways) {
      const ours = writeCoefficients(read, options);
      if (tools) {
        const theirs = tryRun("jpegtran", ["-copy", "none", ...jpegtran], original).stdout;
        expect(Buffer.compare(ours, theirs), JSON.stringify(options)).toBe(0);
      }
      expect(Buffer.compare(await pixelsOf(ours), pixels), JSON.stringify(options)).toBe(0);
    }
  });

  test("grayscale with sampling factors 2x2, which jpegtran would make 1x1: the same pixels", async () => {
    const original = tools ? cjpeg(["-sample", "2x2"], grey.pnm) : withGreyFactors(cjpeg([], grey.pnm), 2);
    for (const [options] of ways) {
      const ours = writeCoefficients(readCoefficients(original), options);
      expect(Buffer.compare(await pixelsOf(ours), await pixelsOf(original))).toBe(0);
      expect(readHeader(ours).components[0]).toMatchObject({ horizontalSampling: 2, verticalSampling: 2 });
    }
  });

  const files: [name: string, file: () => Uint8Array][] = [
    ["CMYK", () => encodeJpeg({ ...planesOf(4), colorSpace: "cmyk" })],
    ["YCCK", () => encodeJpeg({ ...planesOf(4), colorSpace: "ycck" }, { subsampling: "4:2:0" })],
    ["YCCK, progressive", () => encodeJpeg({ ...planesOf(4), colorSpace: "ycck" }, { progressive: true })],
    ["RGB", () => encodeJpeg({ ...planesOf(3), colorSpace: "rgb" }, { colorSpace: "rgb" })],
    [
      "1x1 pixel",
      () => encodeJpeg({ width: 1, height: 1, colorSpace: "grayscale", planes: [Uint8Array.of(9)] }),
    ],
  ];
  test.each(files)("%s: jpegtran reads it without a warning and writes the same bytes", async (_, file) => {
    const bytes = file();
    if (!tools) {
      // sharp reads it without a warning, and so it does with our second copy.
      const again = writeCoefficients(readCoefficients(bytes), { progressive: false, restartInterval: 2 });
      expect(Buffer.compare(await pixelsOf(again), await pixelsOf(bytes))).toBe(0);
      return;
    }
    const progressive = readHeader(bytes).progressive;
    const again = run("jpegtran", ["-copy", "none", progressive ? "-progressive" : "-optimize"], bytes);
    expect(Buffer.compare(again, bytes)).toBe(0);
  });

  test("an MCU of more than 10 blocks: djpeg decodes its scans of one component each", async () => {
    for (const progressive of [false, true]) {
      const file = encodeJpeg({ ...planesOf(3), colorSpace: "ycbcr" }, { subsampling: [4, 4], progressive });
      const header = tools ? "P6\n45 23\n255\n".length : 0;
      expect((await pixelsOf(file)).length).toBe(header + 45 * 23 * 3);
      expect(readCoefficients(file).scans?.every(({ components }) => components.length === 1)).toBe(true);
    }
  });

  test("a custom script, and the script of another file", async () => {
    const original = cjpeg(["-sample", "2x1"], color.pnm);
    const read = readCoefficients(original);
    const script = [
      scan([0], 0, 0, 0, 3),
      scan([1, 2], 0, 0, 0, 0),
      ...[3, 2, 1, 0].map((low, i) => scan([0], 1, 63, i === 0 ? 0 : low + 1, low)),
      ...[2, 1, 0].map((low) => scan([0], 0, 0, low + 1, low)),
      scan([2], 1, 63, 0, 0),
      scan([1], 1, 9, 0, 0),
      scan([1], 10, 63, 0, 1),
      scan([1], 10, 63, 1, 0),
    ];
    const ours = writeCoefficients(read, { progressive: true, script });
    expect(Buffer.compare(await pixelsOf(ours), await pixelsOf(original))).toBe(0);
    const back = readCoefficients(ours);
    expect(back.components).toEqual(read.components);
    expect(back.scans?.map(({ offset: _, ...one }) => one)).toEqual(script);
    const { scans = [] } = back;
    expect(Buffer.compare(writeCoefficients(back, { script: scans }), ours)).toBe(0);
  });

  test("sequential scans of one and of two components", async () => {
    const original = cjpeg(["-sample", "2x2"], color.pnm);
    const script = [scan([0, 2], 0, 63, 0, 0), scan([1], 0, 63, 0, 0)];
    for (const huffman of ["optimized", "standard"] as const) {
      const ours = writeCoefficients(readCoefficients(original), { script, huffman, restartInterval: 4 });
      expect(Buffer.compare(await pixelsOf(ours), await pixelsOf(original))).toBe(0);
    }
  });

  test("kept segments: density, EXIF and comments are the file's own, as with jpegtran -copy all", () => {
    const original = withSegments(cjpeg([], color.pnm), [
      [0xe1, Buffer.from("Exif\0\0MM\0*\0\0\0\b\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", "latin1")],
      [0xe2, Buffer.from("ICC_PROFILE\0\x01\x01profile", "latin1")],
      [0xfe, Buffer.from("made by hand")],
    ]);
    original[13] = 1; // dots per inch
    original[15] = 72;
    const read = readCoefficients(original, { keepSegments: true });
    const ours = writeCoefficients(read);
    if (tools) expect(Buffer.compare(ours, run("jpegtran", ["-copy", "all", "-optimize"], original))).toBe(0);
    expect(readHeader(ours)).toMatchObject({
      orientation: 6,
      iccProfile: new Uint8Array(Buffer.from("profile")),
    });
    expect(
      Buffer.compare(
        writeCoefficients(read, { segments: false }),
        writeCoefficients(readCoefficients(original)),
      ),
    ).toBe(0);
  });
});

const scan = (
  components: number[],
  spectralStart: number,
  spectralEnd: number,
  approximationHigh: number,
  approximationLow: number,
): Omit<JpegScan, "offset"> => ({
  components,
  spectralStart,
  spectralEnd,
  approximationHigh,
  approximationLow,
});

/** Puts segments after the JFIF one, which takes the first 20 bytes. */
function withSegments(file: Buffer, segments: [marker: number, data: Buffer][]): Buffer {
  const extra = segments.map(([marker, data]) => {
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(2 + data.length, 2);
    return Buffer.concat([head, data]);
  });
  return Buffer.concat([file.subarray(0, 20), ...extra, file.subarray(20)]);
}

describe("what a JPEG file cannot hold is refused", () => {
  const [y, cb, cr] = [0, 1, 2].map((c) => component({ id: c + 1 })) as [
    JpegComponent,
    JpegComponent,
    JpegComponent,
  ];
  const color = (...components: JpegComponent[]) => image({ colorSpace: "ycbcr", components });
  const cases: [image: JpegImage, options: WriteOptions, message: string][] = [
    [image({ width: 0 }), {}, "an image width of 0, expected a whole number from 1 to 65535"],
    [image({ height: 65536 }), {}, "an image height of 65536, expected"],
    [image({ width: 16.5 }), {}, "an image width of 16.5"],
    [image({ colorSpace: "ycbcr" }), {}, "1 components in ycbcr, expected 3"],
    [image({ colorSpace: "lab" as "rgb" }), {}, 'colour space "lab", expected grayscale, ycbcr'],
    [image({ coefficientsPerBlock: 6 }), {}, "6 coefficients a block, expected all 64"],
    [image({ components: [component({ horizontalSampling: 5 })] }), {}, "component 0: sampling factors 5x1"],
    [
      image({ components: [component({ quantization: new Uint16Array(63) })] }),
      {},
      "a quantisation table of 63 entries",
    ],
    [image({ components: [component({ id: 256 })] }), {}, "identifier 256, expected"],
    [image({ components: [component({ blocksWide: 3 })] }), {}, "3x2 blocks, expected 2x2 for 16x16 pixels"],
    [
      image({ components: [component({ coefficients: new Int16Array(3 * 64) })] }),
      {},
      "192 coefficients, expected 256 for 2x2 blocks",
    ],
    [image({ segments: [{ marker: 0xdb, data: new Uint8Array() }] }), {}, "segment 0: marker 0xdb, expected"],
    [
      image({ segments: [{ marker: 0xe1, data: new Uint8Array(65534) }] }),
      {},
      "segment 0: 65534 bytes, expected at most 65533",
    ],
    [
      withValue(64 * 3 + 17, 1024),
      {},
      "component 0, block row 1, column 1: coefficient 17 is 1024, expected at most 1023",
    ],
    [withValue(17, -1024), { huffman: "standard" }, "block row 0, column 0: coefficient 17 is -1024"],
    [withValue(64, 2048), {}, "block row 0, column 1: its DC 2048 is more than 2047 from"],
    [withValue(17, 4096), { progressive: true }, "coefficient 17 is 4096, expected at most 4092"],
    [
      color(y, cb, { ...cr, coefficients: withValue(70, -2000).components[0]?.coefficients as Int16Array }),
      {},
      "component 2, block row 0, column 1: coefficient 6 is -2000",
    ],
    [image(), { restartInterval: 65536 }, "a restart interval of 65536, expected 0 to 65535 MCUs"],
    [
      image(),
      { progressive: true, huffman: "standard" },
      "standard Huffman tables have no codes for progressive scans",
    ],
    [image(), { huffman: "best" as "standard" }, 'Huffman tables "best"'],
    [image(), { script: [] }, "frequency 0 of component 0 is in no scan"],
    [
      image(),
      { script: [scan([1], 0, 63, 0, 0)] },
      "scan 0: components [1], expected rising places from 0 to 0",
    ],
    [image(), { script: [scan([], 0, 63, 0, 0)] }, "scan 0: it has no components"],
    [color(y, cb, cr), { script: [scan([1, 0], 0, 63, 0, 0)] }, "components [1, 0], expected rising"],
    [
      image(),
      { script: [scan([0], 0, 62, 0, 0)] },
      "frequencies 0 to 62, bits 0 to 0; a sequential scan has",
    ],
    [
      image(),
      { script: [scan([0], 0, 63, 0, 0), scan([0], 0, 63, 0, 0)] },
      "scan 1: component 0 is in an earlier scan",
    ],
    [image(), { progressive: true, script: [scan([0], 0, 5, 0, 0)] }, "frequency 0 needs scans of its own"],
    [
      image(),
      { progressive: true, script: [scan([0], 0, 0, 0, 0)] },
      "frequency 1 of component 0 is in no scan",
    ],
    [
      image(),
      { progressive: true, script: [scan([0], 0, 0, 0, 1), scan([0], 1, 63, 0, 0)] },
      "frequency 0 of component 0 lacks its last 1 bits",
    ],
    [
      image(),
      { progressive: true, script: [scan([0], 1, 63, 0, 0)] },
      "component 0 has had no scan of frequency 0 yet",
    ],
    [
      image(),
      { progressive: true, script: [scan([0], 0, 0, 1, 0)] },
      "bits 1 to 0 of frequency 0 of component 0, expected 0 first",
    ],
    [
      image(),
      { progressive: true, script: [scan([0], 0, 0, 0, 2), scan([0], 0, 0, 2, 0)] },
      "scan 1: bits 2 to 0 of frequency 0 of component 0, expected 2 to 1",
    ],
    [
      color(y, cb, cr),
      { progressive: true, script: [scan([0, 1], 0, 0, 0, 0), scan([0, 1], 1, 63, 0, 0)] },
      "scan 1: 2 components; a scan of frequencies 1 to 63 has just one",
    ],
  ];
  test.each(cases.map((one) => [one[2], one] as const))("%s", (message, [input, options]) => {
    let error: unknown;
    try {
      writeCoefficients(input, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(JpegImageError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain("\n");
    // The failure leaves nothing behind.
    expect(
      readCoefficients(writeCoefficients(image())).components[0]?.coefficients.every((c) => c === 0),
    ).toBe(true);
  });

  test("values far too large everywhere, in a batch of blocks", () => {
    const blocks = 64 * 32;
    for (const [value, message] of [
      [-32768, "coefficient 1 is -32768"],
      [32767, "coefficient 1 is 32767"],
    ] as const) {
      const coefficients = new Int16Array(blocks * 64).fill(value);
      const large = component({ blocksWide: 64, blocksHigh: 32, coefficients });
      const whole = image({ width: 512, height: 256, components: [large] });
      for (const options of [{}, { huffman: "standard" } as const])
        expect(() => writeCoefficients(whole, options)).toThrow(message);
      expect(() => writeCoefficients(whole, { progressive: true })).toThrow(JpegImageError);
    }
    expect(readCoefficients(writeCoefficients(withValue(3, 5))).components).toEqual(
      withValue(3, 5).components,
    );
  });

  test("the largest values that have codes", () => {
    for (const value of [2047, -2047]) {
      const read = readCoefficients(writeCoefficients(withValue(0, value)));
      expect(read.components[0]?.coefficients[0]).toBe(value);
    }
    for (const [value, progressive] of [
      [1023, false],
      [-1023, false],
      [4092 + 3, true],
      [-4095, true],
    ] as const) {
      const read = readCoefficients(writeCoefficients(withValue(63, value), { progressive }));
      expect(read.components[0]?.coefficients[63]).toBe(value);
    }
  });
});

test("releasing the pool between calls changes nothing", () => {
  const file = encodeJpeg({ ...planesOf(3), colorSpace: "rgb" });
  releasePool();
  expect(Buffer.compare(encodeJpeg({ ...planesOf(3), colorSpace: "rgb" }), file)).toBe(0);
});

function planesOf(count: number): { width: number; height: number; planes: Uint8Array[] } {
  const { pixels } = testPicture(45, 23 * 4, 1);
  const planes = Array.from({ length: count }, (_, c) => pixels.slice(c * 45 * 23, (c + 1) * 45 * 23));
  return { width: 45, height: 23, planes };
}
