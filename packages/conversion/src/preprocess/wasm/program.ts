import type { ColorSpace } from "@jpeg-domain/coefficients";
import { reserve } from "@jpeg-domain/coefficients/internal";
import type { Job } from "../job.js";
import type { Preprocess } from "../preprocess.js";
import type { ScaledComponent } from "../scaling.js";
import {
  BLOCKS,
  COLUMN_FIRST,
  COMPONENT_BYTES,
  COMPONENTS,
  EXPAND_X,
  FANCY,
  HEAP,
  IMAGE,
  OUT_PLANE,
  OUTPUT_BYTES,
  OUTPUTS,
  PIXELS_PLANE,
  SLACK,
} from "./assembly/layout.js";
import { madeOf } from "./color.js";
import type { Engine } from "./engine.js";
import { BASES_Q15 } from "./inverse.js";
import { scaleAndShift } from "./normalize.js";
import { extent, writeTaps } from "./resample.js";

/** What a program depends on beside the job. */
export interface ProgramImage {
  colorSpace: ColorSpace;
  components: readonly ComponentBlocks[];
}

interface ComponentBlocks {
  verticalSampling: number;
  blocksWide: number;
  blocksHigh: number;
}

/** A component's part of the memory. */
export interface Part extends ComponentBlocks {
  scaled: ScaledComponent;
  /** The blocks that are needed of each row. */
  from: number;
  to: number;
  /** Addresses. */
  blocks: number;
  table: number;
  basis: number;
  samples: number;
  upsampled: number;
  /** Bytes of a row, and rows, of the ring of samples. */
  stride: number;
  rows: number;
}

/**
 * How the engine makes the planes of images of one kind: the layout of its memory, and the part of its contents that is the
 * same for all of them.
 */
export class Program {
  /** The rows of whole MCUs that are needed: the first, and the one after the last. */
  readonly firstRow: number;
  readonly endRow: number;
  /** Pixels of a row of whole MCUs. */
  readonly rowHeight: number;
  /** The first row of pixels that is needed. */
  readonly top: number;
  readonly parts: Part[];
  /** Which plane of the pixels each plane that comes out is. */
  readonly outputs: readonly number[];
  readonly #memory: ReturnType<typeof memoryOf>;

  /** @param image The components that are needed. */
  constructor(
    readonly job: Job,
    readonly preprocess: Preprocess,
    readonly image: ProgramImage,
  ) {
    const { components } = image;
    const { scale, layout, rows } = job;
    this.rowHeight = Math.max(...components.map(({ verticalSampling }) => verticalSampling)) * scale;
    this.top = extent(rows)[0];
    [this.firstRow, this.endRow] = this.rowsFor(0, rows.first.length);
    this.outputs = madeOf(preprocess, components.length);
    let end = HEAP;
    const take = (bytes: number): number => {
      const at = end;
      end += (bytes + SLACK + 15) & ~15;
      return at;
    };
    const memory = memoryOf(job, this.rowHeight, planeCount(image), this.outputs.length, take);
    this.#memory = memory;
    this.parts = components.map(({ verticalSampling, blocksWide, blocksHigh }, index): Part => {
      const scaled = layout.components[index] as ScaledComponent;
      const { points, expandX } = scaled;
      const from = Math.max(0, Math.floor((Math.floor(memory.columnFrom / expandX) - 1) / points));
      const to = Math.min(blocksWide, Math.ceil((Math.ceil(memory.columnTo / expandX) + 1) / points));
      const stride = (blocksWide * points + 15 + 64) & ~15;
      const sampleRows = 2 * verticalSampling * points;
      // With so many fields, a spread would take a hundred times longer.
      return {
        verticalSampling,
        blocksWide,
        blocksHigh,
        scaled,
        from,
        to,
        stride,
        rows: sampleRows,
        blocks: take((to - from) * verticalSampling * 128),
        table: take(128),
        basis: take(16 * 8),
        samples: 16 + take(sampleRows * stride),
        upsampled: take(memory.pixelStride),
      };
    });
    memory.end = end;
  }

  /** How many rows of whole MCUs the file has. */
  get rows(): number {
    return Math.ceil(this.job.layout.height / this.rowHeight);
  }

  /** The rows of whole MCUs that some lines of the crop need: the first, and the one after the last. */
  rowsFor(line: number, endLine: number): [firstRow: number, endRow: number] {
    const { layout, rows } = this.job;
    const top = rows.first[line] as number;
    const bottom = (rows.first[endLine - 1] as number) + rows.count;
    return [
      Math.floor(Math.max(0, top - 2) / this.rowHeight),
      Math.ceil(Math.min(layout.height, bottom + 2) / this.rowHeight),
    ];
  }

  /** The program for some lines of the crop alone. */
  forLines(line: number, endLine: number): Program {
    const { first, count, weights } = this.job.rows;
    const rows = {
      first: first.subarray(line, endLine),
      count,
      weights: weights.subarray(line * count, endLine * count),
    };
    return new Program({ ...this.job, rows }, this.preprocess, this.image);
  }

