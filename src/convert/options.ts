import type { Preprocess } from "../preprocess/preprocess.js";
import { DEFAULT_TABLE, MAX_FREQUENCIES } from "../transform/frequency.js";
import { ConvertError } from "./errors.js";
import type { InputValues } from "./other-inputs.js";

/** How ReLU is carried out: exactly, or from the spatial frequencies alpha + beta <= n alone (ASM, APX). */
export type Relu = "exact" | { asm: number } | { apx: number };

export const PLAN_NAMES = ["fused", "blockwise", "exploded"] as const;
/** How `decompress · operator · compress` is carried out. */
export type PlanName = (typeof PLAN_NAMES)[number];

export const INPUTS = ["planes", "jpeg"] as const;
/** What a converted model takes. */
export type InputName = (typeof INPUTS)[number];

export interface ConvertOptions {
  /** Default `'exact'`. */
  relu?: Relu;
  /** Default `'fused'`. */
  plan?: PlanName;
  /**
   * What the converted model takes: `'planes'`, one coefficient tensor `[N, C, X, Y, 64]` of the network's input, which is
   * the default; or `'jpeg'`, a file's own quantised coefficients and tables, one file in each call.
   */
  input?: InputName;
  /**
   * With `input: 'jpeg'`: what comes between a photograph and the network's planes, all of it or parts. The rest is as
   * the model's metadata say, else as torchvision does it for the network's size, which {@link Converted.assumed} tells.
   * With `input: 'planes'`: a whole description is kept in the file's metadata, for {@link loadModel}.
   */
  preprocess?: Partial<Preprocess>;
  /**
   * Values of the model's inputs beside the image, such as a size or a scale: they become constants of the converted
   * model. Those that are not given stay its inputs, under their names.
   */
  inputs?: InputValues;
  /** Quantisation table of the coefficient tensor, 64 entries in zigzag order; by default the notebook's. */
  table?: ArrayLike<number>;
  /** Bytes that plan `exploded` may need to be loaded; one that needs more is refused. Default: no limit. */
  memoryLimit?: number;
}

/** A ReLU as plans see it: `kind` and the n of its spatial frequencies. n = 14 is exact whatever the kind. */
export interface ReluKind {
  kind: "exact" | "asm" | "apx";
  n: number;
}

export interface Settings {
  relu: ReluKind;
  plan: PlanName;
  table: ArrayLike<number>;
}

/** Checks the options and fills in the defaults. */
export function settings(options: ConvertOptions): Settings {
  const { relu = "exact", plan = "fused", input = "planes", table = DEFAULT_TABLE } = options;
  if (!PLAN_NAMES.includes(plan))
    throw new ConvertError(`plan "${plan}" is unknown; expected ${PLAN_NAMES.join(", ")}`);
  if (!INPUTS.includes(input))
    throw new ConvertError(`input "${input}" is unknown; expected ${INPUTS.join(" or ")}`);
  return { relu: reluKind(relu), plan, table };
}

function reluKind(relu: Relu): ReluKind {
  if (relu === "exact") return { kind: "exact", n: MAX_FREQUENCIES };
  const [kind, n] = "asm" in relu ? (["asm", relu.asm] as const) : (["apx", relu.apx] as const);
  if (!(Number.isInteger(n) && n >= 0 && n <= MAX_FREQUENCIES))
    throw new ConvertError(`${kind} takes spatial frequencies n from 0 to ${MAX_FREQUENCIES}, found ${n}`);
  return n === MAX_FREQUENCIES ? { kind: "exact", n } : { kind, n };
}

/** Reads `exact`, `asm:10` or `apx:10`. */
export function parseRelu(text: string): Relu {
  const match = /^(?:(exact)|(asm|apx):(\d+))$/.exec(text);
  if (match === null)
    throw new ConvertError(`relu "${text}" is unknown; expected exact, asm:N or apx:N with N from 0 to 14`);
  if (match[1]) return "exact";
  const n = Number(match[3]);
  const relu: Relu = match[2] === "asm" ? { asm: n } : { apx: n };
  reluKind(relu);
  return relu;
}

/** The inverse of {@link parseRelu}. */
export function formatRelu(relu: Relu): string {
  return relu === "exact" ? "exact" : "asm" in relu ? `asm:${relu.asm}` : `apx:${relu.apx}`;
}
