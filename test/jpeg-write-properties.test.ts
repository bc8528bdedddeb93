import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fillCodes, optimalTable } from "../packages/coefficients/src/jpeg/huffman.js";
import type { ColorSpace, JpegComponent, JpegImage } from "../packages/coefficients/src/jpeg/image.js";
import { readCoefficients } from "../packages/coefficients/src/jpeg/read.js";
import type { Scan } from "../packages/coefficients/src/jpeg/scan-script.js";
import { type WriteOptions, writeCoefficients } from "../packages/coefficients/src/jpeg/write.js";
import { difference, libjpegAnswers, libjpegProgram } from "./jpeg/libjpeg.js";
import { describeWith, hasJpegTools, tryRun } from "./jpeg/tools.js";

const IDS: Record<ColorSpace, number[]> = {
  grayscale: [7],
  ycbcr: [1, 2, 3],
  rgb: [82, 71, 66],
  cmyk: [1, 2, 3, 4],
  ycck: [0, 9, 2, 255],
  unknown: [1, 2],
};

/** How full the blocks are, from empty to the largest values that can be coded. */
const density = fc.constantFrom(0, 0.02, 0.2, 1);

interface Recipe {
  image: JpegImage;
  options: WriteOptions;
}

/** Images of any shape that the format allows, and options to write them. */
const recipes: fc.Arbitrary<Recipe> = fc
  .record({
    colorSpace: fc.constantFrom(...(Object.keys(IDS) as ColorSpace[])),
    width: fc.integer({ min: 1, max: 90 }),
    height: fc.integer({ min: 1, max: 70 }),
    sampling: fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })), {
      minLength: 4,
      maxLength: 4,
    }),
    largestEntry: fc.constantFrom(1, 255, 65535),
    density,
    magnitude: fc.constantFrom(1, 3, 40, 1023),
    seed: fc.nat(),
    progressive: fc.boolean(),
    restartInterval: fc.constantFrom(0, 0, 1, 2, 9, 65535),
    standard: fc.boolean(),
  })
  .map(({ colorSpace, width, height, sampling, progressive, restartInterval, standard, ...how }) => {
    const ids = IDS[colorSpace];
    const used = sampling.slice(0, ids.length);
    const [maxH, maxV] = [Math.max(...used.map(([h]) => h)), Math.max(...used.map(([, v]) => v))];
    const random = lehmer(how.seed);
    const components = ids.map((id, c): JpegComponent => {
      const [h, v] = used[c] as [number, number];
      const blocksWide = Math.ceil(Math.ceil((width * h) / maxH) / 8);
      const blocksHigh = Math.ceil(Math.ceil((height * v) / maxV) / 8);
      return {
        id,
        horizontalSampling: h,
        verticalSampling: v,
        blocksWide,
        blocksHigh,
        quantization: Uint16Array.from({ length: 64 }, () => 1 + Math.floor(random() * how.largestEntry)),
        coefficients: Int16Array.from({ length: blocksWide * blocksHigh * 64 }, () =>
          random() < how.density ? Math.round((2 * random() - 1) * how.magnitude) : 0,
        ),
      };
    });
    return {
      image: { width, height, progressive: false, colorSpace, components },
      options: { progressive, restartInterval, huffman: standard && !progressive ? "standard" : "optimized" },
    };
  });

/** A random legal progressive script: bands, precisions and order. */
function randomScript({ components }: JpegImage, random: () => number): Scan[] {
  const below = (limit: number) => Math.floor(random() * limit);
  /** The scans of a band, from the coarsest to the last bit. */
  const chain = (some: number[], start: number, end: number): Scan[] =>
    Array.from({ length: 1 + below(4) }, (_, index) => index)
      .reverse()
      .map((low, index) => ({
        components: some,
        spectralStart: start,
        spectralEnd: end,
        approximationHigh: index === 0 ? 0 : low + 1,
        approximationLow: low,
      }));
  const mcu = components.reduce((sum, c) => sum + c.horizontalSampling * c.verticalSampling, 0);
  const all = components.map((_, c) => c);
  const together = mcu <= 10 && below(2) === 0;
  const chains = together ? [chain(all, 0, 0)] : all.map((c) => chain([c], 0, 0));
  for (const c of all)
    for (let start = 1; start < 64; ) {
      const end = start + below(64 - start);
      chains.push(chain([c], start, end));
      start = end + 1;
    }
  const script: Scan[] = [];
  const begun = new Set<number>();
  while (chains.some(({ length }) => length > 0)) {
    const ready = chains.filter(
      ([next]) => next?.spectralStart === 0 || begun.has(next?.components[0] ?? -1),
    );
    const next = ready[below(ready.length)]?.shift() as Scan;
    for (const c of next.components) begun.add(c);
    script.push(next);
  }
  return script;
}

