/** Operators that only move elements: shapes, and what becomes of the small tensors that are known. */
import {
  type Call,
  constantFacts,
  constantOf,
  type Facts,
  fresh,
  isFresh,
  type ShapeRule,
} from "../facts.js";
import {
  type Dimension,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  volume,
} from "../graph.js";
import { spread } from "./elementwise.js";

const multiply = (call: Call, lengths: Dimension[]): Dimension => {
  const named = lengths.filter((length) => typeof length === "string");
  const product = lengths.reduce<number>(
    (all, length) => (typeof length === "number" ? all * length : all),
    1,
  );
  if (named.length === 0) return product;
  return named.length === 1 && product === 1
    ? (named[0] as string)
    : call.budget.symbol(`${call.label}_${named.join("*")}*${product}`);
};

const flatten: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const given = intAttribute(call.node, "axis", 1);
  const axis = given === shape.length ? given : call.axis(given, shape.length);
  return [{ type, shape: [multiply(call, shape.slice(0, axis)), multiply(call, shape.slice(axis))] }];
};

const reshape: ShapeRule = (call) => {
  const { type, shape, contents } = call.input(0);
  const given = call.inputs.length > 1 ? call.input(1) : undefined;
  const target = given ? given.contents : intsAttribute(call.node, "shape");
  if (target === undefined) {
    const rank = given?.shape[0];
    if (typeof rank !== "number") return call.fail("the target shape is not known before the graph runs");
    return [{ type, shape: Array.from({ length: call.rank(rank) }, (_, i) => fresh(call, i)) }];
  }
  call.rank(target.length);
  const keepsZero = intAttribute(call.node, "allowzero", 0) === 1;
  const result = target.map((length, i) =>
    length === 0 && !keepsZero ? (shape[i] ?? call.fail(`no axis ${i} to copy`)) : length,
  );
  const open = result.indexOf(-1);
  if (open >= 0) result[open] = openLength(call, shape, result.toSpliced(open, 1), open);
  return [{ type, shape: result, ...(contents && { contents }) }];
};

/** The length at axis `open` of a reshape, where the other lengths are `rest`. */
function openLength(call: Call, shape: Dimension[], rest: Dimension[], open: number): Dimension {
  const left = shape.filter((length) => {
    const cancels = rest.indexOf(length);
    if (cancels >= 0) rest.splice(cancels, 1);
    return cancels < 0;
  });
  if (rest.some(isFresh)) return fresh(call, open);
  const divisor = multiply(call, rest);
  const total = multiply(call, left);
  if (divisor === 1) return total;
  if (typeof total === "number" && typeof divisor === "number") {
    if (total % divisor === 0) return total / divisor;
    const target = [...rest.slice(0, open), -1, ...rest.slice(open)];
    return call.fail(`[${shape.join(", ")}] cannot be reshaped to [${target.join(", ")}]`);
  }
  return fresh(call, open);
}

const transpose: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const perm = intsAttribute(call.node, "perm") ?? shape.map((_, i) => shape.length - 1 - i);
  return [
    { type, shape: perm.map((axis) => shape[axis] ?? call.fail(`no axis ${axis} in rank ${shape.length}`)) },
  ];
};

const pad: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const pads = call.integers(1, "pads") ?? call.fail("pads are missing");
  const rank = shape.length;
  return [
    {
      type,
      shape: shape.map((length, i) => {
        const added = (pads[i] as number) + (pads[i + rank] as number);
        return added === 0 ? length : call.length(length, `axis ${i}`) + added;
      }),
    },
  ];
};

const expand: ShapeRule = (call) => {
  const { type, shape, contents } = call.input(0);
  const target = call.input(1).contents ?? call.fail("the target shape is not known before the graph runs");
  const rank = call.rank(Math.max(shape.length, target.length));
  const at = (lengths: Dimension[], i: number) => lengths[i - (rank - lengths.length)] ?? 1;
  const result = Array.from({ length: rank }, (_, i) => {
    const [own, wanted] = [at(shape, i), at(target, i)];
    return wanted === 1 ? own : wanted;
  });
  const values = contents && spread(call, { type, shape, contents }, result);
  return [{ type, shape: result, ...(values && { contents: values }) }];
};

const tile: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const repeats = call.input(1).contents ?? call.fail("the repeats are not known before the graph runs");
  const times = (length: Dimension, i: number): Dimension => {
    const count = repeats[i];
    if (count === 1) return length;
    return typeof length === "number" && typeof count === "number" ? length * count : fresh(call, i);
  };
  return [{ type, shape: shape.map(times) }];
};

