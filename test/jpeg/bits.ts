/** Writes JPEG files bit by bit, with any wanted defect. */

/** Entropy-coded bits with byte stuffing (T.81, F.1.2.3). */
export class BitWriter {
  readonly bytes: number[] = [];
  #buffer = 0;
  #count = 0;

  put(value: number, length: number): this {
    for (let bit = length - 1; bit >= 0; bit--) {
      this.#buffer = (this.#buffer << 1) | (Math.floor(value / 2 ** bit) & 1);
      if (++this.#count === 8) this.#byte();
    }
    return this;
  }

  #byte(): void {
    this.bytes.push(this.#buffer);
    if (this.#buffer === 0xff) this.bytes.push(0);
    this.#buffer = 0;
    this.#count = 0;
  }

  /** Fills the last byte with ones. */
  pad(): this {
    while (this.#count > 0) this.put(1, 1);
    return this;
  }

  restart(number: number): this {
    this.pad();
    this.bytes.push(0xff, 0xd0 + (number & 7));
    return this;
  }
}

export interface Table {
  counts: number[];
  symbols: number[];
}

/** The code of each symbol (T.81, annex C). */
export function codes({ counts, symbols }: Table): Map<number, [code: number, length: number]> {
  const result = new Map<number, [number, number]>();
  let code = 0;
  let next = 0;
  counts.forEach((count, index) => {
    for (let i = 0; i < count && next < symbols.length; i++) {
      const symbol = symbols[next++] as number;
      if (!result.has(symbol)) result.set(symbol, [code, index + 1]);
      code++;
    }
    code *= 2;
  });
  return result;
}

const u16 = (value: number) => [(value >> 8) & 255, value & 255];

export const segment = (marker: number, content: number[]) => [
  0xff,
  marker,
  ...u16(content.length + 2),
  ...content,
];
export const SOI = [0xff, 0xd8];
export const EOI = [0xff, 0xd9];
export const dqt = (slot = 0, value = 1, wide = false) =>
  segment(0xdb, [
    (wide ? 0x10 : 0) | slot,
    ...Array.from({ length: 64 }, () => (wide ? u16(value) : [value])).flat(),
  ]);
export const dht = (kind: number, { counts, symbols }: Table) => segment(0xc4, [kind, ...counts, ...symbols]);
export const dri = (interval: number) => segment(0xdd, u16(interval));
export const sof = (
  marker: number,
  width: number,
  height: number,
  components: [id: number, horizontal: number, vertical: number, slot: number][],
  precision = 8,
) =>
  segment(marker, [
    precision,
    ...u16(height),
    ...u16(width),
    components.length,
    ...components.flatMap(([id, h, v, slot]) => [id, (h << 4) | v, slot]),
  ]);
export const sos = (components: [id: number, tables: number][], ss = 0, se = 63, ah = 0, al = 0) =>
  segment(0xda, [components.length, ...components.flat(), ss, se, (ah << 4) | al]);

/** A table with these symbols and codes of 1 to 16 bits, shortest codes first, as flat as possible. */
export function tableOf(symbols: number[], longest = 16): Table {
  const counts = new Array<number>(16).fill(0);
  let length = 1;
  while (2 ** length - 1 < symbols.length && length < longest) length++;
  counts[length - 1] = symbols.length;
  return { counts, symbols };
}
