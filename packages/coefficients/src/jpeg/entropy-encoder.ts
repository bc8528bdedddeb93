/** Feeds the blocks of a scan to the WebAssembly program of assembly/encode.ts, a batch at a time. */
import {
  CAPACITY,
  CODES,
  COUNTS,
  INPUT,
  MEMORY_BYTES,
  OUTPUT,
  SYMBOLS,
  TABLES,
} from "./assembly/encode-layout.js";
import { JpegImageError } from "./errors.js";
import { wasm } from "./generated/encode.js";
import type { JpegComponent } from "./image.js";
import { type Instance, program, reserve } from "./program.js";
import { scanKind } from "./scan-kind.js";
import type { Scan } from "./scan-script.js";

/** A scan, with everything that its coding depends on. */
export interface CodedScan extends Scan {
  sequential: boolean;
  /** Every component of the image. The scan's own list says which it uses. */
  frame: readonly JpegComponent[];
  mcusWide: number;
  mcusHigh: number;
  /** MCUs between restart markers, 0 for none. */
  restartInterval: number;
  /** Which of the two tables of its kind a component uses. */
  tables: readonly (0 | 1)[];
}

/** The functions of assembly/encode.ts. */
interface Exports {
  begin(kind: number, count: number, start: number, end: number, low: number, interval: number): void;
  assign(c: number, dc: number, ac: number): void;
  place(
    c: number,
    at: number,
    wide: number,
    high: number,
    columns: number,
    rows: number,
    stride: number,
  ): void;
  gather(mcus: number): void;
  failure(): number;
  finishGather(): void;
  emit(mcus: number): number;
  finishEmit(): number;
}

/** One instance of the encoder. Its memory is laid out as assembly/encode-layout.ts says. */
type Coder = Instance<Exports>;

const encoder = program<Exports>("encoder", wasm, 2 ** 20);

/** The largest values for samples of 8 bits. T.81, tables F.1 and F.2 */
const [MAX_DIFFERENCE, MAX_AC] = [2047, 1023];

/**
 * How often the scan needs each symbol.
 * @returns `[4, 256]`: the tables DC 0, DC 1, AC 0, AC 1.
 * @throws {JpegImageError} for a value that Huffman coding of 8-bit samples has no code for.
 */
export function countSymbols(scan: CodedScan): Uint32Array {
  return withCoder(scan, (coder) => {
    const counts = coder.u32.subarray(COUNTS / 4, COUNTS / 4 + TABLES * SYMBOLS);
    counts.fill(0);
    feed(coder, scan, (mcus, locate) => {
      coder.exports.gather(mcus);
      checkFailure(coder, scan, locate);
    });
    coder.exports.finishGather();
    return counts.slice();
  });
}

/**
 * The scan's bytes, in pieces that are valid until `write` returns.
 * @param codes `[4, 256]`, as {@link countSymbols} orders them: `code | length << 16`.
 * @throws {JpegImageError} as {@link countSymbols} does.
 */
export function encodeScan(scan: CodedScan, codes: Uint32Array, write: (bytes: Uint8Array) => void): void {
  withCoder(scan, (coder) => {
    coder.u32.set(codes, CODES / 4);
    const writeOutput = (length: number) => write(coder.u8.subarray(OUTPUT, OUTPUT + length));
    feed(coder, scan, (mcus, locate) => {
      const length = coder.exports.emit(mcus);
      checkFailure(coder, scan, locate);
      writeOutput(length);
    });
    writeOutput(coder.exports.finishEmit());
  });
}

/** Calls `use` with an instance that has begun the scan. Its memory has a fixed size, so it is always kept. */
function withCoder<Result>(scan: CodedScan, use: (coder: Coder) => Result): Result {
  const coder = encoder.take();
  try {
    reserve(coder, MEMORY_BYTES);
    begin(coder, scan);
    return use(coder);
  } finally {
    encoder.giveBack(coder);
  }
}

function checkFailure(coder: Coder, scan: CodedScan, locate: (inputBlock: number) => BlockPlace): void {
  const failed = coder.exports.failure();
  if (failed >= 0) throw tooLarge(scan, locate(failed));
}

function begin({ exports }: Coder, scan: CodedScan): void {
  const { components, spectralStart, spectralEnd, approximationLow, restartInterval, tables } = scan;
  const kind = scanKind(!scan.sequential, scan);
  exports.begin(kind, components.length, spectralStart, spectralEnd, approximationLow, restartInterval);
  components.forEach((c, at) => {
    exports.assign(at, tables[c] as number, tables[c] as number);
  });
}