  /** The address of the planes that come out, and the floats from row to row. */
  get out(): { address: number; stride: number } {
    return { address: this.#memory.out, stride: this.#memory.outStride };
  }

  /** Makes the engine's memory large enough, and writes everything there but the quantisation tables. */
  write(engine: Engine): void {
    reserve(engine, this.#memory.end);
    const { u32, f32 } = engine;
    const { rows, columns, layout } = this.job;
    const { columnFrom, columnTo, rowTaps, columnTaps, ring, pixelStride, rowPlane, outStride, ...at } =
      this.#memory;
    const outHeight = rows.first.length;
    const planes = planeCount(this.image);
    const isYcbcr = ["ycbcr", "ycck"].includes(this.image.colorSpace) ? 1 : 0;
    const { width, height } = layout;
    // Each run in the order of assembly/layout.ts.
    u32.set(
      [this.parts.length, isYcbcr, width, height, columnFrom, columnTo, at.pixels, pixelStride, ring - 1],
      IMAGE / 4,
    );
    u32.set([ring * pixelStride, at.rowFirst, rowTaps, at.rowWeights], (IMAGE + PIXELS_PLANE) / 4);
    u32.set(
      [at.columnFirst, columnTaps, at.columnWeights, outHeight, outStride, at.out],
      (IMAGE + COLUMN_FIRST) / 4,
    );
    u32.set([4 * outHeight * outStride, this.outputs.length, at.row, rowPlane], (IMAGE + OUT_PLANE) / 4);
    this.outputs.forEach((plane, index) => {
      const isGray = this.preprocess.channels === "grayscale";
      const { factor, offset } = scaleAndShift(this.preprocess, isGray ? 0 : index);
      const output = (IMAGE + OUTPUTS + index * OUTPUT_BYTES) / 4;
      u32[output] = planes === 1 ? 0 : plane;
      // The sums are in Q20.
      f32[output + 1] = factor / 2 ** 20;
      f32[output + 2] = offset;
    });
    const [down, across] = [
      { count: rowTaps, length: outHeight, first: at.rowFirst, weights: at.rowWeights, origin: 0 },
      { count: columnTaps, length: outStride, first: at.columnFirst, weights: at.columnWeights },
    ] as const;
    writeTaps(engine, rows, down);
    writeTaps(engine, columns, { ...across, origin: columnFrom });
    this.parts.forEach((part, index) => {
      writePart(engine, part, index);
    });
  }
}

const planeCount = ({ components }: ProgramImage): number => (components.length === 1 ? 1 : 3);

/** The layout: sizes, and addresses from `take`. */
function memoryOf(
  { layout, rows, columns }: Job,
  rowHeight: number,
  planes: number,
  outputs: number,
  take: (bytes: number) => number,
) {
  const [left, right] = extent(columns);
  const outHeight = rows.first.length;
  // The engine needs a first column that is a multiple of 16, and whole groups of taps and outputs.
  const columnFrom = left & ~15;
  const columnTo = Math.min(right, layout.width);
  const outStride = (columns.first.length + 3) & ~3;
  const rowTaps = (rows.count + 1) & ~1;
  const columnTaps = (columns.count + 7) & ~7;
  // Rows of finished pixels that are kept, and bytes from one to the next.
  const ring = 2 ** Math.ceil(Math.log2(rowTaps + rowHeight + 2));
  const pixelStride = ((layout.width + 15) & ~15) + 64;
  // Bytes of a plane's row between the two passes of resampling.
  const rowPlane = 2 * (columnTo - columnFrom + 64 + columnTaps);
  return {
    columnFrom,
    columnTo,
    rowTaps,
    columnTaps,
    ring,
    pixelStride,
    rowPlane,
    outStride,
    end: 0,
    pixels: take(planes * ring * pixelStride),
    rowFirst: take(4 * outHeight),
    rowWeights: take(2 * outHeight * rowTaps),
    columnFirst: take(4 * outStride),
    columnWeights: take(2 * outStride * columnTaps),
    row: take(planes * rowPlane),
    out: take(4 * outputs * outHeight * outStride),
  };
}

function writePart({ u32, f64, i16 }: Engine, part: Part, index: number): void {
  const { from, to, blocks, table, basis, samples, upsampled, stride, rows, scaled, blocksWide } = part;
  const { points, width, height, expandX, expandY, fancy } = scaled;
  const base = COMPONENTS + index * COMPONENT_BYTES;
  u32.set(
    [blocks, 128, from, to, points, table, basis, samples, stride, rows, width, height],
    (base + BLOCKS) / 4,
  );
  f64.set([expandX, expandY], (base + EXPAND_X) / 8);
  u32.set([fancy ? 1 : 0, upsampled, to === blocksWide ? 1 : 0], (base + FANCY) / 4);
  i16.set(BASES_Q15[points] as Int16Array, basis / 2);
}
