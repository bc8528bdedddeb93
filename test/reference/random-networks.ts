import fc from "fast-check";
import { D_n } from "../../packages/coefficients/src/transform/tensors.js";
import { float, GraphBuilder } from "../../packages/conversion/src/onnx/builder.js";
import { float32, type Graph, volume } from "../../packages/conversion/src/onnx/graph.js";
import { lehmer } from "./lehmer.js";

/** A small network as plain numbers, so that a failing network can be read, reduced and rebuilt. */
export interface Recipe {
  seed: number;
  channels: number;
  /** Blocks. */
  rows: number;
  columns: number;
  layers: Layer[];
  ending: "global" | "reduceMean" | "wholePool" | "flatten" | "reshape" | "map";
}

type Pair = [down: number, across: number];

export type Layer =
  | {
      kind: "conv";
      out: number;
      kernel: Pair;
      stride: Pair;
      dilation: Pair;
      grouped: boolean;
      bias: boolean;
      /** The share of the possible padding, and the share of it that goes before. */
      slack: Pair;
      before: Pair;
    }
  | { kind: "pool"; kernel: Pair; stride: Pair; slack: Pair; before: Pair }
  | { kind: "batchNorm"; epsilon: number }
  | { kind: "relu" }
  /** Adds an earlier feature map that fits. */
  | { kind: "add"; earlier: number };

const pair = (values: fc.Arbitrary<number>): fc.Arbitrary<Pair> => fc.tuple(values, values);
const upTo = (max: number, min = 1) => fc.integer({ min, max });
const padding = { slack: pair(upTo(9, 0)), before: pair(upTo(9, 0)) };

const layer: fc.Arbitrary<Layer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("conv" as const),
      out: upTo(4),
      kernel: pair(upTo(5)),
      stride: pair(fc.constantFrom(1, 1, 2, 4)),
      dilation: pair(fc.constantFrom(1, 1, 1, 2, 3)),
      grouped: fc.boolean(),
      bias: fc.boolean(),
      ...padding,
    }),
  },
  fc.record({
    kind: fc.constant("pool" as const),
    kernel: pair(upTo(3)),
    stride: pair(upTo(2)),
    ...padding,
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("batchNorm" as const),
      epsilon: fc.constantFrom(1e-5, 1e-3, 0.1),
    }),
  },
  { weight: 3, arbitrary: fc.constant<Layer>({ kind: "relu" }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("add" as const), earlier: upTo(9, 0) }) },
);

export const recipes: fc.Arbitrary<Recipe> = fc
  .record<Recipe>({
    seed: upTo(2 ** 31 - 2),
    channels: upTo(3),
    rows: fc.constantFrom(1, 2, 3, 4),
    columns: fc.constantFrom(1, 2, 3, 4),
    layers: fc.array(layer, { minLength: 1, maxLength: 7 }),
    ending: fc.constantFrom("global", "reduceMean", "wholePool", "flatten", "reshape", "map"),
  })
  // The plan `exploded` needs 4 · (input values) · (output values) bytes per convolution.
  .filter(({ rows, columns }) => rows * columns <= 8);

interface FeatureMap {
  name: string;
  channels: number;
  height: number;
  width: number;
}

/**
 * The network of a recipe, input `[N, C, 8 rows, 8 columns]`. With `apx` every ReLU is that of the pixels' projection
 * onto the spatial frequencies alpha + beta <= apx of their block, P = Σ D[i j alpha beta] D[i' j' alpha beta].
 */
