import { dht, dqt, dri, EOI, SOI, segment, sof, sos, type Table } from "./bits.js";

/** A seeded generator of random numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= result < limit. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.below(1 << 20) < probability * (1 << 20);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

/** A random Huffman code, legal most of the time; it may leave bit patterns without a symbol. */
export function randomTable(random: Random, dc: boolean): Table {
  const counts: number[] = [];
  const total = dc ? 1 + random.below(12) : 1 + random.below(random.pick([4, 30, 162, 250]));
  let left = total;
  let room = 1;
  for (let length = 1; length <= 16; length++) {
    room *= 2;
    // The code of all ones stays unused, and there must be room for the remaining symbols.
    const most = Math.min(left, room - 1, Math.max(0, room - Math.ceil(left / 2 ** (16 - length)) - 1));
    const count = length === 16 ? Math.min(left, room - 1) : random.below(Math.max(0, most) + 1);
    counts.push(count);
    left -= count;
    room -= count;
  }
  const symbols: number[] = [];
  for (let i = 0; i < total - left; i++)
    symbols.push(dc ? random.below(12) : random.chance(0.3) ? random.below(256) : randomAcSymbol(random));
  if (random.chance(0.02)) counts[random.below(16)] = random.below(256);
  return { counts, symbols };
}

const randomAcSymbol = (random: Random) =>
  random.chance(0.15)
    ? 16 * random.below(16)
    : 16 * random.below(random.pick([1, 4, 16])) + 1 + random.below(4);

/** A file of legal or nearly legal structure: frame, tables, scan script and the scans' bits are random. */
export function generate(random: Random): Uint8Array {
  const progressive = random.chance(0.6);
  const arithmetic = random.chance(0.3);
  const count = random.pick([1, 1, 2, 3, 3, 3, 4]);
  const sampling = () => (random.chance(0.5) ? 1 : 1 + random.below(4));
  const components = Array.from(
    { length: count },
    (_, i) =>
      [random.chance(0.02) ? 1 : i + 1, sampling(), sampling(), random.below(2)] as [
        number,
        number,
        number,
        number,
      ],
  );
  const side = () => 1 + random.below(random.pick([8, 17, 17, 40, 40, 40, 200]));
  const file = [...SOI];
  if (random.chance(0.1))
    file.push(
      ...segment(
        0xee,
        [..."Adobe"].map((c) => c.charCodeAt(0)).concat([0, 100, 0, 0, 0, 0, random.below(3)]),
      ),
    );
  file.push(...dqt(0, 1 + random.below(200)), ...dqt(1, 1 + random.below(200), random.chance(0.2)));
  const frame = progressive ? 0xc2 : random.pick([0xc0, 0xc1]);
  file.push(...sof(arithmetic ? (progressive ? 0xca : 0xc9) : frame, side(), side(), components));
  if (arithmetic) file.push(...dac(random));
  for (const kind of [0x00, 0x01, 0x10, 0x11])
    if (!random.chance(0.02)) file.push(...dht(kind, randomTable(random, kind < 0x10)));
  if (random.chance(0.4)) file.push(...dri(random.pick([0, 1, 2, 3, 7, 20])));
  const script = progressive ? progressiveScript(random, components) : sequentialScript(random, components);
  for (const scan of script) {
    if (random.chance(0.2)) {
      const kind = random.pick([0x00, 0x01, 0x10, 0x11]);
      file.push(...dht(kind, randomTable(random, kind < 0x10)));
    }
    if (random.chance(0.05)) file.push(...dri(random.below(10)));
    if (arithmetic && random.chance(0.1)) file.push(...dac(random));
    if (random.chance(0.03)) file.push(...dqt(random.below(2), 1 + random.below(255)));
    file.push(...scan, ...randomData(random));
  }
  if (!random.chance(0.03)) file.push(...EOI);
  return Uint8Array.from(file);
}

/** Conditioning of arithmetic coding (T.81, B.2.4.3), sometimes not legal. */
function dac(random: Random): number[] {
  const slots = Array.from({ length: random.below(4) }, () => {
    const lower = random.below(random.pick([3, 16]));
    const upper = Math.min(15, lower + random.below(5));
    const slot = random.below(2);
    return random.chance(0.5)
      ? [slot, 16 * upper + lower]
      : [16 + slot, random.below(random.pick([64, 256]))];
  }).flat();
  if (random.chance(0.02)) slots.push(random.below(256), random.below(256));
  return segment(0xcc, slots);
}

type Components = [id: number, horizontal: number, vertical: number, slot: number][];

function sequentialScript(random: Random, components: Components): number[][] {
  const member = ([id]: Components[number]): [number, number] => [id, random.pick([0x00, 0x11, 0x10, 0x01])];
  if (random.chance(0.6)) return [sos(components.map(member))];
  return components.map((component) => sos([member(component)]));
}

