/** Operators whose form changed between operator sets. */
import type { GraphBuilder } from "../../onnx/builder.js";

const opset = (g: GraphBuilder): number => g.graph.opsets.get("") as number;

/** Elements `from` to `to` (left out) along one axis. */
export function slice(g: GraphBuilder, x: string, axis: number, from: number, to: number): string {
  if (opset(g) < 10) return g.node("Slice", [x], { starts: [from], ends: [to], axes: [axis] });
  return g.node("Slice", [x, ...[from, to, axis].map((value) => g.ints([value]))]);
}

/** Zeros before and after each axis. */
export function pad(g: GraphBuilder, x: string, pads: number[]): string {
  return opset(g) < 11 ? g.node("Pad", [x], { pads }) : g.node("Pad", [x, g.ints(pads)]);
}