/** Random numbers from 0 to 1, the same for the same seed. */
function lehmer(seed: number): () => number {
  let state = (seed % 2147483646) + 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

describe("a written file", () => {
  test("is read back the same: any sampling, size, colour space, script, interval", () => {
    fc.assert(
      fc.property(recipes, ({ image, options }) => {
        const back = readCoefficients(writeCoefficients(image, options));
        const { width, height, colorSpace, components } = image;
        const { progressive } = options;
        expect(difference(back, { width, height, colorSpace, components, warnings: 0 })).toBeUndefined();
        expect(back).toMatchObject({ progressive, restartInterval: options.restartInterval });
      }),
      { numRuns: 400 },
    );
  });

  const isThere = libjpegProgram() !== undefined && hasJpegTools();
  describeWith(isThere, "libjpeg-turbo and its programs", "to libjpeg-turbo", () => {
    test("libjpeg-turbo reads the same, without a warning", () => {
      const some = fc.sample(recipes, { numRuns: 400 });
      const answers = libjpegAnswers(some.map(({ image, options }) => writeCoefficients(image, options)));
      some.forEach(({ image }, index) => {
        const answer = answers[index];
        if (typeof answer !== "object") throw new Error(`libjpeg: ${answer}`);
        expect(answer.warnings).toBe(0);
        expect(difference(image, answer)).toBeUndefined();
      });
    });

    test("jpegtran writes the same bytes if it can", () => {
      let compared = 0;
      for (const { image, options } of fc.sample(recipes, { numRuns: 400 })) {
        const { components } = image;
        const mcu = components.reduce((sum, c) => sum + c.horizontalSampling * c.verticalSampling, 0);
        // It gives grayscale a sampling of 1x1, and does not split scans.
        if (components.length === 1 || mcu > 10) continue;
        const file = writeCoefficients(image, options);
        const args = ["-copy", "none", "-restart", `${options.restartInterval}B`];
        if (options.progressive) args.push("-progressive");
        else if (options.huffman === "optimized") args.push("-optimize");
        const { stdout, stderr } = tryRun("jpegtran", args, file);
        expect(stderr.replace(/^Caution: quantization tables are too coarse for baseline JPEG\n/, "")).toBe(
          "",
        );
        expect(Buffer.compare(stdout, file)).toBe(0);
        compared++;
      }
      expect(compared).toBeGreaterThan(20);
    });
  });

  test("any legal script: our reader and libjpeg-turbo read the same", () => {
    const some = fc.sample(recipes, { numRuns: 200 }).map(({ image, options }, index) => {
      const script = randomScript(image, lehmer(index));
      const { restartInterval = 0 } = options;
      return {
        image,
        script,
        file: writeCoefficients(image, { progressive: true, script, restartInterval }),
      };
    });
    const answers = libjpegProgram() ? libjpegAnswers(some.map(({ file }) => file)) : [];
    some.forEach(({ image, script, file }, index) => {
      const back = readCoefficients(file);
      expect(difference(back, { ...image, warnings: 0 })).toBeUndefined();
      expect(back.scans?.map(({ offset: _, ...scan }) => scan)).toEqual(script);
      const answer = answers[index];
      if (answer === undefined) return;
      if (typeof answer !== "object") throw new Error(`libjpeg: ${answer}`);
      expect(answer.warnings).toBe(0);
      expect(difference(image, answer)).toBeUndefined();
    });
  });

  test("long runs of empty blocks, longer than one end-of-band code holds", () => {
    const blocksWide = 300;
    const blocksHigh = 300;
    const coefficients = new Int16Array(blocksWide * blocksHigh * 64);
    for (const at of [5, 64 * 40000 + 63, 64 * 89999 + 1]) coefficients[at] = -3;
    const component: JpegComponent = {
      id: 1,
      horizontalSampling: 1,
      verticalSampling: 1,
      blocksWide,
      blocksHigh,
      quantization: new Uint16Array(64).fill(16),
      coefficients,
    };
    const image: JpegImage = {
      width: 2400,
      height: 2399,
      progressive: true,
      colorSpace: "grayscale",
      components: [component],
    };
    for (const restartInterval of [0, 40000]) {
      const file = writeCoefficients(image, { restartInterval });
      expect(file.length).toBeLessThan(50_000);
      expect(difference(readCoefficients(file), { ...image, warnings: 0 })).toBeUndefined();
    }
  });
});

describe("optimal Huffman tables", () => {
  const counts = fc
    .array(fc.oneof(fc.nat(3), fc.nat(1000), fc.nat(100_000_000)), { minLength: 1, maxLength: 256 })
    .filter((all) => all.some((count) => count > 0));

  test("are prefix codes of at most 16 bits, none all ones, and no longer than Huffman's if those fit", () => {
    fc.assert(
      fc.property(counts, (all) => {
        const table = optimalTable(all);
        const codes = new Uint32Array(256);
        fillCodes(table, codes);
        let room = 0;
        let bits = 0;
        all.forEach((count, symbol) => {
          const [code, length] = [(codes[symbol] as number) & 0xffff, (codes[symbol] as number) >> 16];
          expect(length > 0).toBe(count > 0);
          if (length === 0) return;
          expect(length).toBeLessThanOrEqual(16);
          expect(code).toBeLessThan(2 ** length - 1);
          room += 2 ** -length;
          bits += count * length;
        });
        expect(room).toBeLessThan(1);
        const { cost, longest } = huffmanCost([...all.filter((count) => count > 0), 1]);
        // The reserved symbol adds its own length there.
        if (longest <= 16) expect(bits).toBeLessThanOrEqual(cost);
      }),
    );
  });
});

/** Total bits and longest code of a plain Huffman code, made by repeatedly merging the two least frequent. */
function huffmanCost(counts: number[]): { cost: number; longest: number } {
  const nodes = counts.map((count) => ({ count, depth: 0 }));
  let cost = 0;
  while (nodes.length > 1) {
    nodes.sort((a, b) => b.count - a.count);
    const [a, b] = [nodes.pop(), nodes.pop()] as [
      { count: number; depth: number },
      { count: number; depth: number },
    ];
    cost += a.count + b.count;
    nodes.push({ count: a.count + b.count, depth: 1 + Math.max(a.depth, b.depth) });
  }
  return { cost, longest: nodes[0]?.depth ?? 0 };
}
