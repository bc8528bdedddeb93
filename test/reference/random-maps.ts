/** Random networks of every operator with a rule on coefficients, on feature maps of any size. */
import fc from "fast-check";
import { float, GraphBuilder, type PlainAttribute } from "../../packages/conversion/src/onnx/builder.js";
import { float32, type Graph, volume } from "../../packages/conversion/src/onnx/graph.js";
import { lehmer } from "./lehmer.js";

/** A network as plain numbers, so that a failing network can be read, reduced and rebuilt. */
export interface MapRecipe {
  seed: number;
  channels: number;
  height: number;
  width: number;
  layers: { kind: keyof typeof LAYERS; dice: number[] }[];
  ending: keyof typeof ENDINGS;
}

interface FeatureMap {
  name: string;
  channels: number;
  height: number;
  width: number;
}

/** Used to build a layer: the graph so far, constants, and random numbers. */
interface Table {
  g: GraphBuilder;
  x: FeatureMap;
  earlier: FeatureMap[];
  /** A constant of random values in a range. */
  values(dims: number[], low?: number, high?: number): string;
  /** A whole number from 0 to `faces` - 1. */
  dice(faces: number): number;
}

type MakeLayer = (table: Table) => FeatureMap;

const length = (
  input: number,
  kernel: number,
  stride: number,
  dilation: number,
  pads: number,
  ceil = false,
) => {
  const steps = (input + pads - dilation * (kernel - 1) - 1) / stride;
  return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
};

function convolution({ g, x, values, dice }: Table, depthwise: boolean): FeatureMap {
  const [kernel, strides, dilations] = [0, 1, 2].map((i) =>
    [0, 1].map(() => (i === 0 ? 1 + dice(dice(4) === 0 ? 9 : 4) : i === 1 ? 1 + dice(3) : 1 + dice(2))),
  ) as [number[], number[], number[]];
  const sides = [x.height, x.width];
  const extents = kernel.map((k, i) => (dilations[i] as number) * (k - 1) + 1);
  const before = extents.map((extent) => dice(extent));
  // Enough padding for one step.
  const after = extents.map((extent, i) =>
    Math.max(dice(extent), extent - (sides[i] as number) - (before[i] as number)),
  );
  const group = depthwise ? x.channels : x.channels % 2 === 0 && dice(3) === 0 ? 2 : 1;
  const out = depthwise ? x.channels * (1 + dice(2)) : group * (1 + dice(4));
  const dims = [out, x.channels / group, ...kernel];
  const bound = 1.7 / Math.sqrt(volume(dims.slice(1)));
  const inputs = [x.name, values(dims, -bound, bound)];
  if (dice(2) === 0) inputs.push(values([out]));
  const attributes = { strides, dilations, group, pads: [...before, ...after] };
  const [height, width] = sides.map((side, i) =>
    length(
      side,
      kernel[i] as number,
      strides[i] as number,
      dilations[i] as number,
      (before[i] as number) + (after[i] as number),
    ),
  ) as [number, number];
  return { name: g.node("Conv", inputs, attributes), channels: out, height, width };
}

function pointwise({ g, x, values, dice }: Table): FeatureMap {
  const group = x.channels % 2 === 0 ? 1 + dice(2) : 1;
  const channels = group * (1 + dice(4));
  const inputs = [x.name, values([channels, x.channels / group, 1, 1])];
  if (dice(2) === 0) inputs.push(values([channels]));
  return { ...x, channels, name: g.node("Conv", inputs, { group }) };
}

function averagePool({ g, x, dice }: Table): FeatureMap {
  const sides = [x.height, x.width];
  const kernel = sides.map((side) => 1 + dice(Math.min(4, side)));
  const strides = [1 + dice(3), 1 + dice(3)];
  const pads = [...kernel, ...kernel].map((k) => dice(k));
  const along = (ceil: boolean) =>
    sides.map((side, i) =>
      length(
        side,
        kernel[i] as number,
        strides[i] as number,
        1,
        (pads[i] as number) + (pads[i + 2] as number),
        ceil,
      ),
    ) as [number, number];
  // ONNX Runtime is inconsistent about windows that would start beyond the map, so none with ceil_mode.
  const beyond = along(true).some(
    (steps, i) => (steps - 1) * (strides[i] as number) >= (sides[i] as number) + (pads[i] as number),
  );
  const ceil = dice(2) === 1 && !beyond;
  const attributes = {
    ...{ kernel_shape: kernel, strides, pads },
    ...{ ceil_mode: Number(ceil), count_include_pad: dice(2) },
  };
  const [height, width] = along(ceil);
  return { ...x, height, width, name: g.node("AveragePool", [x.name], attributes) };
}

