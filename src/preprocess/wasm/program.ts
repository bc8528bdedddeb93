import { type Sampled, type ScaledComponent, type ScaledLayout, scaledLayout } from "../scaling.js";
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
import { basisFor, type PixelEngine, reserve } from "./engine.js";

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

/** What of an image's header the pixels depend on, besides its quantisation tables. */
export interface PlanesGeometry extends Sampled {
  components: readonly ComponentGeometry[];
}

interface ComponentGeometry {
  horizontalSampling: number;
  verticalSampling: number;
  blocksWide: number;
  blocksHigh: number;
}

/** A component's part of the memory. */
export interface Part extends ComponentGeometry {
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
  /** Of the ring of rows of samples. */
  stride: number;
  rows: number;
}

/** Where things lie in the engine's memory, and how large they are there. */
interface Memory {
  /** Columns of pixels that are needed; the first one a multiple of 16. */
  columnFrom: number;
  columnTo: number;
  /** Taps with zeros added, as the engine takes them. */
  rowTaps: number;
  columnTaps: number;
  /** Rows of finished pixels that are kept, and bytes from one to the next. */
  ring: number;
  pixelStride: number;
  /** Bytes of a plane's row between the two filters. */
  rowPlane: number;
  /** Floats from row to row of the planes that come out. */
  outStride: number;
  /** Addresses. */
  pixels: number;
  rowFirst: number;
  rowWeights: number;
  columnFirst: number;
  columnWeights: number;
  row: number;
  out: number;
  end: number;
}

/**
 * How the pixel engine makes planes of images of one geometry: where everything lies in its memory, and everything
 * there that is the same for all of them. Files of one folder tend to be alike, and then the engine keeps it.
 */
export class PlanesProgram {
  readonly layout: ScaledLayout;
  /** The rows of whole MCUs that are needed: the first, and the one after the last. */
  readonly firstRow: number;
  readonly endRow: number;
  /** Pixels of a row of whole MCUs. */
  readonly rowHeight: number;
  /** The first row of pixels that is needed. */
  readonly top: number;
  readonly parts: Part[];
  readonly memory: Memory;
  readonly #geometry: PlanesGeometry;
  readonly #request: PlanesRequest;

  constructor(image: PlanesGeometry, request: PlanesRequest) {
    this.#geometry = geometryOf(image);
    this.#request = request;
    const { components } = this.#geometry;
    const layout = scaledLayout(image, request.scale);
    this.layout = layout;
    const { rows, columns, outputs } = request;
    this.rowHeight = Math.max(...components.map(({ verticalSampling }) => verticalSampling)) * request.scale;
    const [top, bottom] = extent(rows);
    const [left, right] = extent(columns);
    this.top = top;
    this.firstRow = Math.floor(Math.max(0, top - 2) / this.rowHeight);
    this.endRow = Math.ceil(Math.min(layout.height, bottom + 2) / this.rowHeight);

    const columnFrom = left & ~15;
    const columnTo = Math.min(right, layout.width);
    const outHeight = rows.first.length;
    const outStride = (columns.first.length + 3) & ~3;
    const rowTaps = (rows.count + 1) & ~1;
    const columnTaps = (columns.count + 7) & ~7;
    const ring = 2 ** Math.ceil(Math.log2(rowTaps + this.rowHeight + 2));
    const pixelStride = ((layout.width + 15) & ~15) + 64;
    const planes = planeCount(image);
    const rowPlane = 2 * (columnTo - columnFrom + 64 + columnTaps);
    let end = HEAP;
    const take = (bytes: number): number => {
      const at = end;
      end += (bytes + SLACK + 15) & ~15;
      return at;
    };
    const addresses = {
      pixels: take(planes * ring * pixelStride),
      rowFirst: take(4 * outHeight),
      rowWeights: take(2 * outHeight * rowTaps),
      columnFirst: take(4 * outStride),
      columnWeights: take(2 * outStride * columnTaps),
      row: take(planes * rowPlane),
      out: take(4 * outputs.length * outHeight * outStride),
    };
    this.parts = components.map((component, index): Part => {
      const scaled = layout.components[index] as ScaledComponent;
      const { points, expandX } = scaled;
      const from = Math.max(0, Math.floor((Math.floor(columnFrom / expandX) - 1) / points));
      const to = Math.min(component.blocksWide, Math.ceil((Math.ceil(columnTo / expandX) + 1) / points));
      const stride = (component.blocksWide * points + 15 + 64) & ~15;
      const sampleRows = 2 * component.verticalSampling * points;
      return {
        ...component,
        scaled,
        from,
        to,
        stride,
        rows: sampleRows,
        blocks: take((to - from) * component.verticalSampling * 128),
        table: take(128),
        basis: take(16 * 8),
        samples: 16 + take(sampleRows * stride),
        upsampled: take(pixelStride),
      };
    });
    const sizes = { columnFrom, columnTo, rowTaps, columnTaps, ring, pixelStride, rowPlane, outStride };
    this.memory = { ...sizes, ...addresses, end };
  }

