/// <reference lib="esnext.disposable" preserve="true" />
/** JPEG files → the planes that a network takes. */
import type { JpegBytes, JpegDamage, JpegHeader, JpegImage, ReadOptions } from "@jpeg-domain/coefficients";
import { findRowStarts, readRows, smoothed } from "@jpeg-domain/coefficients/internal";
import { smoothedBands } from "./bands.js";
import { PreprocessError } from "./errors.js";
import { jobOf, needed } from "./job.js";
import { type PlanePart, partsOf } from "./parts.js";
import { channelCount, checkPreprocess, type PlaneSize, type Preprocess } from "./preprocess.js";
import { type Engine, engines, isSmall } from "./wasm/engine.js";
import { arrange, isArranged, madeLength, PlaneWriter } from "./wasm/planes.js";
import { Program } from "./wasm/program.js";

/** How files are read. */
export type FillOptions = Pick<ReadOptions, "tolerant" | "maxPixels">;

/** What was found in a file, and how it was decoded. */
export interface Filled {
  /** Of the file, before its orientation. */
  width: number;
  height: number;
  /** The inverse transform's size: `scale / 8` of the file's. */
  scale: number;
  /**
   * With `tolerant`: what was damaged or missing in the part that was read: not below the last row of blocks that the crop
   * needs, nor in a progressive file's scans that are not needed. Absent if there is no damage.
   */
  damage?: JpegDamage[];
}

/** How several threads can share one file. */
export interface FileSplit {
  bytes: Uint8Array;
  parts: PlanePart[];
  /** A part needs the file's first bytes, so many, and those of its rows. */
  headerBytes: number;
  /** The floats of the planes in which {@link Preprocessor.fillPart} puts its lines. */
  length: number;
  /** Makes the network's planes of these, once they are complete. */
  finish(made: Float32Array, out: Float32Array): Filled;
}

/** How many plans are kept. The files of a folder tend to be of few kinds, and a plan takes up to 0.1 ms. */
const MOST_KINDS = 64;

/**
 * Makes a network's planes of JPEG files, one after another. It owns the memory for that, at most 8 MiB between two files,
 * and keeps a plan for each of the last 64 kinds of file (size, sampling, orientation).
 *
 * ```ts
 * using preprocessor = new Preprocessor(preprocess, { channels: 3, height: 224, width: 224 });
 * for (const bytes of files) preprocessor.fill(bytes, out);
 * ```
 */
export class Preprocessor {
  readonly #preprocess: Preprocess;
  readonly #size: PlaneSize;
  readonly #programs = new Map<string, Program>();
  #engine: Engine | undefined;
  /** The program whose data the engine's memory holds. */
  #written: Program | undefined;
  #isDisposed = false;

  /**
   * @param size What the network takes. The preprocessing has to give this size.
   * @throws {PreprocessError} if the preprocessing is not described as it must be
   */
  constructor(preprocess: Preprocess, size: PlaneSize) {
    this.#preprocess = checkPreprocess(preprocess);
    this.#size = { ...size };
  }

