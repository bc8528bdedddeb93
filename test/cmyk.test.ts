/**
 * CMYK and YCCK files: red, green and blue as in PIL, in levels of 0 to 255. PIL takes the inks as inverted whatever the
 * markers say; Adobe's marker distinguishes CMYK from YCCK.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type JpegComponent,
  type JpegImage,
  readCoefficients,
  writeCoefficients,
} from "@jpeg-domain/coefficients";
import { decode } from "fast-png";
import { expect, test } from "vitest";
import { geometry } from "../packages/conversion/src/preprocess/geometry.js";
import type { Preprocess } from "../packages/conversion/src/preprocess/preprocess.js";
import { planesOf } from "../packages/conversion/src/preprocess/reference/planes.js";
import { oriented, PLAIN, pil, pilPixels, pythonWithPil, within } from "./jpeg/pixels.js";
import { encoded } from "./jpeg/planes.js";
import { filled } from "./jpeg/preprocess.js";
import { describeWith } from "./jpeg/tools.js";

const PYTHON = pythonWithPil();
const GRAY: Preprocess = { ...PLAIN, channels: "grayscale", mean: [0], std: [1] };
const path = (name: string) => fileURLToPath(new URL(`cases/jpeg/${name}`, import.meta.url));
const load = (name: string) => new Uint8Array(readFileSync(path(name)));

/** The colour transform in Adobe's marker; undefined if the file has no such marker. */
type Transform = 0 | 1 | 2 | undefined;

/** The file with a different transform in Adobe's marker, or without the marker. */
function marked(file: Uint8Array, transform: Transform): Uint8Array {
  const at = Buffer.from(file).indexOf("Adobe");
  if (transform === undefined)
    return Uint8Array.from([...file.subarray(0, at - 4), ...file.subarray(at + 12)]);
  const changed = file.slice();
  changed[at + 11] = transform;
  return changed;
}

type Factors = [horizontal: number, vertical: number];

/** A file of four components with these sampling factors. */
function fourComponents(width: number, height: number, factors: Factors[], progressive: boolean): Uint8Array {
  const maxX = Math.max(...factors.map(([x]) => x));
  const maxY = Math.max(...factors.map(([, y]) => y));
  const components = factors.map(([horizontalSampling, verticalSampling], index): JpegComponent => {
    const size = [
      Math.ceil((width * horizontalSampling) / maxX),
      Math.ceil((height * verticalSampling) / maxY),
    ] as const;
    const [part] = readCoefficients(encoded(...size, index)).components;
    return { ...(part as JpegComponent), id: index + 1, horizontalSampling, verticalSampling };
  });
  const image: JpegImage = { width, height, progressive, colorSpace: "cmyk", components };
  return writeCoefficients(image, { progressive });
}

