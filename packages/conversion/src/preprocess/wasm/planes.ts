/** Preprocessing in WebAssembly: a file's quantised coefficients → the network's planes, band by band. */
import type { JpegComponent } from "@jpeg-domain/coefficients";
import { isPadded } from "../geometry.js";
import { BLOCK_BYTES, COMPONENT_BYTES, COMPONENTS, IMAGE, NEXT_OUT, NEXT_PIXELS } from "./assembly/layout.js";
import { mixed } from "./color.js";
import type { Engine } from "./engine.js";
import { surround } from "./normalize.js";
import { turn } from "./orientation.js";
import type { Part, Program } from "./program.js";

/** The blocks of some rows of whole MCUs. */
export interface Blocks {
  /** The first row of whole MCUs, and the one after the last. */
  from: number;
  to: number;
  /** For each component its rows of blocks, `[rows, blocksWide, kept]`. */
  parts: readonly Int16Array[];
  kept: number;
}

/**
 * Makes planes of an image whose blocks come from top to bottom. Its memory does not grow with the image's height. Rows that
 * are not needed can be left out.
 */
export class PlaneWriter {
  readonly #engine: Engine;
  readonly #program: Program;
  /** Whether the last row of samples waits for the next one, which its upsampling needs. */
  readonly #waits: boolean;

  /** @param engine Its memory holds what `program.write` put there. */
  constructor(engine: Engine, program: Program, components: readonly Pick<JpegComponent, "quantization">[]) {
    engine.u32[(IMAGE + NEXT_PIXELS) / 4] = program.top;
    engine.u32[(IMAGE + NEXT_OUT) / 4] = 0;
    program.parts.forEach(({ table }, index) => {
      engine.i16.set((components[index] as JpegComponent).quantization, table / 2);
    });
    this.#engine = engine;
    this.#program = program;
    this.#waits = program.parts.some(({ scaled }) => scaled.fancy && scaled.expandY === 2);
  }

  /** Takes the next blocks, or all of them. */
  add(blocks: Blocks): void {
    const { parts, firstRow, endRow, rowHeight, job } = this.#program;
    const { height } = job.layout;
    for (let row = Math.max(blocks.from, firstRow); row < Math.min(blocks.to, endRow); row++) {
      for (const [index, part] of parts.entries()) this.#transform(row, index, part, blocks);
      const end = (row + 1) * rowHeight;
      this.#engine.exports.advance(end >= height ? height : end - (this.#waits ? 1 : 0));
    }
  }

  #transform(row: number, index: number, part: Part, { from: first, parts, kept }: Blocks): void {
    const { u32, i16 } = this.#engine;
    const { verticalSampling, blocksHigh, blocksWide, from, to, blocks: address } = part;
    const data = parts[index] as Int16Array;
    const end = Math.min(blocksHigh, (row + 1) * verticalSampling);
    for (let blockRow = row * verticalSampling; blockRow < end; blockRow++) {
      const start = (blockRow - first * verticalSampling) * blocksWide * kept;
      i16.set(data.subarray(start + from * kept, start + to * kept), address / 2);
      u32[(COMPONENTS + index * COMPONENT_BYTES + BLOCK_BYTES) / 4] = 2 * kept;
      this.#engine.exports.transform(index, blockRow);
    }
  }

  /** Writes the network's planes `[C, H, W]`. */
  finish(out: Float32Array): void {
    const made = isArranged(this.#program) ? out : new Float32Array(madeLength(this.#program));
    this.copyTo(made);
    if (made !== out) arrange(this.#program, made, out);
  }

  /** Copies what was made out of the engine, to planes of `lines` lines of the crop, from `line` on. */
  copyTo(made: Float32Array, line = 0, lines = this.#program.job.rows.first.length): void {
    const { job, outputs, out } = this.#program;
    const { stride } = out;
    const { f32 } = this.#engine;
    const width = job.columns.first.length;
    const count = job.rows.first.length;
    for (let plane = 0; plane < outputs.length; plane++) {
      const from = out.address / 4 + plane * count * stride;
      const to = (plane * lines + line) * width;
      if (width === stride) made.set(f32.subarray(from, from + count * width), to);
      else
        for (let y = 0; y < count; y++)
          made.set(f32.subarray(from + y * stride, from + y * stride + width), to + y * width);
    }
  }
}

/** The floats of the crop's planes as the engine makes them. */
export const madeLength = ({ outputs, job }: Program): number =>
  outputs.length * job.rows.first.length * job.columns.first.length;

/** Whether what the engine makes is the network's planes already. */
export function isArranged({ job, preprocess, outputs }: Program): boolean {
  const isMixed = preprocess.channels === "grayscale" && outputs.length === 3;
  return job.orientation === 1 && !isMixed && !isPadded(job.geometry);
}

/** From the crop's planes as the engine makes them to the network's. */
export function arrange({ job, preprocess, outputs }: Program, made: Float32Array, out: Float32Array): void {
  if (isPadded(job.geometry)) surround(job.geometry, preprocess, out);
  turn(mixed(made, outputs.length, preprocess), job, out);
}
