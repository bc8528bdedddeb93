/** The scans of a file to write: libjpeg's scripts, and what makes a script legal. T.81, B.2.3 and G.1.1 */
import { JpegImageError } from "./errors.js";
import type { JpegImage, JpegScan } from "./image.js";

/** One scan: a band of frequencies of some components, at some precision. The scans of an image that was read fit too. */
export type Scan = Omit<JpegScan, "offset">;

/** The most blocks in an MCU of an interleaved scan: T.81, B.2.3. */
export const MAX_MCU_BLOCKS = 10;
const LAST = 63;
/** The most low bits to leave out that libjpeg accepts for 8-bit samples. */
const MAX_LOW = 10;

type Shape = Pick<JpegImage, "components" | "colorSpace">;

/** One scan of all components; or one scan each, if their MCU would be too large. */
export function sequentialScript({ components }: Shape): Scan[] {
  return interleaved(components).map((some) => scan(some, 0, LAST, 0, 0));
}

/** The script of libjpeg's `jpeg_simple_progression`. */
export function progressiveScript({ components, colorSpace }: Shape): Scan[] {
  const each = components.map((_, c) => c);
  const all = (start: number, end: number, high: number, low: number) =>
    each.map((c) => scan([c], start, end, high, low));
  const dc = (high: number, low: number) =>
    interleaved(components).map((some) => scan(some, 0, 0, high, low));
  if (colorSpace !== "ycbcr")
    return [
      ...dc(0, 1),
      ...all(1, 5, 0, 2),
      ...all(6, LAST, 0, 2),
      ...all(1, LAST, 2, 1),
      ...dc(1, 0),
      ...all(1, LAST, 1, 0),
    ];
  const [y, cb, cr] = [0, 1, 2];
  return [
    ...dc(0, 1),
    scan([y], 1, 5, 0, 2),
    scan([cr], 1, LAST, 0, 1),
    scan([cb], 1, LAST, 0, 1),
    scan([y], 6, LAST, 0, 2),
    scan([y], 1, LAST, 2, 1),
    ...dc(1, 0),
    scan([cr], 1, LAST, 1, 0),
    scan([cb], 1, LAST, 1, 0),
    scan([y], 1, LAST, 1, 0),
  ];
}

const scan = (components: number[], start: number, end: number, high: number, low: number): Scan => ({
  components,
  spectralStart: start,
  spectralEnd: end,
  approximationHigh: high,
  approximationLow: low,
});

function interleaved(components: Shape["components"]): number[][] {
  const all = components.map((_, c) => c);
  return fitsMcu(components, all) ? [all] : all.map((c) => [c]);
}

function fitsMcu(components: Shape["components"], some: number[]): boolean {
  return some.length === 1 || mcuBlocks(components, some) <= MAX_MCU_BLOCKS;
}

function mcuBlocks(components: Shape["components"], some: number[]): number {
  return some.reduce((sum, c) => {
    const { horizontalSampling = 0, verticalSampling = 0 } = components[c] ?? {};
    return sum + horizontalSampling * verticalSampling;
  }, 0);
}

/**
 * Checks that every scan is legal and that together they send every bit of every coefficient.
 * @throws {JpegImageError} that names the scan and what it should be.
 */
export function checkScript(script: readonly Scan[], { components }: Shape, progressive: boolean): void {
  /** How many low bits of each coefficient have not been sent yet; -1 if none have been. */
  const unsent = components.map(() => new Int8Array(LAST + 1).fill(-1));
  script.forEach((entry, index) => {
    const problem =
      componentsProblem(entry, components) ??
      (progressive ? bandProblem(entry, unsent) : sequentialProblem(entry, unsent));
    if (problem !== undefined) throw new JpegImageError(`scan ${index}: ${problem}`);
    for (const c of entry.components)
      unsent[c]?.fill(entry.approximationLow, entry.spectralStart, entry.spectralEnd + 1);
  });
  unsent.forEach((bits, c) => {
    const k = bits.findIndex((count) => count !== 0);
    if (k >= 0) {
      const what = bits[k] === -1 ? "is in no scan" : `lacks its last ${bits[k]} bits`;
      throw new JpegImageError(
        `the script of ${script.length} scans is not complete: frequency ${k} of component ${c} ${what}`,
        c,
      );
    }
  });
}

function componentsProblem({ components: some }: Scan, components: Shape["components"]): string | undefined {
  if (some.length === 0) return "it has no components";
  const bad = some.find((c, at) => !(c in components) || (at > 0 && c <= (some[at - 1] as number)));
  if (bad !== undefined)
    return `components [${some.join(", ")}], expected rising places from 0 to ${components.length - 1}`;
  if (!fitsMcu(components, some))
    return `an MCU of components [${some.join(", ")}] has ${mcuBlocks(components, some)} blocks, expected at most ${MAX_MCU_BLOCKS}`;
  return undefined;
}

function sequentialProblem(
  {
    spectralStart: start,
    spectralEnd: end,
    approximationHigh: high,
    approximationLow: low,
    components,
  }: Scan,
  unsent: Int8Array[],
): string | undefined {
  if (start !== 0 || end !== LAST || high !== 0 || low !== 0)
    return `frequencies ${start} to ${end}, bits ${high} to ${low}; a sequential scan has 0 to ${LAST}, 0 to 0`;
  const twice = components.find((c) => unsent[c]?.[0] === 0);
  return twice === undefined ? undefined : `component ${twice} is in an earlier scan already`;
}

function bandProblem(
  {
    spectralStart: start,
    spectralEnd: end,
    approximationHigh: high,
    approximationLow: low,
    components,
  }: Scan,
  unsent: Int8Array[],
): string | undefined {
  const whole = [start, end, high, low].every(Number.isInteger);
  if (!whole || start < 0 || end < start || end > LAST || low < 0 || low > MAX_LOW)
    return `frequencies ${start} to ${end}, bits ${high} to ${low}; expected 0 to ${LAST} and 0 to ${MAX_LOW}`;
  if (start === 0 && end !== 0)
    return `frequencies 0 to ${end}; frequency 0 needs scans of its own in a progressive file`;
  if (start > 0 && components.length > 1)
    return `${components.length} components; a scan of frequencies ${start} to ${end} has just one`;
  for (const c of components) {
    const bits = unsent[c] as Int8Array;
    if (start > 0 && bits[0] === -1) return `component ${c} has had no scan of frequency 0 yet`;
    for (let k = start; k <= end; k++) {
      const sent = bits[k] as number;
      const expected = sent === -1 ? 0 : sent;
      if (high !== expected || (sent !== -1 && low !== sent - 1))
        return `bits ${high} to ${low} of frequency ${k} of component ${c}, expected ${nextBits(sent)}`;
    }
  }
  return undefined;
}

function nextBits(sent: number): string {
  if (sent === -1) return "0 first, to any";
  return sent === 0 ? "no more of them" : `${sent} to ${sent - 1}`;
}