const same = ({ x, earlier }: Table) =>
  earlier.filter(({ height, width }) => height === x.height && width === x.width);
const pick = <T>(table: Table, list: readonly T[]): T => list[table.dice(list.length)] as T;

/** A constant for each pixel, each channel or all of them. */
function constantDims({ x, dice }: Table): number[] {
  const { channels, height, width } = x;
  const all = [[], [1], [channels, 1, 1], [1, channels, 1, 1], [1, channels, height, width], [height, width]];
  return all[dice(all.length)] as number[];
}

function arithmetic(table: Table): FeatureMap {
  const { g, x, values, dice } = table;
  const op = pick(table, ["Add", "Sub", "Mul", "Div"]);
  const constant = values(constantDims(table), op === "Div" ? 1 : -1, op === "Div" ? 2 : 1);
  const inputs = op !== "Div" && dice(2) === 0 ? [constant, x.name] : [x.name, constant];
  return { ...x, name: g.node(op, inputs) };
}

function between(table: Table): FeatureMap {
  const { g, x } = table;
  const fitting = same(table).filter(
    ({ channels }) => [channels, x.channels].includes(1) || channels === x.channels,
  );
  const other = pick(table, fitting);
  const channels = Math.max(x.channels, other.channels);
  const op = pick(table, ["Add", "Sub", "Mul", "Sum"]);
  if (op === "Mul") return { ...x, channels, name: g.node("Mul", [g.node("Tanh", [x.name]), other.name]) };
  return { ...x, channels, name: g.node(op, [x.name, other.name]) };
}

/** Squeeze and excitation, or the same with a sum. */
function gate({ g, x, values, dice }: Table): FeatureMap {
  const mean = g.node("GlobalAveragePool", [x.name]);
  const mixed = g.node("Conv", [mean, values([x.channels, x.channels, 1, 1]), values([x.channels])]);
  const op = ["Mul", "Add", "Div"][dice(3)] as string;
  const value = g.node(op === "Add" ? "Tanh" : "Sigmoid", [mixed]);
  const inputs = op === "Mul" && dice(2) === 0 ? [value, x.name] : [x.name, value];
  return { ...x, name: g.node(op, inputs) };
}

function concatenation(table: Table): FeatureMap {
  const { g, x } = table;
  const other = pick(table, same(table));
  if (x.channels + other.channels > 12) return x;
  const name = g.node("Concat", [other.name, x.name], { axis: table.dice(2) === 0 ? 1 : -3 });
  return { ...x, channels: x.channels + other.channels, name };
}

function split({ g, x, dice }: Table): FeatureMap {
  if (x.channels < 2) return x;
  const first = 1 + dice(x.channels - 1);
  const [a, b] = g.nodes("Split", [x.name, g.ints([first, x.channels - first])], 2, { axis: 1 }) as [
    string,
    string,
  ];
  return { ...x, name: g.node("Concat", [b, a], { axis: 1 }) };
}

function slice({ g, x, dice }: Table): FeatureMap {
  const [start, step] = [dice(x.channels), 1 + dice(2)];
  const inputs = [start - (dice(2) === 0 ? x.channels : 0), 1000, 1, step].map((value) => g.ints([value]));
  return {
    ...x,
    channels: Math.ceil((x.channels - start) / step),
    name: g.node("Slice", [x.name, ...inputs]),
  };
}

function shuffle({ g, x }: Table): FeatureMap {
  const groups = [3, 2].find((count) => x.channels % count === 0 && x.channels > count);
  if (groups === undefined) return x;
  const { channels, height, width } = x;
  const apart = g.node("Reshape", [x.name, g.ints([0, groups, channels / groups, height, width])]);
  const swapped = g.node("Transpose", [apart], { perm: [0, 2, 1, 3, 4] });
  return { ...x, name: g.node("Reshape", [swapped, g.ints([-1, channels, height, width])]) };
}

function oneChannel({ g, x, dice }: Table): FeatureMap {
  const picked = g.node("Gather", [x.name, g.ints([dice(x.channels)], [])], { axis: 1 });
  const alone = g.node("Unsqueeze", [picked, g.ints([1])]);
  return { ...x, channels: x.channels + 1, name: g.node("Concat", [x.name, alone], { axis: 1 }) };
}