export function build({ seed, channels, rows, columns, layers, ending }: Recipe, apx?: number): Graph {
  const g = new GraphBuilder("random");
  const random = lehmer(seed);
  const values = (dims: number[], low: number, high: number) =>
    float32(
      Float32Array.from({ length: volume(dims) }, () => low + (high - low) * random()),
      dims,
    );
  const parameter = (dims: number[], low: number, high: number) =>
    g.constant("parameter", values(dims, low, high));

  const input = g.input("image", "float32", ["N", channels, 8 * rows, 8 * columns]);
  let x: FeatureMap = { name: input, channels, height: 8 * rows, width: 8 * columns };
  const earlier = [x];
  for (const layer of layers) {
    x = apply(layer, x);
    earlier.push(x);
  }
  finish();
  return g.build();

  function apply(layer: Layer, x: FeatureMap): FeatureMap {
    switch (layer.kind) {
      case "conv":
        return convolve(layer, x);
      case "pool": {
        const { attributes, ...size } = slide(layer, x, [1, 1]);
        const name = g.node("AveragePool", [x.name], {
          ...attributes,
          kernel_shape: layer.kernel,
          count_include_pad: 1,
        });
        return { ...x, ...size, name };
      }
      case "batchNorm": {
        const ranges = [
          [0.5, 1.5],
          [-1, 1],
          [-1, 1],
          [0.01, 1.5],
        ] as const;
        const inputs = ranges.map(([low, high]) => parameter([x.channels], low, high));
        const epsilon = float(layer.epsilon);
        return { ...x, name: g.node("BatchNormalization", [x.name, ...inputs], { epsilon }) };
      }
      case "relu":
        return { ...x, name: g.node("Relu", [apx === undefined ? x.name : project(x, apx)]) };
      case "add": {
        const fitting = earlier.filter(
          (map) =>
            map.height === x.height &&
            map.width === x.width &&
            (map.channels === x.channels || map.channels === 1 || x.channels === 1),
        );
        const other = fitting[layer.earlier % fitting.length] as FeatureMap;
        const channels = Math.max(x.channels, other.channels);
        return { ...x, channels, name: g.node("Add", [x.name, other.name]) };
      }
    }
  }

  function project({ name, channels, height, width }: FeatureMap, n: number): string {
    const { data } = D_n(n);
    const matrix = Float32Array.from({ length: 4096 }, (_, at) => {
      const [p, q] = [at >> 6, at & 63];
      let sum = 0;
      for (let f = 0; f < 64; f++) sum += (data[64 * p + f] as number) * (data[64 * q + f] as number);
      return sum;
    });
    const [X, Y] = [height / 8, width / 8];
    const apart = g.node("Reshape", [name, g.ints([-1, channels, X, 8, Y, 8])]);
    const blocks = g.node("Transpose", [apart], { perm: [0, 1, 2, 4, 3, 5] });
    const rows = g.node("Reshape", [blocks, g.ints([-1, 64])]);
    const low = g.node("MatMul", [rows, g.constant("P", float32(matrix, [64, 64]))]);
    const back = g.node("Reshape", [low, g.ints([-1, channels, X, Y, 8, 8])]);
    const together = g.node("Transpose", [back], { perm: [0, 1, 2, 4, 3, 5] });
    return g.node("Reshape", [together, g.ints([-1, channels, height, width])]);
  }

  function convolve(layer: Extract<Layer, { kind: "conv" }>, x: FeatureMap): FeatureMap {
    const group = layer.grouped ? x.channels : 1;
    const out = layer.grouped ? x.channels * (1 + (layer.out % 2)) : layer.out;
    const dims = [out, x.channels / group, ...layer.kernel];
    const bound = 1.7 / Math.sqrt(volume(dims.slice(1)));
    const inputs = [x.name, parameter(dims, -bound, bound)];
    if (layer.bias) inputs.push(parameter([out], -1, 1));
    const { attributes, ...size } = slide(layer, x, layer.dilation);
    const name = g.node("Conv", inputs, { ...attributes, dilations: layer.dilation, group });
    return { name, channels: out, ...size };
  }

  /** Strides and pads near those of the layer, with which output blocks lie on whole input blocks. */
  function slide(
    { kernel, stride, slack, before }: { kernel: Pair; stride: Pair; slack: Pair; before: Pair },
    { height, width }: FeatureMap,
    dilation: Pair,
  ) {
    const sides = ([0, 1] as const).map((axis) => {
      const length = axis === 0 ? height : width;
      const step = [stride[axis], 2, 1].find((s) => length % (8 * s) === 0 && s <= stride[axis]) as number;
      const extent = dilation[axis] * (kernel[axis] - 1) + 1;
      // floor((length + total - extent) / step) + 1 = length / step
      const least = Math.max(0, extent - step);
      const total = least + (slack[axis] % (extent - least));
      const first = before[axis] % (total + 1);
      return { step, first, last: total - first, length: length / step };
    }) as [Side, Side];
    const [down, across] = sides;
    return {
      attributes: {
        strides: [down.step, across.step],
        pads: [down.first, across.first, down.last, across.last],
      },
      height: down.length,
      width: across.length,
    };
  }

  function finish(): void {
    const { channels, height, width } = x;
    if (ending === "map") {
      g.output(x.name, "y", "float32", ["N", channels, height, width]);
      return;
    }
    const flat = (map: string) => g.node("Flatten", [map]);
    const rows = {
      global: () => flat(g.node("GlobalAveragePool", [x.name])),
      reduceMean: () => g.node("ReduceMean", [x.name], { axes: [-1, 2], keepdims: 0 }),
      wholePool: () => flat(g.node("AveragePool", [x.name], { kernel_shape: [height, width] })),
      flatten: () => flat(x.name),
      reshape: () => g.node("Reshape", [x.name, g.ints([0, -1])]),
    };
    const averaged = ending !== "flatten" && ending !== "reshape";
    classify(rows[ending](), averaged ? channels : channels * height * width);
  }

  function classify(rows: string, length: number): void {
    const bound = 1.7 / Math.sqrt(length);
    const inputs = [rows, parameter([5, length], -bound, bound), parameter([5], -1, 1)];
    g.output(g.node("Gemm", inputs, { transB: 1 }), "y", "float32", ["N", 5]);
  }
}

interface Side {
  step: number;
  first: number;
  last: number;
  length: number;
}
