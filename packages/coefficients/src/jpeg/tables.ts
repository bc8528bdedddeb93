/** A Huffman table, as in a DHT segment (T.81, B.2.4.2). */
export interface HuffmanTable {
  /** How many codes there are of 1 to 16 bits: 16 entries. */
  counts: Uint8Array;
  /** Their symbols, shortest code first. */
  symbols: Uint8Array;
}

/** What is wrong with a table that is not a legal prefix code (T.81, annex C). `dc` symbols are lengths up to 15. */
export function tableDefect(table: HuffmanTable, dc: boolean): string | undefined {
  let code = 0;
  for (let length = 1; length <= 16; length++) {
    const count = table.counts[length - 1] as number;
    code += count;
    // The code that is all ones is reserved, unless there is no code of this length.
    if (count > 0 && code >= 1 << length) return `too many codes of ${length} bits`;
    code *= 2;
  }
  if (dc) {
    for (const symbol of table.symbols) if (symbol > 15) return `the DC symbol ${symbol}`;
  }
  return undefined;
}

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));

const dcSymbols = bytes("000102030405060708090a0b");

/**
 * The tables of T.81, annex K.3: 0 for luminance, 1 for chrominance. libjpeg uses them if a sequential file has none, as
 * the frames of Motion JPEG do.
 */
export const standardDcTables: readonly HuffmanTable[] = [
  { counts: bytes("00010501010101010100000000000000"), symbols: dcSymbols },
  { counts: bytes("00030101010101010101010000000000"), symbols: dcSymbols },
];

export const standardAcTables: readonly HuffmanTable[] = [
  {
    counts: bytes("0002010303020403050504040000017d"),
    symbols: bytes(
      "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a" +
        "3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495" +
        "969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9" +
        "eaf1f2f3f4f5f6f7f8f9fa",
    ),
  },
  {
    counts: bytes("00020102040403040705040400010277"),
    symbols: bytes(
      "0001020311040521310612415107617113223281081442" +
        "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a53545556575859" +
        "5a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7" +
        "b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
    ),
  },
];