/** Channels of zeros before and after the map's, for every image. */
function zeros({ g, x, dice }: Table): FeatureMap {
  const batch = g.node("Slice", [g.node("Shape", [x.name]), g.ints([0]), g.ints([1])]);
  const [before, after] = [dice(3), 1 + dice(2)] as const;
  const channelsOf = (count: number) => {
    const shape = g.node("Concat", [batch, g.ints([count, x.height, x.width])], { axis: 0 });
    return g.node("ConstantOfShape", [shape]);
  };
  const parts = [...(before > 0 ? [channelsOf(before)] : []), x.name, channelsOf(after)];
  return { ...x, channels: before + x.channels + after, name: g.node("Concat", parts, { axis: 1 }) };
}

/** Each pixel repeated. */
function enlargement(table: Table): FeatureMap {
  const { g, x, dice } = table;
  const [down, across] = [1 + dice(3), 1 + dice(3)] as const;
  const [height, width] = [down * x.height, across * x.width];
  if (Math.max(height, width) > 48) return x;
  const [from, rounding] = pick(table, [
    ["asymmetric", "floor"],
    ["half_pixel", "round_prefer_floor"],
    ["half_pixel", "round_prefer_ceil"],
  ] as const);
  const attributes = { coordinate_transformation_mode: from, nearest_mode: rounding };
  const name = g.node("Resize", [x.name, "", g.floats([1, 1, down, across])], attributes);
  return { ...x, height, width, name };
}

function batchNormalization({ g, x, values }: Table): FeatureMap {
  const ranges = [
    [0.5, 1.5],
    [-1, 1],
    [-1, 1],
    [0.1, 1.5],
  ] as const;
  const parameters = ranges.map(([low, high]) => values([x.channels], low, high));
  return { ...x, name: g.node("BatchNormalization", [x.name, ...parameters], { epsilon: float(1e-3) }) };
}

