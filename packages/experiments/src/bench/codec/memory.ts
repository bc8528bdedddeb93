/**
 * Measures how far the process's resident memory rises while it reads a file's coefficients. It runs as a separate
 * program, so that its numbers contain nothing else. Linux only (/proc).
 *
 *   node --expose-gc memory.js SMALL LARGE    SMALL is read first, to load and compile the code
 */
import { readFileSync } from "node:fs";
import { readCoefficients, releasePool } from "@jpeg-domain/coefficients";

const [small = "", large = ""] = process.argv.slice(2);
const read = (path: string) => new Uint8Array(readFileSync(path));
const status = (field: string) =>
  1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

const { gc } = globalThis as { gc?: () => void };
const input = read(large);
readCoefficients(read(small));
releasePool();
gc?.();
const before = status("VmRSS");
const image = readCoefficients(input);
const peak = status("VmHWM");
const coefficients = image.components.reduce((sum, component) => sum + component.coefficients.byteLength, 0);
console.log(JSON.stringify({ input: input.length, coefficients, rise: peak - before }));
