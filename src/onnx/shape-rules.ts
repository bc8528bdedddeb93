import type { ShapeRule } from "./facts.js";
import { ELEMENTWISE } from "./shapes/elementwise.js";
import { LAYERS } from "./shapes/layers.js";
import { MOVEMENT } from "./shapes/movement.js";
import { REDUCTION } from "./shapes/reduction.js";

/** The shape rule of every operator that is understood. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...LAYERS,
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...REDUCTION,
};