const constantOfShape: ShapeRule = (call) => {
  const given = call.node.attributes.get("value");
  const value = given?.kind === "tensor" ? given.value : undefined;
  const type = value?.type ?? "float32";
  const shape = call.input(0).contents ?? call.fail("the shape is not known before the graph runs");
  const length = shape.every(isLength) ? volume(shape) : Number.NaN;
  const one = value ? Number(value.data[0] ?? Number.NaN) : 0;
  const known = ["int64", "float32"].includes(type) && !Number.isNaN(one) && call.follows(length);
  return [{ type, shape, ...(known && { contents: new Array<number>(length).fill(one) }) }];
};

const range: ShapeRule = (call) => {
  const { type } = call.input(0);
  const [start, limit, delta] = [0, 1, 2].map((i) => call.input(i).contents?.[0]);
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number")
    return [{ type, shape: [fresh(call, 0)] }];
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  const known = (type === "int64" || type === "int32") && call.follows(length);
  const contents = known && Array.from({ length }, (_, i) => start + i * delta);
  return [{ type, shape: [length], ...(contents && { contents }) }];
};

const shapeOf: ShapeRule = (call) => {
  const { shape } = call.input(0);
  const contents = shape.slice(
    intAttribute(call.node, "start", 0),
    intAttribute(call.node, "end", shape.length),
  );
  return [{ type: "int64", shape: [contents.length], contents }];
};

const sizeOf: ShapeRule = (call) => {
  const length = multiply(call, call.input(0).shape);
  return [{ type: "int64", shape: [], contents: [length] }];
};

const gather: ShapeRule = (call) => {
  const [data, indices] = [call.input(0), call.input(1)];
  const axis = call.axis(intAttribute(call.node, "axis", 0), data.shape.length);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  if (data.contents === undefined || indices.contents === undefined || data.shape.length !== 1)
    return [{ type: data.type, shape }];
  const contents = indices.contents.map((i) => {
    const known = data.contents?.at(call.length(i, "index"));
    return known ?? call.fail(`index ${i} is out of range`);
  });
  return [{ type: data.type, shape, contents }];
};

const unsqueeze: ShapeRule = (call) => {
  const { shape, ...rest } = call.input(0);
  const axes = call.integers(1, "axes") ?? call.fail("axes are missing");
  const rank = call.rank(shape.length + axes.length);
  const added = new Set(axes.map((axis) => call.axis(axis, rank)));
  const left = [...shape];
  return [
    {
      ...rest,
      shape: Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (left.shift() as Dimension))),
    },
  ];
};

const squeeze: ShapeRule = (call) => {
  const { shape, ...rest } = call.input(0);
  const axes = call.integers(1, "axes")?.map((axis) => call.axis(axis, shape.length));
  return [{ ...rest, shape: shape.filter((length, i) => (axes ? !axes.includes(i) : length !== 1)) }];
};

const concat: ShapeRule = (call) => {
  const first = call.input(0);
  const axis = call.axis(intAttribute(call.node, "axis", 0), first.shape.length);
  const all = call.inputs.map((_, i) => call.input(i));
  const lengths = all.map(({ shape }) => shape[axis] as Dimension);
  const total = lengths.every((length) => typeof length === "number")
    ? (lengths as number[]).reduce((a, b) => a + b)
    : `${call.label}_${axis}`;
  const isKnown = first.shape.length === 1 && typeof total === "number" && all.every((part) => part.contents);
  const contents = isKnown && call.follows(total) ? all.flatMap((part) => part.contents ?? []) : undefined;
  return [
    {
      type: first.type,
      shape: first.shape.map((length, i) => (i === axis ? total : length)),
      ...(contents && { contents }),
    },
  ];
};

const slice: ShapeRule = (call) => {
  const { type, shape, contents } = call.input(0);
  const starts = call.some(1, "starts") ?? call.fail("starts are missing");
  const ends = call.some(2, "ends") ?? call.fail("ends are missing");
  const axes = call.integers(3, "axes") ?? starts.map((_, i) => i);
  const steps = call.integers(4, "steps") ?? starts.map(() => 1);
  const result = [...shape];
  let kept = contents;
  for (const [i, given] of axes.entries()) {
    const axis = call.axis(given, shape.length);
    const places = placesOf(shape[axis] as Dimension, starts[i], ends[i], steps[i] as number);
    result[axis] = places === "all" ? (shape[axis] as Dimension) : (places?.length ?? fresh(call, axis));
    if (kept === undefined || places === "all") continue;
    const from: Dimension[] = kept;
    const follows = places !== undefined && shape.length === 1 && call.follows(places.length);
    kept = follows ? places.map((at) => from[at] as Dimension) : undefined;
  }
  return [{ type, shape: result, ...(kept && { contents: kept }) }];
};

