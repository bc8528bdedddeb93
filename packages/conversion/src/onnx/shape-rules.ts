import type { ShapeRule } from "./facts.js";
import { ELEMENTWISE } from "./shapes/elementwise.js";
import { LAYERS } from "./shapes/layers.js";
import { MAKING } from "./shapes/making.js";
import { MOVEMENT } from "./shapes/movement.js";
import { PARTS } from "./shapes/parts.js";
import { REDUCTION } from "./shapes/reduction.js";
import { RESIZE } from "./shapes/resize.js";

/** The shape rules of all operators but those of shapes/constants.ts. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...LAYERS,
  ...ELEMENTWISE,
  ...MAKING,
  ...MOVEMENT,
  ...PARTS,
  ...REDUCTION,
  ...RESIZE,
};
