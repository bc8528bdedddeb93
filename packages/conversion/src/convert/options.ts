import { DEFAULT_TABLE } from "@jpeg-domain/coefficients";
import { MAX_FREQUENCIES } from "@jpeg-domain/coefficients/internal";
import type { Preprocess } from "../preprocess/preprocess.js";
import { ConvertError } from "./errors.js";
import type { InputValues } from "./other-inputs.js";

/**
 * How ReLU and other activations of pieces are carried out: exactly, or from the spatial frequencies alpha + beta <= n
 * alone (ASM, APX). `"asm:6"` is `{ asm: 6 }`.
 */
export type Relu = "exact" | `asm:${number}` | `apx:${number}` | { asm: number } | { apx: number };

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
   * the model's metadata say, else as torchvision does it for the network's size, which {@link Converted.assumed} says.
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

/** How a plan carries out activations, and the n of the spatial frequencies. With n = 14 the kind is always exact. */
export interface Approximation {
  kind: "exact" | "asm" | "apx";
  n: number;
}

export interface Settings {
  relu: Approximation;
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
  const { kind, n } = asked(relu);
  return { relu: { kind: n === MAX_FREQUENCIES ? "exact" : kind, n }, plan, table };
}

/** What a value of any type asks for. */
function asked(relu: unknown): Approximation {
  if (relu === "exact") return { kind: "exact", n: MAX_FREQUENCIES };
  const text = typeof relu === "string" ? /^(asm|apx):(-?[\d.]+)$/.exec(relu) : null;
  const entries = typeof relu === "object" && relu !== null ? Object.entries(relu) : [];
  const [kind, n] = text
    ? [text[1], Number(text[2])]
    : entries.length === 1
      ? (entries[0] as [string, unknown])
      : [];
  if ((kind !== "asm" && kind !== "apx") || typeof n !== "number")
    throw new ConvertError(
      `relu ${shown(relu)} is unknown; expected exact, asm:N or apx:N with N from 0 to ${MAX_FREQUENCIES}, or { asm: N } or { apx: N }`,
    );
  if (!(Number.isInteger(n) && n >= 0 && n <= MAX_FREQUENCIES))
    throw new ConvertError(`${kind} takes spatial frequencies n from 0 to ${MAX_FREQUENCIES}, found ${n}`);
  return { kind, n };
}

/** A value of any type in an error, not too long. */
function shown(value: unknown): string {
  const text =
    JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}` : inner)) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Checks `exact`, `asm:10` or `apx:10`. */
export function parseRelu(text: string): Relu {
  asked(text);
  return text as Relu;
}

/** `exact`, `asm:10` or `apx:10`. */
export function formatRelu(relu: Relu): string {
  const { kind, n } = asked(relu);
  return kind === "exact" ? kind : `${kind}:${n}`;
}
