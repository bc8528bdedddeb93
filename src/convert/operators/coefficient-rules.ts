import { ACTIVATIONS } from "./activations.js";
import { ARITHMETIC } from "./arithmetic.js";
import type { CoefficientRule } from "./call.js";
import { CHANNELS } from "./channels.js";
import { WINDOWS } from "./windows.js";

/** Every operator that takes coefficients to coefficients. Another one, as MaxPool, has none: it needs pixels. */
export const COEFFICIENT_RULES: Record<string, CoefficientRule> = {
  ...WINDOWS,
  ...ARITHMETIC,
  ...ACTIVATIONS,
  ...CHANNELS,
};