/** A block: the index of its component in the image, and its own index in the component. */
interface BlockPlace {
  component: number;
  block: number;
}
type Step = (mcus: number, locate: (inputBlock: number) => BlockPlace) => void;

function feed(coder: Coder, scan: CodedScan, step: Step): void {
  const input = coder.i16.subarray(INPUT / 2, INPUT / 2 + CAPACITY * 64);
  if (scan.components.length === 1) feedBlocks(coder, input, scan, step);
  else feedMcus(coder, input, scan, step);
}

/** One component: an MCU is a block and there is no padding, so rows do not matter. T.81, A.2.2 */
function feedBlocks(coder: Coder, input: Int16Array, scan: CodedScan, step: Step): void {
  const component = scan.components[0] as number;
  const { coefficients } = scan.frame[component] as JpegComponent;
  const blocks = coefficients.length / 64;
  for (let at = 0; at < blocks; at += CAPACITY) {
    const count = Math.min(CAPACITY, blocks - at);
    input.set(coefficients.subarray(at * 64, (at + count) * 64));
    coder.exports.place(0, 0, 1, 1, count, 1, count);
    step(count, (block) => ({ component, block: at + block }));
  }
}

/** Interleaved components: a batch is as many MCUs of a row as fit. T.81, A.2.3 */
function feedMcus(coder: Coder, input: Int16Array, scan: CodedScan, step: Step): void {
  const used = scan.components.map((c) => scan.frame[c] as JpegComponent);
  const perMcu = used.reduce((sum, c) => sum + c.horizontalSampling * c.verticalSampling, 0);
  const batch = Math.floor(CAPACITY / perMcu);
  for (let row = 0; row < scan.mcusHigh; row++) {
    for (let first = 0; first < scan.mcusWide; first += batch) {
      const mcus = Math.min(batch, scan.mcusWide - first);
      const spans = placeMcus(coder, input, used, row, first, mcus);
      step(mcus, (block) => locateIn(spans, scan.components, block));
    }
  }
}

/** Where a row of a component's blocks begins, in the input and in the component. */
interface Span {
  /** Index in the scan's list of components. */
  index: number;
  at: number;
  block: number;
}

function placeMcus(
  coder: Coder,
  input: Int16Array,
  used: readonly JpegComponent[],
  row: number,
  first: number,
  mcus: number,
): Span[] {
  const spans: Span[] = [];
  let at = 0;
  used.forEach((component, index) => {
    const { horizontalSampling: wide, verticalSampling: high, blocksWide, blocksHigh } = component;
    const columns = Math.min(mcus * wide, blocksWide - first * wide);
    const rows = Math.min(high, blocksHigh - row * high);
    coder.exports.place(index, at, wide, high, columns, rows, columns);
    for (let y = 0; y < rows; y++, at += columns) {
      const block = (row * high + y) * blocksWide + first * wide;
      input.set(component.coefficients.subarray(block * 64, (block + columns) * 64), at * 64);
      spans.push({ index, at, block });
    }
  });
  return spans;
}

function locateIn(spans: Span[], components: number[], inputBlock: number): BlockPlace {
  const span = spans.findLast(({ at }) => at <= inputBlock) as Span;
  return { component: components[span.index] as number, block: span.block + inputBlock - span.at };
}

function tooLarge(scan: CodedScan, { component, block }: BlockPlace): JpegImageError {
  const { coefficients, blocksWide } = scan.frame[component] as JpegComponent;
  const where = `component ${component}, block row ${Math.floor(block / blocksWide)}, column ${block % blocksWide}`;
  const values = coefficients.subarray(block * 64, block * 64 + 64);
  const shift = scan.approximationLow;
  const limit = MAX_AC << shift;
  for (let k = Math.max(1, scan.spectralStart); k <= scan.spectralEnd; k++) {
    const value = values[k] as number;
    if (Math.abs(value) >> shift > MAX_AC)
      return new JpegImageError(
        `${where}: coefficient ${k} is ${value}, expected at most ${limit} either way from 0`,
        component,
      );
  }
  return new JpegImageError(
    `${where}: its DC ${values[0]} is more than ${MAX_DIFFERENCE << shift} from the one coded before it`,
    component,
  );
}
