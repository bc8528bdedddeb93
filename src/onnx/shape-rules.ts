import type { ShapeRule } from "./facts.js";
import { FROM_CONSTANTS } from "./shapes/constants.js";
import { ELEMENTWISE } from "./shapes/elementwise.js";
import { LAYERS } from "./shapes/layers.js";
import { MAKING } from "./shapes/making.js";
import { MOVEMENT } from "./shapes/movement.js";
import { PARTS } from "./shapes/parts.js";
import { REDUCTION } from "./shapes/reduction.js";
import { RESIZE } from "./shapes/resize.js";

/** The shape rules of operators that are followed on constants alone: a runtime computes them when it loads the model. */
export const CONSTANT_RULES: Readonly<Record<string, ShapeRule>> = FROM_CONSTANTS;

/** The shape rules of all other operators that have one. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...LAYERS,
  ...ELEMENTWISE,
  ...MAKING,
  ...MOVEMENT,
  ...PARTS,
  ...REDUCTION,
  ...RESIZE,
};
