import {
  basisFor,
  COMPONENT_BYTES,
  COMPONENTS,
  EXPAND,
  giveBack,
  HEAP,
  IMAGE,
  NEXT_PIXELS,
  OUTPUT_BYTES,
  OUTPUTS,
  type PixelEngine,
  SLACK,
  takeEngine,
} from "./pixel-engine.js";
import { type Sampled, type ScaledLayout, scaledLayout } from "./scaling.js";

/** Output `x` of an axis is `Σ_t weights[x · count + t] · input[first[x] + t]`. */
export interface AxisTaps {
  first: Int32Array;
  count: number;
  weights: Float64Array;
}

/** What is to become of an image: pixels at `scale / 8` of its size, resampled, and each plane scaled and shifted. */
export interface PlanesRequest {
  scale: number;
  rows: AxisTaps;
  columns: AxisTaps;
  /** For each plane that comes out: which of the image's (red, green, blue, or the gray one), `value · factor + summand`. */
  outputs: { plane: number; factor: number; summand: number }[];
}

/** What of an image's header the pixels need. */
export interface PlanesImage extends Sampled {
  components: readonly {
    horizontalSampling: number;
    verticalSampling: number;
    blocksWide: number;
    blocksHigh: number;
    quantization: Uint16Array;
  }[];
}

interface Part {
  /** Address of the blocks at hand. */
  blocks: number;
  /** The blocks that are needed. */
  from: number;
  to: number;
}

/**
 * Makes planes of an image whose coefficients come row by row of whole MCUs, from the top, in memory that does not
 * grow with the image's height. Rows before `firstRow` and from `endRow` on need not come.
 *
 * ```ts
 * const writer = new PlaneWriter(image, request);
 * for (let row = writer.firstRow; row < writer.endRow; row++) writer.add(row, (component) => ({ … }));
 * writer.finish(out);
 * writer.release();
 * ```
 */
export class PlaneWriter {
  readonly layout: ScaledLayout;
  readonly firstRow: number;
  readonly endRow: number;
  readonly #image: PlanesImage;
  readonly #request: PlanesRequest;
  readonly #engine: PixelEngine;
  readonly #parts: Part[];
  readonly #out: number;
  readonly #outStride: number;
  readonly #rowHeight: number;
  #u32: Uint32Array;
  #i16: Int16Array;

