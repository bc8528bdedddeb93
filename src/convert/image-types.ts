/** From float32 planes to the element type of a model's image. */
import type { ElementType } from "../onnx/graph.js";

export interface Step {
  op: string;
  attributes?: Record<string, number | number[]>;
  /** A second input: a number, or axes. */
  constant?: number;
  indices?: number[];
}

/** ONNX's code of a type and, of whole numbers, the range that planes are clamped to. */
const TYPES: Partial<Record<ElementType, { code: number; range?: [least: number, most: number] }>> = {
  float32: { code: 1 },
  float16: { code: 10 },
  float64: { code: 11 },
  bfloat16: { code: 16 },
  uint8: { code: 2, range: [0, 255] },
  int8: { code: 3, range: [-128, 127] },
  uint16: { code: 4, range: [0, 65535] },
  int16: { code: 5, range: [-32768, 32767] },
  // What is an image in them is far from their ends.
  uint32: { code: 12, range: [0, 2 ** 24] },
  int32: { code: 6, range: [-(2 ** 24), 2 ** 24] },
  uint64: { code: 13, range: [0, 2 ** 24] },
  int64: { code: 7, range: [-(2 ** 24), 2 ** 24] },
};

/** The range of an image of whole numbers, `undefined` of others. */
export const wholeRange = (type: ElementType): [least: number, most: number] | undefined =>
  TYPES[type]?.range;

/** Where `Max` and `Min` begin to repeat a single number over an image. */
const BROADCASTS = 8;

/**
 * The nodes that make values of a type of float32 planes, `undefined` where an image cannot be of it. Whole numbers are
 * rounded, not cut: 12.9999 from a transform is 13.
 */
export function castSteps(type: ElementType, opset: number): Step[] | undefined {
  const found = TYPES[type];
  if (found === undefined) return undefined;
  if (type === "float32") return [];
  const cast = { op: "Cast", attributes: { to: found.code } };
  if (found.range === undefined) return [cast];
  const [least, most] = found.range;
  const clamp = [
    { op: "Max", constant: least },
    { op: "Min", constant: most },
  ];
  return [...(opset >= BROADCASTS ? clamp : []), { op: "Add", constant: 0.5 }, { op: "Floor" }, cast];
}
