/** Operators that change the height and width of a map. */
import { type Facts, fresh, type InferenceContext, type ResultRule, type ShapeRule } from "../facts.js";
import type { Dimension } from "../graph.js";

/** `[N, C b², H, W]` ⇄ `[N, C, b H, b W]`. */
const rearrange =
  (toSpace: boolean): ResultRule =>
  (node) => {
    const { type, shape } = node.input(0);
    const b = node.int("blocksize", 1);
    const [n, c, h, w] = shape as [Dimension, Dimension, Dimension, Dimension];
    const scaled = (length: Dimension, i: number, factor: number) =>
      typeof length === "number" ? Math.floor(length * factor) : fresh(node, i);
    const [depth, side] = toSpace ? [1 / (b * b), b] : [b * b, 1 / b];
    return { type, shape: [n, scaled(c, 1, depth), scaled(h, 2, side), scaled(w, 3, side)] };
  };

const resize: ResultRule = (node) => {
  const { type, shape } = node.input(0);
  if (node.string("keep_aspect_ratio_policy", "stretch") !== "stretch" || node.raw.attributes.has("axes"))
    return node.fail("its sizes are for some axes, or keep the aspect ratio");
  const [scales, sizes] = resizeInputs(node);
  const lengths = sizes?.contents;
  const factors = scales?.contents ?? (sizes ? undefined : scaleAttributes(node));
  return {
    type,
    shape: shape.map((length, i) => {
      if (lengths) return lengths[i] as Dimension;
      const factor = factors?.[i];
      if (factor === 1) return length;
      return typeof length === "number" && typeof factor === "number"
        ? Math.floor(Math.fround(length * factor))
        : fresh(node, i);
    }),
  };
};

/** `Resize` had its scales as input 1 until it took a region as well; an empty list of scales stands for none. */
function resizeInputs(node: InferenceContext): (Facts | undefined)[] {
  const [, second, third, fourth] = node.inputs;
  const scales = node.inputs.length <= 2 ? second : third;
  return [scales?.shape[0] === 0 ? undefined : scales, fourth];
}

/** Of `Upsample` before operator set 9. */
function scaleAttributes(node: InferenceContext): number[] | undefined {
  const scales = node.raw.attributes.get("scales");
  if (scales?.kind === "floats") return scales.value;
  const [height, width] = ["height_scale", "width_scale"].map((name) => node.float(name, 0));
  return height && width ? [1, 1, height, width] : undefined;
}

export const RESIZE: Record<string, ShapeRule> = {
  DepthToSpace: rearrange(true),
  SpaceToDepth: rearrange(false),
  Resize: resize,
  Upsample: resize,
};
