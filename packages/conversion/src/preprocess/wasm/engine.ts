import { type Instance, type Program, program } from "@jpeg-domain/coefficients/internal";
import { wasm } from "./generated/planes.js";

/** The functions of assembly/planes.ts. */
interface Exports {
  transform(component: number, row: number): void;
  advance(limit: number): void;
}

/** One instance of the program. Its memory is laid out as assembly/layout.ts says. */
export type Engine = Instance<Exports>;

/** An engine with more memory is dropped after the file. */
const MOST_KEPT = 8 * 2 ** 20;

export const isSmall = ({ u8 }: Engine): boolean => u8.length <= MOST_KEPT;

export const engines: Program<Exports> = program<Exports>("planes", wasm, MOST_KEPT);
