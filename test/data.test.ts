import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdxError, readIdx } from "../packages/experiments/src/data/idx.js";
import {
  type LabelledImages,
  loadImageSet,
  loadSplit,
  paddedSize,
  planes,
} from "../packages/experiments/src/data/mnist.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jpeg-domain-data-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** An IDX file, written from the format's description, without the code under test. */
function idx(dims: number[], data: ArrayLike<number>): Uint8Array {
  const file = Buffer.alloc(4 + 4 * dims.length + data.length);
  file.set([0, 0, 8, dims.length]);
  dims.forEach((length, i) => {
    file.writeUInt32BE(length, 4 + 4 * i);
  });
  file.set(data, 4 + 4 * dims.length);
  return file;
}

async function stored(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

async function failure(work: Promise<unknown>): Promise<IdxError> {
  const error = await work.then(
    () => new Error("it worked"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(IdxError);
  expect((error as IdxError).message).not.toContain("\n");
  return error as IdxError;
}

describe("MNIST", () => {
  test("has the published counts, sizes and labels", async () => {
    const { name, train, test } = await loadImageSet();
    expect(name).toBe("MNIST");
    expect([train.count, train.rows, train.columns]).toEqual([60000, 28, 28]);
    expect([test.count, test.rows, test.columns]).toEqual([10000, 28, 28]);
    expect([...test.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    const perClass = new Array<number>(10).fill(0);
    for (const label of train.labels) perClass[label] = (perClass[label] as number) + 1;
    expect(perClass).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  });

  test("train pixels have the mean and deviation of the normalisation", async () => {
    const { images } = await loadSplit(undefined, "train");
    let sum = 0;
    let squares = 0;
    for (const pixel of images) {
      sum += pixel / 255;
      squares += (pixel / 255) ** 2;
    }
    const mean = sum / images.length;
    expect(mean).toBeCloseTo(0.1307, 4);
    expect(Math.sqrt(squares / images.length - mean ** 2)).toBeCloseTo(0.3081, 4);
  });
});

const FASHION = "/usr/share/datasets/fashion-mnist";
test.skipIf(!existsSync(FASHION))("Debian's dataset-fashion-mnist loads", async () => {
  const { name, train, test } = await loadImageSet(FASHION);
  expect(name).toBe("fashion-mnist");
  expect([train.count, test.count, train.rows, train.columns]).toEqual([60000, 10000, 28, 28]);
  // Both splits contain each of the ten classes equally often.
  for (const { count, labels } of [train, test]) {
    for (let label = 0; label < 10; label++) {
      expect(labels.filter((other) => other === label).length).toBe(count / 10);
    }
  }
});

describe("a folder of files", () => {
  const images = idx(
    [2, 3, 4],
    Uint8Array.from({ length: 24 }, (_, i) => i * 10),
  );
  const labels = idx([2], [3, 250]);

  test.each([
    ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", false],
    ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", true],
    ["t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte", false],
    ["t10k-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte.gz", true],
    ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte", false],
  ])("loads %s", async (imagesName, labelsName, gzip) => {
    const directory = await mkdtemp(join(folder, "set-"));
    await writeFile(join(directory, imagesName), gzip ? gzipSync(images) : images);
    await writeFile(join(directory, labelsName), gzip ? gzipSync(labels) : labels);
    const set = await loadSplit(directory, "test");
    expect(set).toMatchObject({ count: 2, rows: 3, columns: 4 });
    expect([...set.images]).toEqual([...images.subarray(16)]);
    expect([...set.labels]).toEqual([3, 250]);
  });

  test("loads a split without the other", async () => {
    const directory = await mkdtemp(join(folder, "set-"));
    await writeFile(join(directory, "train-images-idx3-ubyte"), images);
    await writeFile(join(directory, "train-labels-idx1-ubyte"), labels);
    expect((await loadSplit(directory, "train")).count).toBe(2);
    const error = await failure(loadImageSet(directory));
    expect(error.file).toBe(directory);
    expect(error.message).toContain(
      "t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz or t10k-images.idx3-ubyte",
    );
  });

  test("a missing folder is named, with the files it should contain", async () => {
    const missing = join(folder, "nowhere");
    const error = await failure(loadImageSet(missing));
    expect(error.file).toBe(missing);
    expect(error.message).toMatch(
      /nowhere.*no such folder.*train-images-idx3-ubyte.*train-labels-idx1-ubyte/,
    );
  });

  test.each<[string, Uint8Array, Uint8Array, RegExp]>([
    ["one label too few", images, idx([1], [3]), /labels.*byte 4: found 1 labels, expected 2/],
    ["no images", idx([0, 28, 28], []), idx([0], []), /images.*byte 4: found dimensions 0 x 28 x 28/],
    [
      "labels named as images",
      labels,
      labels,
      /images.*byte 3: found rank 1 \(a labels file\), expected rank 3/,
    ],
    [
      "images named as labels",
      images,
      images,
      /labels.*byte 3: found rank 3 \(an images file\), expected rank 1/,
    ],
  ])("refuses %s", async (_, imagesFile, labelsFile, message) => {
    const directory = await mkdtemp(join(folder, "set-"));
    await writeFile(join(directory, "t10k-images-idx3-ubyte"), imagesFile);
    await writeFile(join(directory, "t10k-labels-idx1-ubyte"), labelsFile);
    expect((await failure(loadSplit(directory, "test"))).message).toMatch(message);
  });

  test("refuses train and test images of different sizes", async () => {
    const directory = await mkdtemp(join(folder, "set-"));
    await writeFile(join(directory, "train-images-idx3-ubyte"), images);
    await writeFile(join(directory, "train-labels-idx1-ubyte"), labels);
    await writeFile(join(directory, "t10k-images-idx3-ubyte"), idx([2, 4, 3], new Uint8Array(24)));
    await writeFile(join(directory, "t10k-labels-idx1-ubyte"), labels);
    expect((await failure(loadImageSet(directory))).message).toContain(
      "found test images of 4 x 3, expected",
    );
  });
});

describe("an IDX file", () => {
  test("reads back as written, gzipped or not", async () => {
    const shape = fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 4 });
    const content = shape.chain((dims) => {
      const length = dims.reduce((a, b) => a * b, 1);
      return fc.tuple(
        fc.constant(dims),
        fc.uint8Array({ minLength: length, maxLength: length }),
        fc.boolean(),
      );
    });
    await fc.assert(
      fc.asyncProperty(content, async ([dims, data, gzip]) => {
        const bytes = idx(dims, data);
        const read = await readIdx(await stored("property", gzip ? gzipSync(bytes) : bytes));
        expect(read.dims).toEqual(dims);
        expect(Buffer.compare(read.data, data)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test("cut off anywhere is refused with the offset of its end", async () => {
    const whole = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      expect((await failure(readIdx(await stored("cut", cut)))).offset).toBe(length);
      expect((await failure(readIdx(await stored("cut.gz", gzipSync(cut))))).offset).toBe(length);
    }
  });

  test("a gzip file cut off anywhere is refused", async () => {
    const whole = gzipSync(
      idx(
        [2, 300],
        new Uint8Array(600).map((_, i) => i * 31),
      ),
    );
    for (let length = 0; length < whole.length; length += 7) {
      await failure(readIdx(await stored("cut.gz", whole.subarray(0, length))));
    }
  });

  test.each<[string, Uint8Array, number, RegExp]>([
    ["a first byte", Uint8Array.of(1, 0, 8, 1, 0, 0, 0, 0), 0, /found bytes 0x01 0x00, expected an IDX file/],
    ["a second byte", Uint8Array.of(0, 9, 8, 1, 0, 0, 0, 0), 1, /found bytes 0x00 0x09/],
    ["a float type", Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), 2, /found element type 0x0d, expected 0x08/],
    ["rank 0", Uint8Array.of(0, 0, 8, 0, 5), 3, /found rank 0, expected rank 1 or more/],
    ["missing data", idx([4, 5], new Uint8Array(13)), 25, /expected 20 bytes of data \(4 x 5\), not 13/],
    ["trailing bytes", idx([2], [1, 2, 3]), 10, /found more bytes, expected the end after 2 bytes/],
    ["trailing bytes, gzipped", gzipSync(idx([2], [1, 2, 3])), 10, /found more bytes/],
    [
      "2^96 bytes announced",
      idx(new Array(3).fill(2 ** 32 - 1), []),
      4,
      /found dimensions 4294967295 x .* expected at most/,
    ],
    ["a gzip bomb", gzipSync(idx([1], new Uint8Array(2 ** 26))), 9, /found more bytes/],
    ["a large size and no data", gzipSync(idx([2 ** 30], [])), 8, /, not 0/],
  ])("with %s is refused", async (_, bytes, offset, message) => {
    const path = await stored("malformed", bytes);
    const error = await failure(readIdx(path));
    expect(error).toMatchObject({ file: path, offset });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(`${path}, byte ${offset}:`);
  });

  test("a gzip file with a wrong checksum is refused", async () => {
    const bytes = gzipSync(idx([3], [1, 2, 3]));
    const checksum = bytes.length - 8;
    bytes[checksum] = (bytes[checksum] as number) ^ 1;
    const error = await failure(readIdx(await stored("damaged.gz", bytes)));
    expect(error.message).toMatch(
      /damaged gzip stream \(incorrect data check\), expected an undamaged gzip file/,
    );
  });

  test("a missing file and a folder are refused", async () => {
    expect((await failure(readIdx(join(folder, "absent")))).message).toContain("ENOENT");
    expect((await failure(readIdx(folder))).message).toContain("it is a folder, expected a file");
  });
});

describe("planes", () => {
  const set: LabelledImages = {
    name: "tiny",
    count: 3,
    rows: 5,
    columns: 8,
    images: Uint8Array.from({ length: 120 }, (_, i) => i + 100),
    labels: Uint8Array.of(0, 1, 2),
  };
  const normalized = (byte: number) => (byte / 255 - 0.1307) / 0.3081;

  test("are padded to whole blocks with normalised zeros, the image in the middle", () => {
    expect(paddedSize(set)).toEqual({ rows: 8, columns: 8 });
    expect(paddedSize({ rows: 28, columns: 28 })).toEqual({ rows: 32, columns: 32 });
    const result = planes(set, [2, 0]);
    expect(result.length).toBe(2 * 64);
    for (let row = 0; row < 8; row++) {
      for (let column = 0; column < 8; column++) {
        const inside = row >= 1 && row < 6;
        const pixel = inside ? (set.images[2 * 40 + (row - 1) * 8 + column] as number) : 0;
        expect(result[row * 8 + column]).toBeCloseTo(normalized(pixel), 6);
      }
    }
    expect(result.subarray(64)).toEqual(planes(set, { from: 0, to: 1 }));
  });

  test("of MNIST have PyTorch's border value to the bit, and the mean that results", async () => {
    const test = await loadSplit(undefined, "test");
    const result = planes(test, { from: 0, to: test.count });
    expect(result.length).toBe(10000 * 32 * 32);
    // As PyTorch prints background and full ink: tensor([-0.42421296, 2.8214867]).
    expect(result[0]).toBe(Math.fround(-0.42421296));
    expect(result.reduce((a, b) => Math.max(a, b))).toBe(Math.fround(2.8214867));
    const meanOf = (values: ArrayLike<number>) => {
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += values[i] as number;
      return sum / values.length;
    };
    const inside = (28 * 28) / (32 * 32);
    const expected = inside * normalized(meanOf(test.images)) + (1 - inside) * normalized(0);
    expect(meanOf(result)).toBeCloseTo(expected, 5);
  });

  test("are written to a buffer that is larger than needed", () => {
    const out = new Float32Array(200).fill(7);
    const result = planes(set, [1], out);
    expect(result.buffer).toBe(out.buffer);
    expect(result).toEqual(planes(set, [1]));
    expect(out.subarray(64).every((value) => value === 7)).toBe(true);
  });

  test("refuse indices out of range and buffers that are too short", () => {
    expect(() => planes(set, [3])).toThrow("tiny: found image index 3, expected a whole number from 0 to 2");
    expect(() => planes(set, { from: -1, to: 1 })).toThrow("index -1");
    expect(() => planes(set, [0.5])).toThrow("index 0.5");
    expect(() => planes(set, [0, 1], new Float32Array(127))).toThrow(
      "array of 127 numbers, expected 128 or more",
    );
    expect(planes(set, []).length).toBe(0);
  });
});