  constructor(image: PlanesImage, request: PlanesRequest) {
    const layout = scaledLayout(image, request.scale);
    const { rows, columns, outputs } = request;
    this.#image = image;
    this.#request = request;
    this.layout = layout;
    const maxY = Math.max(...image.components.map(({ verticalSampling }) => verticalSampling));
    this.#rowHeight = maxY * request.scale;
    const [top, bottom] = extent(rows);
    const [left, right] = extent(columns);
    const mcuRows = Math.ceil(layout.height / this.#rowHeight);
    this.firstRow = Math.floor(Math.max(0, top - 2) / this.#rowHeight);
    this.endRow = Math.min(mcuRows, Math.ceil((Math.min(bottom, layout.height) + 2) / this.#rowHeight));
    const columnFrom = left & ~15;
    const columnTo = Math.min(right, layout.width);

    // Addresses first: memory may have to grow.
    let end = HEAP;
    const take = (bytes: number): number => {
      const at = end;
      end += (bytes + SLACK + 15) & ~15;
      return at;
    };
    const height = rows.first.length;
    const outStride = (columns.first.length + 3) & ~3;
    this.#outStride = outStride;
    const rowTaps = (rows.count + 1) & ~1;
    const columnTaps = (columns.count + 7) & ~7;
    const ring = 2 ** Math.ceil(Math.log2(rowTaps + this.#rowHeight + 2));
    const pixelStride = ((layout.width + 15) & ~15) + 64;
    const planes = image.components.length === 1 ? 1 : 3;
    const rowPlane = 2 * (columnTo - columnFrom + 64 + columnTaps);
    const at = {
      pixels: take(planes * ring * pixelStride),
      rowFirst: take(4 * height),
      rowWeights: take(2 * height * rowTaps),
      columnFirst: take(4 * outStride),
      columnWeights: take(2 * outStride * columnTaps),
      row: take(planes * rowPlane),
      out: take(4 * outputs.length * height * outStride),
    };
    this.#out = at.out;
    const parts = layout.components.map((scaled, index) => {
      const { blocksWide, verticalSampling } = image.components[index] as PlanesImage["components"][number];
      const { points, expandX } = scaled;
      const from = Math.max(0, Math.floor((Math.floor(columnFrom / expandX) - 1) / points));
      const to = Math.min(blocksWide, Math.ceil((Math.ceil(columnTo / expandX) + 1) / points));
      const stride = (blocksWide * points + 15 + 64) & ~15;
      const samplesRows = 2 * verticalSampling * points;
      return {
        from,
        to,
        points,
        stride,
        samplesRows,
        blocks: take((to - from) * verticalSampling * 128),
        table: take(128),
        basis: take(16 * 8),
        samples: 16 + take(samplesRows * stride),
        upsampled: take(pixelStride),
      };
    });
    this.#parts = parts;

    this.#engine = takeEngine(end);
    const { memory } = this.#engine;
    this.#u32 = new Uint32Array(memory.buffer);
    this.#i16 = new Int16Array(memory.buffer);
    const f32 = new Float32Array(memory.buffer);
    const f64 = new Float64Array(memory.buffer);

    const isYcbcr = image.colorSpace === "ycbcr" ? 1 : 0;
    this.#u32.set(
      [planes, isYcbcr, layout.width, layout.height, columnFrom, columnTo, at.pixels, pixelStride, ring - 1],
      IMAGE / 4,
    );
    this.#u32.set([ring * pixelStride, at.rowFirst, rowTaps, at.rowWeights], IMAGE / 4 + 9);
    this.#u32.set([at.columnFirst, columnTaps, at.columnWeights, height, outStride, at.out], IMAGE / 4 + 13);
    this.#u32.set([4 * height * outStride, outputs.length, at.row, rowPlane], IMAGE / 4 + 19);
    outputs.forEach(({ plane, factor, summand }, index) => {
      const output = (OUTPUTS + index * OUTPUT_BYTES) / 4;
      this.#u32[output] = planes === 1 ? 0 : plane;
      // The sums are in Q20.
      f32[output + 1] = factor / 2 ** 20;
      f32[output + 2] = summand;
    });
    this.#u32.set([top, 0], NEXT_PIXELS / 4);
    this.#setTaps(rows, rowTaps, at.rowFirst, at.rowWeights, 0, height);
    this.#setTaps(columns, columnTaps, at.columnFirst, at.columnWeights, columnFrom, outStride);
    layout.components.forEach((scaled, index) => {
      const component = image.components[index] as PlanesImage["components"][number];
      const { blocks, from, to, points, table, basis, samples, stride, samplesRows, upsampled } = parts[
        index
      ] as (typeof parts)[number];
      const base = (COMPONENTS + index * COMPONENT_BYTES) / 4;
      const { width, height, expandX, expandY, fancy } = scaled;
      this.#u32.set([blocks, 128, from, to, points, table, basis, samples, stride, samplesRows], base);
      this.#u32.set([width, height], base + 10);
      f64.set([expandX, expandY], (4 * base + EXPAND) / 8);
      this.#u32.set([fancy ? 1 : 0, upsampled, to === component.blocksWide ? 1 : 0], base + 16);
      this.#i16.set(component.quantization, table / 2);
      this.#i16.set(basisFor(points), basis / 2);
    });
  }

  /** Whole numbers in Q14 that add up to 1. */
  #setTaps(
    taps: AxisTaps,
    count: number,
    first: number,
    weights: number,
    origin: number,
    length: number,
  ): void {
    this.#i16.fill(0, weights / 2, weights / 2 + count * length);
    for (let x = 0; x < length; x++) {
      const from = Math.min(x, taps.first.length - 1);
      this.#u32[first / 4 + x] = (taps.first[from] as number) - origin;
      const at = weights / 2 + x * count;
      let left = 1 << 14;
      let largest = 0;
      for (let t = 0; t < taps.count; t++) {
        const weight = Math.round((taps.weights[from * taps.count + t] as number) * (1 << 14));
        this.#i16[at + t] = weight;
        left -= weight;
        if (weight > (this.#i16[at + largest] as number)) largest = t;
      }
      this.#i16[at + largest] = (this.#i16[at + largest] as number) + left;
    }
  }

  /**
   * Takes row `row` of whole MCUs.
   * @param blocks Gives the coefficients of a component: where row `blockRow` of its blocks starts, and how many of each
   *   block there are.
   */
  add(row: number, blocks: (component: number, blockRow: number) => BlockRow): void {
    const u32 = this.#u32;
    this.#parts.forEach(({ blocks: address, from, to }, index) => {
      const { verticalSampling, blocksHigh } = this.#image.components[
        index
      ] as PlanesImage["components"][number];
      const end = Math.min(blocksHigh, (row + 1) * verticalSampling);
      for (let blockRow = row * verticalSampling; blockRow < end; blockRow++) {
        const { data, start, kept } = blocks(index, blockRow);
        this.#i16.set(data.subarray(start + from * kept, start + to * kept), address / 2);
        const base = (COMPONENTS + index * COMPONENT_BYTES) / 4;
        u32[base] = address;
        u32[base + 1] = 2 * kept;
        this.#engine.transform(index, blockRow);
      }
    });
    const isLast = (row + 1) * this.#rowHeight >= this.layout.height;
    // The last row of samples waits for the next one, which its upsampling needs.
    const waits = this.layout.components.some(({ fancy, expandY }) => fancy && expandY === 2);
    const limit = isLast ? this.layout.height : (row + 1) * this.#rowHeight - (waits ? 1 : 0);
    this.#engine.advance(limit);
  }

  /** Writes the planes `[outputs, rows, columns]`. */
  finish(out: Float32Array): void {
    const { rows, columns, outputs } = this.#request;
    const lines = rows.first.length * outputs.length;
    const width = columns.first.length;
    const made = new Float32Array(this.#engine.memory.buffer, this.#out, lines * this.#outStride);
    if (width === this.#outStride) out.set(made);
    else
      for (let line = 0; line < lines; line++)
        out.set(made.subarray(line * this.#outStride, line * this.#outStride + width), line * width);
  }

  /** Gives the memory back. Nothing else may be called after it. */
  release(): void {
    giveBack(this.#engine);
  }
}

export interface BlockRow {
  data: Int16Array;
  /** Index of the row's first coefficient. */
  start: number;
  /** Coefficients for each block. */
  kept: number;
}

/** The inputs that some tap reaches: first and end. */
function extent({ first, count }: AxisTaps): [number, number] {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const at of first) {
    if (at < least) least = at;
    if (at > most) most = at;
  }
  return [least, most + count];
}