  /**
   * Reads a JPEG file and writes the network's planes `[C, H, W]`, preprocessed.
   *
   * @param file Its bytes, or a function that reads them as far as they are needed.
   * @param out At least `channels * height * width` floats; can be a part of a batch.
   * @param options `tolerant`: a damaged file gives the pixels that libjpeg gives of it; by default it is an error, also if
   *   the damage is outside the crop.
   *   `maxPixels`: the largest file, in pixels.
   * @throws {JpegError} if the file is damaged (unless `tolerant`), of a kind that is not supported, or too large
   * @throws {PreprocessError} if the preprocessing of this file does not give planes of the network's size, or `out` is
   *   too short
   */
  fill(file: JpegBytes, out: Float32Array, options: FillOptions = {}): Filled {
    this.#checkOut(out);
    let program: Program | undefined;
    let writer: PlaneWriter | undefined;
    let image = {} as JpegImage;
    const plan = (header: JpegHeader) => {
      program = this.#programFor(header);
      return program.job.needed;
    };
    try {
      const endRow = () => (program as Program).endRow;
      for (const band of smoothedBands(file, plan, options, endRow)) {
        image = band.image;
        writer ??= new PlaneWriter(this.#engineFor(program as Program), program as Program, image.components);
        writer.add(band);
      }
      return finish(writer as PlaneWriter, image, program as Program, out);
    } finally {
      this.#keepSmall();
    }
  }

  /**
   * Splits a file with restart markers into at most `most` parts, which several threads can make at the same time.
   * Undefined if the file cannot be split, or one thread has to read it because something about it is unusual.
   * @internal
   */
  split(file: JpegBytes, most: number, options: FillOptions = {}): FileSplit | undefined {
    const found = findRowStarts(file, options);
    if (found === undefined) return undefined;
    const { header, starts, bytes } = found;
    const program = this.#programFor(header);
    const parts = partsOf(program, starts, bytes.length, most);
    starts.return();
    if (parts === undefined) return undefined;
    return {
      bytes,
      parts,
      headerBytes: header.firstScan.offset,
      length: madeLength(program),
      finish: (made, out) => {
        this.#checkOut(out);
        if (isArranged(program)) out.set(made);
        else arrange(program, made, out);
        return { width: header.width, height: header.height, scale: program.job.scale };
      },
    };
  }

  /**
   * Makes one of the parts of {@link split}, on any thread.
   * @throws {JpegError} if anything in it is damaged. Then one thread has to read the whole file.
   * @internal
   */
  fillPart(bytes: Uint8Array, { line, endLine, rows }: PlanePart, made: Float32Array): void {
    let whole: Program | undefined;
    let writer: PlaneWriter | undefined;
    const plan = (header: JpegHeader) => {
      whole = this.#programFor(header);
      return whole.job.needed;
    };
    try {
      for (const band of readRows(bytes, plan, rows)) {
        if (writer === undefined) {
          const program = (whole as Program).forLines(line, endLine);
          writer = new PlaneWriter(this.#engineFor(program), program, band.image.components);
        }
        writer.add(band);
      }
      writer?.copyTo(made, line, (whole as Program).job.rows.first.length);
    } finally {
      this.#keepSmall();
    }
  }

  /** {@link fill} for coefficients that are already read: all, or as many as {@link coefficientsFor} says. */
  fillFrom(image: JpegImage, out: Float32Array): Filled {
    this.#checkOut(out);
    const { components, coefficientsPerBlock: kept = 64 } = smoothed(image);
    const program = this.#programFor(image);
    const parts = components.map(({ coefficients }) => coefficients);
    try {
      const writer = new PlaneWriter(this.#engineFor(program), program, components);
      writer.add({ from: 0, to: Number.POSITIVE_INFINITY, parts, kept });
      return finish(writer, image, program, out);
    } finally {
      this.#keepSmall();
    }
  }

  /** How many coefficients of each block of a file are needed, the first ones in zigzag order. */
  coefficientsFor(header: JpegHeader | JpegImage): number {
    return Math.max(...this.#programFor(header).job.needed);
  }

  /** Whether it was made for equal values. */
  isFor(preprocess: Preprocess, size: PlaneSize): boolean {
    return isSame(preprocess, this.#preprocess) && isSame(size, this.#size);
  }

  /** Gives the memory back. Nothing else can be called after it. */
  dispose(): void {
    if (this.#engine) engines.giveBack(this.#engine);
    this.#engine = undefined;
    this.#programs.clear();
    this.#isDisposed = true;
  }

  /** For `using`. In browsers without `Symbol.dispose`, call `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkOut({ length }: Float32Array): void {
    const { channels, height, width } = this.#size;
    const needed = channels * height * width;
    if (length < needed) throw new PreprocessError(`out has ${length} floats; expected at least ${needed}`);
  }

  #engineFor(program: Program): Engine {
    this.#engine ??= engines.take();
    if (this.#written !== program) {
      this.#written = undefined;
      program.write(this.#engine);
      this.#written = program;
    }
    return this.#engine;
  }

  #keepSmall(): void {
    if (this.#engine === undefined || isSmall(this.#engine)) return;
    this.#engine = undefined;
    this.#written = undefined;
  }

  #programFor(header: JpegHeader | JpegImage): Program {
    if (this.#isDisposed) throw new PreprocessError("the preprocessor is disposed of; make a new one");
    const { width, height, orientation, progressive, colorSpace, components } = header;
    let key = `${width} ${height} ${orientation} ${progressive} ${colorSpace}`;
    for (const { horizontalSampling, verticalSampling, blocksWide, blocksHigh } of components)
      key += ` ${horizontalSampling} ${verticalSampling} ${blocksWide} ${blocksHigh}`;
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = this.#makeProgram(header);
      if (this.#programs.size === MOST_KINDS)
        this.#programs.delete(this.#programs.keys().next().value as string);
      this.#programs.set(key, program);
    }
    return program;
  }

  #makeProgram(header: JpegHeader | JpegImage): Program {
    const preprocess = this.#preprocess;
    const size = this.#size;
    const job = jobOf(header, preprocess);
    const channels = channelCount(preprocess);
    const { height, width } = job.geometry.planes;
    if (height !== size.height || width !== size.width || channels !== size.channels)
      throw new PreprocessError(
        `the preprocessing of this ${header.width}x${header.height} image gives ${channels} planes of ` +
          `${width}x${height}; the network takes ${size.channels} of ${size.width}x${size.height}`,
      );
    const { colorSpace, components } = needed<JpegHeader | JpegImage>(header, preprocess);
    return new Program(job, preprocess, { colorSpace, components });
  }
}

const isSame = (a: unknown, b: unknown): boolean => {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const keys = Object.keys(a) as (keyof typeof a)[];
  return keys.length === Object.keys(b).length && keys.every((key) => isSame(a[key], b[key]));
};

function finish(
  writer: PlaneWriter,
  { width, height, damage = [] }: JpegImage,
  { job }: Program,
  out: Float32Array,
): Filled {
  writer.finish(out);
  return { width, height, scale: job.scale, ...(damage.length > 0 && { damage }) };
}

/** The preprocessor of the last call, which a loop uses again. The garbage collector can free it. */
let last: WeakRef<Preprocessor> | undefined;

/**
 * {@link Preprocessor.fill} for a single file: reads it and writes the network's planes `[C, H, W]`, preprocessed.
 *
 * @throws {JpegError} if the file is damaged (unless `tolerant`), of a kind that is not supported, or too large
 * @throws {PreprocessError} if the preprocessing is not described as it must be, or does not give `size` of this file
 */
export function fillPlanes(
  bytes: Uint8Array,
  preprocess: Preprocess,
  size: PlaneSize,
  out: Float32Array,
  options: FillOptions = {},
): Filled {
  let preprocessor = last?.deref();
  if (!preprocessor?.isFor(preprocess, size)) {
    preprocessor?.dispose();
    preprocessor = new Preprocessor(preprocess, size);
    last = new WeakRef(preprocessor);
  }
  return preprocessor.fill(bytes, out, options);
}