/** The places along an axis that a slice takes, `"all"` of them whatever the length, `undefined` where not known. */
function placesOf(
  length: Dimension,
  start: Dimension | undefined,
  end: Dimension | undefined,
  step: number,
): { length: number; map<T>(f: (at: number) => T): T[] } | "all" | undefined {
  if (start === 0 && step === 1 && (end === length || (typeof end === "number" && end >= 2 ** 31 - 1)))
    return "all";
  if (typeof length === "string" || typeof start !== "number" || typeof end !== "number" || step === 0)
    return undefined;
  const least = step > 0 ? 0 : -1;
  const most = step > 0 ? length : length - 1;
  const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + length : at, least), most);
  const [from, to] = [Math.max(clamp(start), 0), clamp(end)];
  const count = Math.max(0, Math.ceil((to - from) / step));
  return { length: count, map: (f) => Array.from({ length: count }, (_, i) => f(from + i * step)) };
}

const split: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  const axis = call.axis(intAttribute(call.node, "axis", 0), shape.length);
  const parts = call.node.outputs.length;
  const given = call.integers(1, "split");
  const length = shape[axis] as Dimension;
  const equal = (i: number): Dimension => {
    if (typeof length === "string") return fresh(call, axis);
    const each = Math.ceil(length / parts);
    return Math.min(each, length - i * each);
  };
  return call.node.outputs.map((_, i) => ({
    type,
    shape: shape.with(axis, given ? (given[i] ?? call.fail(`no length for part ${i}`)) : equal(i)),
  }));
};

/** A length that is known, and can be one. */
const isLength = (length: Dimension): length is number => typeof length === "number" && length >= 0;

const gatherElements: ShapeRule = (call) => [{ type: call.input(0).type, shape: call.input(1).shape }];

/** `[N, C b², H, W]` ⇄ `[N, C, b H, b W]`. */
const rearrange =
  (toSpace: boolean): ShapeRule =>
  (call) => {
    const { type, shape } = call.input(0);
    const b = intAttribute(call.node, "blocksize", 1);
    const [n, c, h, w] = shape as [Dimension, Dimension, Dimension, Dimension];
    const scaled = (length: Dimension, i: number, factor: number) =>
      typeof length === "number" ? Math.floor(length * factor) : fresh(call, i);
    const [depth, side] = toSpace ? [1 / (b * b), b] : [b * b, 1 / b];
    return [{ type, shape: [n, scaled(c, 1, depth), scaled(h, 2, side), scaled(w, 3, side)] }];
  };

const resize: ShapeRule = (call) => {
  const { type, shape } = call.input(0);
  if (
    stringAttribute(call.node, "keep_aspect_ratio_policy", "stretch") !== "stretch" ||
    call.node.attributes.has("axes")
  )
    return call.fail("its sizes are for some axes, or keep the aspect ratio");
  const [scales, sizes] = resizeInputs(call);
  const lengths = sizes?.contents;
  const factors = scales?.contents ?? (sizes ? undefined : scaleAttributes(call));
  return [
    {
      type,
      shape: shape.map((length, i) => {
        if (lengths) return lengths[i] as Dimension;
        const factor = factors?.[i];
        if (factor === 1) return length;
        return typeof length === "number" && typeof factor === "number"
          ? Math.floor(Math.fround(length * factor))
          : fresh(call, i);
      }),
    },
  ];
};

/** `Resize` had its scales as input 1 until it took a region as well; an empty list of scales stands for none. */
function resizeInputs(call: Call): (Facts | undefined)[] {
  const [, second, third, fourth] = call.inputs;
  const scales = call.inputs.length <= 2 ? second : third;
  return [scales?.shape[0] === 0 ? undefined : scales, fourth];
}

/** Of `Upsample` before operator set 9. */
function scaleAttributes(call: Call): number[] | undefined {
  const scales = call.node.attributes.get("scales");
  if (scales?.kind === "floats") return scales.value;
  const [height, width] = ["height_scale", "width_scale"].map((name) => floatAttribute(call.node, name, 0));
  return height && width ? [1, 1, height, width] : undefined;
}

const constantNode: ShapeRule = (call) => [constantFacts(constantOf(call.node))];

export const MOVEMENT: Record<string, ShapeRule> = {
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: shapeOf,
  Size: sizeOf,
  Flatten: flatten,
  Reshape: reshape,
  Transpose: transpose,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  GatherElements: gatherElements,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  DepthToSpace: rearrange(true),
  SpaceToDepth: rearrange(false),
  Resize: resize,
  Upsample: resize,
};