function padding({ g, x, dice }: Table): FeatureMap {
  const [top, left, bottom, right, front, back] = Array.from({ length: 6 }, () => dice(4)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (dice(2) === 0) {
    const name = g.node("Pad", [x.name, g.ints([0, front, 0, 0, 0, back, 0, 0])]);
    return { ...x, channels: x.channels + front + back, name };
  }
  // ONNX Runtime takes a Pad into the pooling after it, and then refuses pads larger than the kernel: so never just before.
  const name = g.node("Neg", [g.node("Pad", [x.name, g.ints([0, 0, top, left, 0, 0, bottom, right])])]);
  return { ...x, height: x.height + top + bottom, width: x.width + left + right, name };
}

type Activation = (table: Table) => string;
const plain =
  (op: string, attributes: Record<string, PlainAttribute> = {}): Activation =>
  ({ g, x }) =>
    g.node(op, [x.name], attributes);
const scalar = (g: GraphBuilder, value: number) => g.floats([value], []);

/** Every activation. */
export const ACTIVATIONS: Record<string, Activation> = {
  relu: plain("Relu"),
  leakyRelu: plain("LeakyRelu", { alpha: float(0.2) }),
  pRelu: ({ g, x, values }) => g.node("PRelu", [x.name, values([x.channels, 1, 1], -0.5, 0.5)]),
  relu6: ({ g, x }) => g.node("Clip", [x.name, scalar(g, 0), scalar(g, 6)]),
  clip: ({ g, x }) => g.node("Clip", [x.name, scalar(g, 0.25), scalar(g, 1)]),
  above: ({ g, x }) => g.node("Clip", [x.name, scalar(g, -0.25)]),
  below: ({ g, x }) => g.node("Clip", [x.name, "", scalar(g, 0.5)]),
  hardSigmoid: plain("HardSigmoid", { alpha: float(0.3), beta: float(0.4) }),
  hardSwish: plain("HardSwish"),
  hardSwishInPieces({ g, x }) {
    const gate = g.node("Clip", [g.node("Add", [x.name, scalar(g, 3)]), scalar(g, 0), scalar(g, 6)]);
    return g.node("Div", [g.node("Mul", [x.name, gate]), scalar(g, 6)]);
  },
  hardSwishByGate: ({ g, x }) =>
    g.node("Mul", [x.name, g.node("HardSigmoid", [x.name], { alpha: float(1 / 6), beta: float(0.5) })]),
  silu: ({ g, x }) => g.node("Mul", [x.name, g.node("Sigmoid", [x.name])]),
  gelu({ g, x }) {
    const erf = g.node("Erf", [g.node("Div", [x.name, scalar(g, Math.SQRT2)])]);
    return g.node("Mul", [g.node("Mul", [x.name, g.node("Add", [erf, scalar(g, 1)])]), scalar(g, 0.5)]);
  },
  mish: ({ g, x }) => g.node("Mul", [x.name, g.node("Tanh", [g.node("Softplus", [x.name])])]),
  sigmoid: plain("Sigmoid"),
  tanh: plain("Tanh"),
  elu: plain("Elu"),
  softplus: plain("Softplus"),
  abs: plain("Abs"),
  negative: plain("Neg"),
  square: ({ g, x }) => g.node("Pow", [g.node("Tanh", [x.name]), scalar(g, 2)]),
  exponential: ({ g, x }) => g.node("Exp", [g.node("Tanh", [x.name])]),
  reciprocal: ({ g, x }) => g.node("Reciprocal", [g.node("Add", [g.node("Abs", [x.name]), scalar(g, 1)])]),
  logarithm: ({ g, x }) => g.node("Log", [g.node("Clip", [x.name, scalar(g, 0.1)])]),
  atLeast: ({ g, x, values }) => g.node("Max", [x.name, values([x.channels, 1, 1], -1, 1)]),
  atMost: ({ g, x }) => g.node("Min", [scalar(g, 0.5), x.name]),
};

export const LAYERS = {
  convolution: (table: Table) => convolution(table, false),
  depthwise: (table: Table) => convolution(table, true),
  pointwise,
  batchNormalization,
  averagePool,
  arithmetic,
  between,
  gate,
  concatenation,
  split,
  slice,
  shuffle,
  oneChannel,
  zeros,
  enlargement,
  padding,
  activation: (table: Table) => ({ ...table.x, name: pick(table, Object.values(ACTIVATIONS))(table) }),
} satisfies Record<string, MakeLayer>;

type MakeEnding = (g: GraphBuilder, x: FeatureMap) => { name: string; shape: (string | number)[] };
const ENDINGS = {
  global: (g, x) => ({
    name: g.node("Flatten", [g.node("GlobalAveragePool", [x.name])]),
    shape: ["N", x.channels],
  }),
  reduceMean: (g, x) => ({
    name: g.node("ReduceMean", [x.name], { axes: [-1, 2], keepdims: 0 }),
    shape: ["N", x.channels],
  }),
  flatten: (g, x) => ({ name: g.node("Flatten", [x.name]), shape: ["N", x.channels * x.height * x.width] }),
  map: (_, x) => ({ name: x.name, shape: ["N", x.channels, x.height, x.width] }),
} satisfies Record<string, MakeEnding>;

const upTo = (max: number, min = 1) => fc.integer({ min, max });
const kinds = Object.keys(LAYERS) as (keyof typeof LAYERS)[];
const layer = fc.record({
  // Convolutions and activations as often as all the others.
  kind: fc.constantFrom(
    ...kinds,
    "convolution" as const,
    "depthwise" as const,
    "activation" as const,
    "activation" as const,
  ),
  dice: fc.array(upTo(2 ** 20, 0), { minLength: 24, maxLength: 24 }),
});

export const mapRecipes: fc.Arbitrary<MapRecipe> = fc.record({
  seed: upTo(2 ** 31 - 2),
  channels: upTo(4),
  height: upTo(40, 5),
  width: upTo(40, 5),
  layers: fc.array(layer, { minLength: 1, maxLength: 7 }),
  ending: fc.constantFrom(...(Object.keys(ENDINGS) as (keyof typeof ENDINGS)[])),
});

/** The network of a recipe, input `[N, C, H, W]`. */
export function buildMaps({ seed, channels, height, width, layers, ending }: MapRecipe): Graph {
  const g = new GraphBuilder("random");
  const random = lehmer(seed);
  const values = (dims: number[], low = -1, high = 1) =>
    g.constant(
      "parameter",
      float32(
        Float32Array.from({ length: volume(dims) }, () => low + (high - low) * random()),
        dims,
      ),
    );
  let x: FeatureMap = {
    name: g.input("image", "float32", ["N", channels, height, width]),
    channels,
    height,
    width,
  };
  const earlier = [x];
  for (const { kind, dice } of layers) {
    let thrown = 0;
    const throwDice = (faces: number) => (dice[thrown++ % dice.length] as number) % faces;
    x = LAYERS[kind]({ g, x, earlier, values, dice: throwDice });
    earlier.push(x);
  }
  const { name, shape } = ENDINGS[ending](g, x);
  g.output(name, "y", "float32", shape);
  return g.build();
}
