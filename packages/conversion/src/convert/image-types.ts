/** From float32 planes to the element type of a model's image. */
import type { GraphBuilder } from "../onnx/builder.js";
import type { ElementType } from "../onnx/graph.js";
import { elementCode } from "../onnx/tensors.js";

/** The types that an image can have, with the range of whole numbers that pixels are clamped to. */
const RANGES: Partial<Record<ElementType, [least: number, most: number] | "any">> = {
  float32: "any",
  float16: "any",
  float64: "any",
  bfloat16: "any",
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  // Pixels are far from the ends of these types.
  uint32: [0, 2 ** 24],
  int32: [-(2 ** 24), 2 ** 24],
  uint64: [0, 2 ** 24],
  int64: [-(2 ** 24), 2 ** 24],
};

export const isImageType = (type: ElementType): boolean => RANGES[type] !== undefined;

/** The range of an image of whole numbers, `undefined` of other types. */
export function wholeRange(type: ElementType): [least: number, most: number] | undefined {
  const range = RANGES[type];
  return range === "any" ? undefined : range;
}

/** From this operator set on, `Max` and `Min` repeat a single number over an image. */
const BROADCASTS = 8;

/** Casts float32 planes. Whole numbers are rounded, not cut: 12.9999 from a transform is 13. */
export function cast(g: GraphBuilder, planes: string, type: ElementType): string {
  if (type === "float32") return planes;
  const withNumber = (op: string, x: string, value: number) =>
    g.node(op, [x, g.floats([value], [])], {}, planes);
  const [least, most] = wholeRange(type) ?? [];
  let x = planes;
  if (least !== undefined && most !== undefined) {
    if (g.opset >= BROADCASTS) x = withNumber("Min", withNumber("Max", x, least), most);
    x = g.node("Floor", [withNumber("Add", x, 0.5)], {}, planes);
  }
  return g.node("Cast", [x], { to: elementCode(type) }, planes);
}
