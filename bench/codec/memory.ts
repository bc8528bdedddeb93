/**
 * Run as a program of its own, so that nothing else is in its figures: how far the process's resident memory rises while
 * it reads a file's coefficients. Linux only (/proc).
 *
 *   node --expose-gc memory.js SMALL LARGE    SMALL is read first, to have the code loaded and compiled
 */
import { readFileSync } from "node:fs";
import { readCoefficients, releasePool } from "../../src/index.js";

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