function progressiveScript(random: Random, components: Components): number[][] {
  const tables = () => random.pick([0x00, 0x11, 0x10, 0x01]);
  const scans: number[][] = [];
  const dcAl = random.below(3);
  const together = random.chance(0.7);
  const dc = (ah: number, al: number) => {
    if (together)
      scans.push(
        sos(
          components.map(([id]) => [id, tables()]),
          0,
          0,
          ah,
          al,
        ),
      );
    else for (const [id] of components) scans.push(sos([[id, tables()]], 0, 0, ah, al));
  };
  dc(0, dcAl);
  for (const [id] of components) {
    const cut = 1 + random.below(63);
    const bands =
      random.chance(0.5) || cut === 63
        ? [[1, 63]]
        : [
            [1, cut],
            [cut + 1, 63],
          ];
    for (const [ss = 1, se = 63] of bands) {
      const al = random.below(3);
      scans.push(sos([[id, tables()]], ss, se, 0, al));
      for (let bit = al; bit > 0; bit--) scans.push(sos([[id, tables()]], ss, se, bit, bit - 1));
    }
  }
  for (let bit = dcAl; bit > 0; bit--) dc(bit, bit - 1);
  // Sometimes a script that is out of order, or not legal.
  if (random.chance(0.1)) scans.splice(random.below(scans.length), 1 + random.below(2));
  if (scans.length > 0 && random.chance(0.1)) scans.push(random.pick(scans));
  if (scans.length > 0 && random.chance(0.05)) {
    const scan = random.pick(scans);
    scan[scan.length - 1 - random.below(3)] = random.below(random.pick([4, 64, 256]));
  }
  return scans;
}

/** Random entropy-coded bytes, sometimes with restart markers, which may be out of order. */
function randomData(random: Random): number[] {
  const bytes: number[] = [];
  let restart = 0;
  const length = random.below(random.pick([2, 40, 400, 2000]));
  const restarts = random.chance(0.3) ? random.pick([0.3, 0.05, 0.01]) : 0;
  const most = random.pick([256, 256, 128, 16]);
  for (let i = 0; i < length; i++) {
    const byte = random.below(most);
    bytes.push(byte);
    if (byte === 0xff) bytes.push(0);
    if (restarts > 0 && random.chance(restarts))
      bytes.push(0xff, 0xd0 + (random.chance(0.05) ? random.below(8) : restart++ & 7));
  }
  if (random.chance(0.05)) bytes.push(0xff);
  return bytes;
}

/** The file with some damage: to single bytes, pieces, segments' lengths and contents, or markers. */
export function mutate(random: Random, file: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = file.slice();
  const rounds = 1 + random.below(random.pick([1, 3, 8]));
  for (let round = 0; round < rounds && bytes.length > 4; round++) bytes = mutateOnce(random, bytes, other);
  return bytes;
}

function mutateOnce(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = random.below(bytes.length);
  const join = (...parts: (Uint8Array | number[])[]) => {
    const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let to = 0;
    for (const part of parts) {
      joined.set(part, to);
      to += part.length;
    }
    return joined;
  };
  switch (random.below(10)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = random.pick([
        0,
        1,
        0xff,
        0xd0 + random.below(10),
        0xc0 + random.below(16),
        random.below(256),
      ]);
      return bytes;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return join(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(20))));
    case 4:
      return join(
        bytes.subarray(0, at),
        [0xff, random.pick([0, 0xff, 0xd0 + random.below(10), random.below(256)])],
        bytes.subarray(at),
      );
    case 5:
      return join(bytes.subarray(0, at), other.subarray(random.below(other.length)));
    default: {
      // A segment's header, its content, or all of it.
      const markers: number[] = [];
      for (let i = 2; i + 4 < bytes.length; i++)
        if (bytes[i] === 0xff && (bytes[i + 1] as number) >= 0xc0 && bytes[i + 1] !== 0xff) markers.push(i);
      if (markers.length === 0) return bytes;
      const marker = random.pick(markers);
      const length = ((bytes[marker + 2] as number) << 8) | (bytes[marker + 3] as number);
      const end = Math.min(bytes.length, marker + 2 + length);
      const kind = random.below(4);
      if (kind === 0) bytes[marker + 2 + random.below(2)] = random.below(256);
      else if (kind === 1)
        bytes[Math.min(bytes.length - 1, marker + 4 + random.below(Math.max(1, Math.min(length, 30))))] =
          random.below(random.pick([4, 20, 256]));
      else if (kind === 2)
        return join(bytes.subarray(0, end), bytes.subarray(marker, end), bytes.subarray(end));
      else return join(bytes.subarray(0, marker), bytes.subarray(end));
      return bytes;
    }
  }
}
