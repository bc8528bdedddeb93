import type { ShapeRule } from "./facts.js";
import { FROM_CONSTANTS } from "./shapes/constants.js";
import { ELEMENTWISE } from "./shapes/elementwise.js";
import { LAYERS } from "./shapes/layers.js";
import { MOVEMENT } from "./shapes/movement.js";
import { REDUCTION } from "./shapes/reduction.js";

/**
 * Of operators whose results are followed where all inputs are constants: for what a runtime makes of them when it loads
 * the model.
 */
export const CONSTANT_RULES: Readonly<Record<string, ShapeRule>> = FROM_CONSTANTS;

/** The shape rule of every operator that is understood. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...LAYERS,
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...REDUCTION,
};
