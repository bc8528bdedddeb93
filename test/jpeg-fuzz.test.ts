import { JpegError, type JpegImage, readCoefficients, readHeader } from "@jpeg-domain/coefficients";
import { expect, test } from "vitest";
import { generate, mutate, Random } from "./jpeg/generate.js";
import { type Answer, difference, libjpegAnswers, libjpegProgram } from "./jpeg/libjpeg.js";

/** scripts/fuzz-jpeg.mjs sets these for a long run. */
const FILES = Number(process.env.JPEG_FUZZ_FILES ?? 6000);
const SEED = Number(process.env.JPEG_FUZZ_SEED ?? 1);
const BATCH = 500;
/** The most processor time for a file of a few kilobytes and at most 2^22 pixels. */
const MOST_MILLISECONDS = 2000;
/** Far more than the test's own batch and its results take. A leak of 2 kB per file would show in a long run. */
const MOST_BYTES = 2 ** 31;
const LIMITS = { maxPixels: 2 ** 22 };

const problems: string[] = [];

/** The result of reading. Any error but a JpegError ends the test. */
function read(file: Uint8Array, tolerant: boolean): JpegImage | JpegError {
  const before = process.cpuUsage();
  try {
    return readCoefficients(file, { ...LIMITS, tolerant });
  } catch (error) {
    if (!(error instanceof JpegError)) throw error;
    return error;
  } finally {
    const { user, system } = process.cpuUsage(before);
    if ((user + system) / 1000 > MOST_MILLISECONDS)
      problems.push(`reading took ${(user + system) / 1000} ms`);
  }
}

/** Files that libjpeg reads, but we need not. */
const REFUSED = /not supported|maxPixels|at most 1000|at most 10000|far fewer/;
/** Damage that the strict reader reports, although libjpeg gives no warning. */
const STRICT = new RegExp(
  `${REFUSED.source}|expected a scan of component|a run of zeros past the block's end`,
);

function check(file: Uint8Array, answer: Answer | string | undefined): string | undefined {
  const strict = read(file, false);
  const tolerant = read(file, true);
  try {
    readHeader(file);
  } catch (error) {
    if (!(error instanceof JpegError)) throw error;
  }
  if (!(strict instanceof JpegError) && (tolerant instanceof JpegError || tolerant.damage?.length !== 0))
    return "read without an error, but damaged when tolerant";
  if (!(tolerant instanceof JpegError) && file.length % 4 === 0) {
    const partial = readCoefficients(file, { ...LIMITS, tolerant: true, coefficients: 5 });
    if (tolerant.damage?.length === 0 && !hasRepeatedScan(tolerant) && !isPart(partial, tolerant))
      return "the first 5 coefficients differ";
    if (!tolerant.progressive) {
      const defect = skipDefect(file);
      if (defect !== undefined) return defect;
    }
  }
  if (answer === undefined) return undefined;
  if (typeof answer === "string")
    return strict instanceof JpegError ? undefined : `read, but libjpeg says: ${answer}`;
  if (tolerant instanceof JpegError)
    return REFUSED.test(tolerant.message)
      ? undefined
      : `libjpeg reads it, but we do not: ${tolerant.message}`;
  if (strict instanceof JpegError && answer.warnings === 0 && !STRICT.test(strict.message))
    return `libjpeg says nothing, but: ${strict.message}`;
  // libjpeg has no table for a component without a scan.
  for (const [index, { quantization }] of answer.components.entries())
    if (quantization.every((value) => value === 0))
      (tolerant.components[index] as JpegImage["components"][number]).quantization = quantization;
  // After two 0xff before a stuffed zero, which no encoder writes, libjpeg leaves values in a block that it decoded in a
  // first, fast attempt.
  return Buffer.from(file).includes(Buffer.from([0xff, 0xff, 0])) ? undefined : difference(tolerant, answer);
}

/** A scan that codes complete coefficients again, which no encoder writes: reading in part ends before it. */
function hasRepeatedScan({ scans = [] }: JpegImage): boolean {
  return scans.some(
    (scan, index) =>
      scan.approximationHigh === 0 &&
      scans
        .slice(0, index)
        .some(
          (before) =>
            before.approximationHigh === 0 &&
            before.components.some((component) => scan.components.includes(component)) &&
            before.spectralStart <= scan.spectralEnd &&
            scan.spectralStart <= before.spectralEnd,
        ),
  );
}

function isPart(partial: JpegImage, whole: JpegImage): boolean {
  const kept = partial.coefficientsPerBlock ?? 64;
  return partial.components.every(({ coefficients }, index) => {
    const all = whole.components[index]?.coefficients as Int16Array;
    return coefficients.every((value, i) => value === all[Math.floor(i / kept) * 64 + (i % kept)]);
  });
}

/** Only of a long file are the coefficients skipped that are not kept: a comment makes this one long. */
const COMMENT = Uint8Array.of(0xff, 0xfe, 0xff, 0xff, ...new Uint8Array(65533));

/** What differs between reading all of a sequential file, and reading the first coefficients of its blocks. */
function skipDefect(file: Uint8Array): string | undefined {
  const long = Buffer.concat([file.subarray(0, 2), COMMENT, file.subarray(2)]);
  for (const tolerant of [false, true])
    for (const coefficients of [1, 2, 5, 25]) {
      const outcome = (options: object) => {
        try {
          return readCoefficients(long, { ...LIMITS, tolerant, ...options });
        } catch (error) {
          if (error instanceof JpegError) return error;
          throw error;
        }
      };
      const [whole, partial] = [outcome({}), outcome({ coefficients })];
      const where = `${coefficients} coefficients${tolerant ? ", tolerant" : ""}`;
      if (whole instanceof JpegError || partial instanceof JpegError) {
        const [expected, found] = [whole, partial].map((image) => (image as JpegError).message);
        if (expected !== found) return `${where}: ${found}, and all of them: ${expected}`;
      } else if (JSON.stringify(partial.damage) !== JSON.stringify(whole.damage))
        return `${where}: the damage differs`;
      else if (!isPart(partial, whole)) return `${where} differ`;
    }
  return undefined;
}

test(`${FILES} generated and mutated files: no crash, no hang, libjpeg's coefficients`, {
  timeout: 3_600_000,
}, () => {
  const compare = libjpegProgram() !== undefined;
  const outcomes = { read: 0, rejected: 0 };
  for (let first = 0; first < FILES; first += BATCH) {
    const random = new Random(SEED * 1_000_003 + first);
    let whole = generate(random);
    let other = whole;
    const files = Array.from({ length: Math.min(BATCH, FILES - first) }, (_, index) => {
      if (index % 4 !== 0) return mutate(random, whole, other);
      other = whole;
      whole = generate(random);
      return whole;
    });
    const answers = compare ? libjpegAnswers(files) : [];
    const memory = process.memoryUsage().rss;
    if (memory > MOST_BYTES) problems.push(`the process takes ${memory} bytes`);
    files.forEach((file, index) => {
      const answer = answers[index];
      let problem: string | undefined;
      try {
        problem = check(file, answer) ?? problems[0];
      } catch (error) {
        problem = String((error as Error).stack);
      }
      if (problem !== undefined) {
        const hex = Buffer.from(file).toString("base64");
        throw new Error(`seed ${SEED}, file ${first + index}: ${problem}\n${hex}`);
      }
      outcomes[typeof answer === "object" ? "read" : "rejected"]++;
    });
  }
  // The test must have seen both.
  if (compare) expect(Math.min(outcomes.read, outcomes.rejected)).toBeGreaterThan(FILES / 20);
});