  /** Whether the same would be made for another image and request; the request must be the same object. */
  isFor({ width, height, colorSpace, components }: PlanesGeometry, request: PlanesRequest): boolean {
    const mine = this.#geometry;
    return (
      request === this.#request &&
      width === mine.width &&
      height === mine.height &&
      colorSpace === mine.colorSpace &&
      components.length === mine.components.length &&
      components.every((component, index) => {
        const other = mine.components[index] as ComponentGeometry;
        return (
          component.horizontalSampling === other.horizontalSampling &&
          component.verticalSampling === other.verticalSampling &&
          component.blocksWide === other.blocksWide &&
          component.blocksHigh === other.blocksHigh
        );
      })
    );
  }

  /** Writes everything but the quantisation tables to the engine's memory, which it makes large enough. */
  write(engine: PixelEngine): void {
    reserve(engine, this.memory.end);
    const { u32, f32 } = engine;
    const { rows, columns, outputs } = this.#request;
    const { columnFrom, columnTo, rowTaps, columnTaps, ring, pixelStride, rowPlane, ...at } = this.memory;
    const { width, height } = this.layout;
    const outHeight = rows.first.length;
    const planes = planeCount(this.#geometry);
    const isYcbcr = ["ycbcr", "ycck"].includes(this.#geometry.colorSpace) ? 1 : 0;
    const count = this.#geometry.components.length;
    // Each run in the order of the layout.
    u32.set(
      [count, isYcbcr, width, height, columnFrom, columnTo, at.pixels, pixelStride, ring - 1],
      IMAGE / 4,
    );
    u32.set([ring * pixelStride, at.rowFirst, rowTaps, at.rowWeights], (IMAGE + PIXELS_PLANE) / 4);
    u32.set(
      [at.columnFirst, columnTaps, at.columnWeights, outHeight, at.outStride, at.out],
      (IMAGE + COLUMN_FIRST) / 4,
    );
    u32.set([4 * outHeight * at.outStride, outputs.length, at.row, rowPlane], (IMAGE + OUT_PLANE) / 4);
    outputs.forEach(({ plane, factor, summand }, index) => {
      const output = (IMAGE + OUTPUTS + index * OUTPUT_BYTES) / 4;
      u32[output] = planes === 1 ? 0 : plane;
      // The sums are in Q20.
      f32[output + 1] = factor / 2 ** 20;
      f32[output + 2] = summand;
    });
    writeTaps(engine, rows, rowTaps, at.rowFirst, at.rowWeights, 0, outHeight);
    writeTaps(engine, columns, columnTaps, at.columnFirst, at.columnWeights, columnFrom, at.outStride);
    this.parts.forEach((part, index) => {
      writePart(engine, part, index);
    });
  }
}

/** A copy: the image itself may hold megabytes of coefficients. */
const geometryOf = ({ width, height, colorSpace, components }: PlanesGeometry): PlanesGeometry => ({
  ...{ width, height, colorSpace },
  components: components.map(({ horizontalSampling, verticalSampling, blocksWide, blocksHigh }) => ({
    ...{ horizontalSampling, verticalSampling, blocksWide, blocksHigh },
  })),
});

const planeCount = ({ components }: PlanesGeometry): number => (components.length === 1 ? 1 : 3);

function writePart({ u32, f64, i16 }: PixelEngine, part: Part, index: number): void {
  const { from, to, blocks, table, basis, samples, upsampled, stride, rows, scaled, blocksWide } = part;
  const { points, width, height, expandX, expandY, fancy } = scaled;
  const base = COMPONENTS + index * COMPONENT_BYTES;
  u32.set(
    [blocks, 128, from, to, points, table, basis, samples, stride, rows, width, height],
    (base + BLOCKS) / 4,
  );
  f64.set([expandX, expandY], (base + EXPAND_X) / 8);
  u32.set([fancy ? 1 : 0, upsampled, to === blocksWide ? 1 : 0], (base + FANCY) / 4);
  i16.set(basisFor(points), basis / 2);
}

/** Whole numbers in Q14 that add up to 1. */
function writeTaps(
  { u32, i16 }: PixelEngine,
  taps: AxisTaps,
  count: number,
  first: number,
  weights: number,
  origin: number,
  length: number,
): void {
  i16.fill(0, weights / 2, weights / 2 + count * length);
  for (let x = 0; x < length; x++) {
    const from = Math.min(x, taps.first.length - 1);
    u32[first / 4 + x] = (taps.first[from] as number) - origin;
    const at = weights / 2 + x * count;
    let left = 1 << 14;
    let largest = 0;
    for (let t = 0; t < taps.count; t++) {
      const weight = Math.round((taps.weights[from * taps.count + t] as number) * (1 << 14));
      i16[at + t] = weight;
      left -= weight;
      if (weight > (i16[at + largest] as number)) largest = t;
    }
    i16[at + largest] = (i16[at + largest] as number) + left;
  }
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