const ALIKE: Factors[] = [1, 1, 1, 1].map(() => [1, 1]);
const KINDS: [name: string, factors: Factors[], progressive: boolean][] = [
  ["all alike", ALIKE, false],
  ["all alike, progressive", ALIKE, true],
  [
    "4:2:0, black in full",
    [
      [2, 2],
      [1, 1],
      [1, 1],
      [2, 2],
    ],
    false,
  ],
  [
    "4:2:0, black in full, progressive",
    [
      [2, 2],
      [1, 1],
      [1, 1],
      [2, 2],
    ],
    true,
  ],
  [
    "4:2:2, black coarse",
    [
      [2, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ],
    false,
  ],
  [
    "4:1:1",
    [
      [4, 1],
      [1, 1],
      [1, 1],
      [4, 1],
    ],
    false,
  ],
  [
    "4:4:0",
    [
      [1, 2],
      [1, 1],
      [1, 1],
      [1, 2],
    ],
    false,
  ],
  [
    "the first alone in full, as PIL writes 4:2:0",
    [
      [2, 2],
      [1, 1],
      [1, 1],
      [1, 1],
    ],
    false,
  ],
];
const TRANSFORMS: [name: string, transform: Transform][] = [
  ["transform 0", 0],
  ["transform 1", 1],
  ["transform 2", 2],
  ["no marker", undefined],
];

describeWith(PYTHON !== undefined, "PIL and NumPy", "as in PIL", () => {
  test.each(KINDS)("%s", (_, factors, progressive) => {
    const [width, height] = [53, 37];
    const file = fourComponents(width, height, factors, progressive);
    const files = TRANSFORMS.map(([, transform]) => marked(file, transform));
    const expected = pilPixels(PYTHON as string, files, "RGB");
    const gray = pilPixels(PYTHON as string, files, "L");
    files.forEach((jpeg, index) => {
      const what = TRANSFORMS[index]?.[0] as string;
      const image = readCoefficients(jpeg);
      expect(image.colorSpace).toBe(what.endsWith("1") || what.endsWith("2") ? "ycck" : "cmyk");
      const [rgb, luma] = [expected[index]?.data, gray[index]?.data] as [Float32Array, Float32Array];
      const size = { width, height };
      within(filled(jpeg, PLAIN, size), rgb, 0.1, 3, `WebAssembly, ${what}`);
      within(planesOf(image, PLAIN).data, rgb, 0.1, 3, `definition, ${what}`);
      // The definition rounds to bytes, as PIL does; WebAssembly does not.
      within(filled(jpeg, GRAY, size), luma, 0.4, 3, `WebAssembly, gray, ${what}`);
      within(planesOf(image, GRAY).data, luma, 0.1, 3, `definition, gray, ${what}`);
      const area = width * height;
      const bgr = filled(jpeg, { ...PLAIN, channels: "bgr" }, size);
      expect(bgr.subarray(0, area)).toEqual(filled(jpeg, PLAIN, size).subarray(2 * area));
    });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("orientation %i, resized and cropped", (orientation) => {
    const plain = fourComponents(150, 100, KINDS[2]?.[1] as Factors[], false);
    const file = oriented(marked(plain, 2), orientation);
    const preprocess: Preprocess = {
      ...PLAIN,
      resize: { shortestEdge: 99 },
      crop: { height: 91, width: 88 },
    };
    const { width, height } = orientation > 4 ? { width: 100, height: 150 } : { width: 150, height: 100 };
    const { resized, crop } = geometry(preprocess, { width, height });
    const numbers = [resized.width, resized.height, crop.left, crop.top, crop.width, crop.height];
    const expected = pil(PYTHON as string, file, "bilinear", numbers);
    within(filled(file, preprocess, { height: 91, width: 88 }), expected, 0.5, 4, "upright");
  });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])("at %i/8 WebAssembly agrees with the reference", (scale) => {
  for (const [name, factors, progressive] of KINDS)
    for (const [what, transform] of TRANSFORMS) {
      const jpeg = marked(fourComponents(96, 64, factors, progressive), transform);
      const size = { width: 12 * scale, height: 8 * scale };
      const preprocess: Preprocess = { ...PLAIN, resize: size };
      const expected = planesOf(readCoefficients(jpeg), preprocess).data;
      within(filled(jpeg, preprocess, size), expected, 0.3, 4, `${name}, ${what}`);
    }
});

/** By PIL 9.4 with libjpeg-turbo 2.1.5: `Image.open(NAME).convert("RGB").save(NAME.png)`. */
test.each(["40-cmyk-adobe-0", "41-cmyk-no-adobe", "42-ycck-adobe-2"])("PIL's picture of %s", (name) => {
  const { width, height, data } = decode(readFileSync(path(`${name}.png`)));
  const area = width * height;
  const expected = Float32Array.from({ length: 3 * area }, (_, at) =>
    Number(data[3 * (at % area) + Math.floor(at / area)]),
  );
  within(filled(load(`${name}.jpg`), PLAIN, { width, height }), expected, 0.1, 3, name);
});
