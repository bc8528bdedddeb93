import { JpegDomainError } from "../errors.js";
import type { Outputs } from "./pipeline.js";

/** A class that a classifier ranks. */
export interface RankedClass {
  /** Its place among the model's outputs. */
  index: number;
  /** 0 to 1. */
  probability: number;
}

/** How far the sum of probabilities may be from 1. */
const ROUNDING = 1e-3;

/**
 * The most probable classes of a classifier's first output, the best first.
 *
 * Values that are probabilities already (none below 0, their sum 1) stay; logits go through softmax:
 * p[i] = exp(x[i]) / Σ exp(x[j]).
 * @throws {JpegDomainError} where the output is no list of numbers
 */
export function topClasses(outputs: Outputs, count = 5): RankedClass[] {
  const [name, output] = Object.entries(outputs)[0] ?? [];
  // [classes], with sides of 1 as some exports leave them.
  const sides = output?.shape.filter((side) => side !== 1) ?? [];
  if (output === undefined || sides.length > 1)
    throw new JpegDomainError(
      `output "${name}" is [${output?.shape.join(", ")}] an image, expected [classes]`,
    );
  const values = probabilities(output.data);
  return Array.from(values, (probability, index) => ({ index, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}

function probabilities(values: Float32Array): Float64Array {
  const sum = values.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) < ROUNDING && values.every((value) => value >= 0)) return Float64Array.from(values);
  const largest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(values, (value) => Math.exp(value - largest));
  const total = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / total);
}
