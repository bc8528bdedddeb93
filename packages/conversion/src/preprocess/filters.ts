/**
 * The filters of a resize. Output x is the mean of the inputs around its centre, weighted by the filter:
 *
 *   centre = (x + 1/2) · inputs / outputs,   w[i] ~ weight((i + 1/2 - centre) / width),   Σ w = 1
 *
 * An antialiased filter widens as the image shrinks, width = max(1, inputs / outputs), and gives no weight to inputs beyond
 * the edge, as in Pillow (src/libImaging/Resample.c, precompute_coeffs). The others have width = 1, and repeat the input at
 * the edge, as in PyTorch's `interpolate` without align_corners and antialias (aten/src/ATen/native/UpSample.h) and in
 * OpenCV's INTER_LINEAR and INTER_CUBIC.
 */
import { byDistance, inBox, isCentre, type WeightNodes } from "./graph/weights.js";

/** All that the three forms need of a filter. */
export interface Filter {
  /** The weight is 0 if |x| is larger. */
  support: number;
  /** The weight at x, in float64. The reference and WebAssembly take their taps from it: ./taps.ts. */
  weight(x: number): number;
  /** The weights as ONNX nodes. */
  nodes: WeightNodes;
  /** Whether results can lie beyond the inputs. */
  overshoots: boolean;
  antialiased: boolean;
  /** The number in PIL.Image.Resampling. */
  pillow: number;
}

const inUnitBox = (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0);
const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Keys' cubic. */
const cubic = (a: number): Pick<Filter, "weight" | "nodes"> => ({
  weight(signed) {
    const x = Math.abs(signed);
    return x < 1
      ? ((a + 2) * x - (a + 3)) * x * x + 1
      : x < 2
        ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        : 0;
  },
  nodes: byDistance(({ real }, x) => {
    const inner = real.add(real.mul(real.sub(real.mul(x, a + 2), a + 3), real.mul(x, x)), 1);
    const outer = real.mul(real.sub(real.mul(real.add(real.mul(x, a), -5 * a), x), -8 * a), x);
    return real.where(real.less(x, 1), inner, real.where(real.less(x, 2), real.add(outer, -4 * a), 0));
  }),
});

export const FILTERS = {
  nearest: {
    ...{ support: 0.5, overshoots: false, antialiased: false, pillow: 0 },
    weight: inUnitBox,
    nodes: isCentre,
  },
  box: {
    ...{ support: 0.5, overshoots: false, antialiased: true, pillow: 4 },
    weight: inUnitBox,
    nodes: inBox,
  },
  bilinear: {
    ...{ support: 1, overshoots: false, antialiased: true, pillow: 2 },
    weight: (x) => Math.max(0, 1 - Math.abs(x)),
    nodes: byDistance(({ real, g }, x) => g.node("Max", [real.sub(1, x), g.floats([0])])),
  },
  hamming: {
    ...{ support: 1, overshoots: false, antialiased: true, pillow: 5 },
    weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0),
    nodes: byDistance((m, x) => {
      const window = m.real.add(m.real.mul(m.g.node("Cos", [m.real.mul(x, Math.PI)]), 0.46), 0.54);
      return m.real.where(m.real.less(x, 1), m.real.mul(m.sinc(x), window), 0);
    }),
  },
  bicubic: { support: 2, overshoots: true, antialiased: true, pillow: 3, ...cubic(-1 / 2) },
  lanczos: {
    ...{ support: 3, overshoots: true, antialiased: true, pillow: 1 },
    weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0),
    nodes: byDistance((m, x) =>
      m.real.where(m.real.less(x, 3), m.real.mul(m.sinc(x), m.sinc(m.real.div(x, 3))), 0),
    ),
  },
} satisfies Record<string, Filter>;

export type Resample = keyof typeof FILTERS;
export const RESAMPLES = Object.keys(FILTERS) as Resample[];

/** The filters that `antialias: false` selects. */
const NOT_ANTIALIASED: Partial<Record<Resample, Filter>> = {
  nearest: FILTERS.nearest,
  bilinear: { ...FILTERS.bilinear, antialiased: false },
  // PyTorch and OpenCV use another cubic here.
  bicubic: { ...FILTERS.bicubic, antialiased: false, ...cubic(-3 / 4) },
};

/** The names of these. */
export const PLAIN_RESAMPLES = Object.keys(NOT_ANTIALIASED) as Resample[];

export const filterOf = ({
  resample,
  antialias = true,
}: {
  resample: Resample;
  antialias?: boolean;
}): Filter => (antialias ? FILTERS[resample] : (NOT_ANTIALIASED[resample] ?? FILTERS[resample]));
