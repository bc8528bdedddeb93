/** The shortest Huffman table for given counts, and the codes of a table. */
import type { HuffmanTable } from "./tables.js";

const MAX_LENGTH = 16;
const SYMBOLS = 256;

/**
 * The table that codes symbols which occur `counts[symbol]` times in the fewest bits. No code is longer than 16 bits, and
 * none is all ones. It equals libjpeg's, also if there are ties. Source: T.81, K.2.
 */
export function optimalTable(counts: ArrayLike<number>): HuffmanTable {
  const size = codeSizes(counts);
  const order = Array.from({ length: SYMBOLS }, (_, symbol) => symbol)
    .filter((symbol) => size[symbol] !== 0)
    .sort((a, b) => (size[a] as number) - (size[b] as number) || a - b);
  return { counts: limitedLengths(size), symbols: Uint8Array.from(order) };
}

/** CODESIZE of figure K.1. Symbol 256 occurs once and sorts last, so it reserves the code that is all ones. */
function codeSizes(counts: ArrayLike<number>): Uint16Array {
  const frequency = Float64Array.from({ length: SYMBOLS + 1 }, (_, symbol) =>
    symbol < SYMBOLS ? (counts[symbol] ?? 0) : 1,
  );
  const size = new Uint16Array(SYMBOLS + 1);
  /** The next symbol of the same subtree; -1 at its end. */
  const others = new Int16Array(SYMBOLS + 1).fill(-1);
  for (;;) {
    const least = leastFrequent(frequency, -1);
    const second = leastFrequent(frequency, least);
    if (second < 0) return size;
    frequency[least] = (frequency[least] as number) + (frequency[second] as number);
    frequency[second] = 0;
    const end = deepen(size, others, least);
    others[end] = second;
    deepen(size, others, second);
  }
}

/** The last symbol, other than `except`, with the least frequency above 0; -1 if there is none. */
function leastFrequent(frequency: Float64Array, except: number): number {
  let found = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let symbol = 0; symbol <= SYMBOLS; symbol++) {
    const value = frequency[symbol] as number;
    if (value === 0 || value > least || symbol === except) continue;
    found = symbol;
    least = value;
  }
  return found;
}

/** Makes the codes of a subtree longer by one bit, and returns its last symbol. */
function deepen(size: Uint16Array, others: Int16Array, first: number): number {
  let symbol = first;
  for (;;) {
    size[symbol] = (size[symbol] as number) + 1;
    const next = others[symbol] as number;
    if (next < 0) return symbol;
    symbol = next;
  }
}

/**
 * BITS of figure K.3. Of two siblings longer than 16 bits, one takes their parent's code. The other moves below a shorter
 * code.
 */
function limitedLengths(size: Uint16Array): Uint8Array {
  const lengths = new Uint16Array(SYMBOLS + 1);
  for (const length of size) if (length > 0) lengths[length] = (lengths[length] as number) + 1;
  const add = (length: number, count: number) => {
    lengths[length] = (lengths[length] as number) + count;
  };
  for (let length = SYMBOLS; length > MAX_LENGTH; length--) {
    while ((lengths[length] as number) > 0) {
      let shorter = length - 2;
      while (lengths[shorter] === 0) shorter--;
      add(length, -2);
      add(length - 1, 1);
      add(shorter + 1, 2);
      add(shorter, -1);
    }
  }
  let longest = MAX_LENGTH;
  while (lengths[longest] === 0) longest--;
  add(longest, -1); // the reserved code
  return Uint8Array.from(lengths.subarray(1, MAX_LENGTH + 1));
}

/**
 * Sets `codes[symbol]` to `code | length << 16` for each symbol of the table, and to 0 for the others. T.81, annex C
 * @param codes 256 entries.
 */
export function fillCodes({ counts, symbols }: HuffmanTable, codes: Uint32Array): void {
  codes.fill(0);
  let code = 0;
  let at = 0;
  counts.forEach((count, index) => {
    for (let i = 0; i < count; i++) codes[symbols[at++] as number] = code++ | ((index + 1) << 16);
    code <<= 1;
  });
}
