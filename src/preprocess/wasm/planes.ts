import type { Band } from "../../jpeg/decode.js";
import type { JpegComponent } from "../../jpeg/image.js";
import { BLOCK_BYTES, COMPONENT_BYTES, COMPONENTS, IMAGE, NEXT_OUT, NEXT_PIXELS } from "./assembly/layout.js";
import { giveBack, type PixelEngine, takeEngine } from "./engine.js";
import { type Part, type PlanesGeometry, PlanesProgram, type PlanesRequest } from "./program.js";

/** What of an image's header the pixels need. */
export interface PlanesImage extends PlanesGeometry {
  components: readonly (PlanesGeometry["components"][number] & { quantization: Uint16Array })[];
}

/** What is written in an engine's memory. */
const written = new WeakMap<PixelEngine, PlanesProgram>();

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
  readonly firstRow: number;
  readonly endRow: number;
  readonly #engine: PixelEngine;
  readonly #program: PlanesProgram;
  readonly #request: PlanesRequest;

  constructor(image: PlanesImage, request: PlanesRequest) {
    const engine = takeEngine();
    let program = written.get(engine);
    if (!program?.isFor(image, request)) {
      program = new PlanesProgram(image, request);
      written.delete(engine);
      program.write(engine);
      written.set(engine, program);
    }
    engine.u32[(IMAGE + NEXT_PIXELS) / 4] = program.top;
    engine.u32[(IMAGE + NEXT_OUT) / 4] = 0;
    for (const [index, { table }] of program.parts.entries())
      engine.i16.set((image.components[index] as PlanesImage["components"][number]).quantization, table / 2);
    this.firstRow = program.firstRow;
    this.endRow = program.endRow;
    this.#engine = engine;
    this.#program = program;
    this.#request = request;
  }

  /**
   * Takes row `row` of whole MCUs.
   * @param blocks Gives the coefficients of a component: where row `blockRow` of its blocks starts, and how many of each
   *   block there are.
   */
  add(row: number, blocks: (component: number, blockRow: number) => BlockRow): void {
    const { layout, parts, rowHeight } = this.#program;
    for (const [index, part] of parts.entries()) this.#addPart(row, index, part, blocks);
    const isLast = (row + 1) * rowHeight >= layout.height;
    // The last row of samples waits for the next one, which its upsampling needs.
    const waits = parts.some(({ scaled }) => scaled.fancy && scaled.expandY === 2);
    this.#engine.advance(isLast ? layout.height : (row + 1) * rowHeight - (waits ? 1 : 0));
  }

  /** Takes what is needed of a band. */
  addBand({ image, from, to, parts, kept }: Band): void {
    for (let row = Math.max(from, this.firstRow); row < Math.min(to, this.endRow); row++)
      this.add(row, (component, blockRow) => {
        const { blocksWide, verticalSampling } = image.components[component] as JpegComponent;
        const start = (blockRow - from * verticalSampling) * blocksWide * kept;
        return { data: parts[component] as Int16Array, start, kept };
      });
  }

  #addPart(
    row: number,
    index: number,
    { verticalSampling, blocksHigh, from, to, blocks: address }: Part,
    blocks: (component: number, blockRow: number) => BlockRow,
  ): void {
    const { u32, i16 } = this.#engine;
    const end = Math.min(blocksHigh, (row + 1) * verticalSampling);
    const blockBytes = (COMPONENTS + index * COMPONENT_BYTES + BLOCK_BYTES) / 4;
    for (let blockRow = row * verticalSampling; blockRow < end; blockRow++) {
      const { data, start, kept } = blocks(index, blockRow);
      i16.set(data.subarray(start + from * kept, start + to * kept), address / 2);
      u32[blockBytes] = 2 * kept;
      this.#engine.transform(index, blockRow);
    }
  }

  /** Writes the planes `[outputs, rows, columns]`. */
  finish(out: Float32Array): void {
    const { rows, columns, outputs } = this.#request;
    const { out: address, outStride } = this.#program.memory;
    const lines = rows.first.length * outputs.length;
    const width = columns.first.length;
    const made = this.#engine.f32.subarray(address / 4, address / 4 + lines * outStride);
    if (width === outStride) out.set(made);
    else
      for (let line = 0; line < lines; line++)
        out.set(made.subarray(line * outStride, line * outStride + width), line * width);
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
