/**
 * Forward passes of single operators in float64, by definition: one loop per index, with no code from `src`. The
 * derivatives are checked against central differences of these.
 */
export interface Array64 {
  dims: number[];
  data: Float64Array;
}

export const size = (dims: number[]) => dims.reduce((a, b) => a * b, 1);
export const zeros = (dims: number[]): Array64 => ({ dims, data: new Float64Array(size(dims)) });

const known = new Map<string, number[][]>();

/** All index tuples of a shape, in row-major order. */
export function indices(dims: number[]): number[][] {
  const key = dims.join();
  const found = known.get(key);
  if (found) return found;
  const all = dims.reduce<number[][]>(
    (some, length) => some.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]],
  );
  known.set(key, all);
  return all;
}

const flat = (dims: number[], index: number[]) =>
  index.reduce((sum, i, axis) => sum * (dims[axis] as number) + i, 0);
const at = ({ dims, data }: Array64, index: number[]) => data[flat(dims, index)] as number;
/** The element at `index` after broadcasting. */
const broadcastAt = (x: Array64, index: number[]) =>
  at(
    x,
    x.dims.map((length, i) => (length === 1 ? 0 : (index[index.length - x.dims.length + i] as number))),
  );
const inside = (dims: number[], index: number[]) =>
  index.every((i, axis) => i >= 0 && i < (dims[axis] as number));

function build(dims: number[], element: (index: number[]) => number): Array64 {
  return { dims, data: Float64Array.from(indices(dims), element) };
}

export const map = (f: (x: number) => number) => (x: Array64) => ({ dims: x.dims, data: x.data.map(f) });

export function zip(f: (a: number, b: number) => number) {
  return (a: Array64, b: Array64) => {
    const rank = Math.max(a.dims.length, b.dims.length);
    const length = ({ dims }: Array64, i: number) => dims[i - (rank - dims.length)] ?? 1;
    const dims = Array.from({ length: rank }, (_, i) => Math.max(length(a, i), length(b, i)));
    return build(dims, (index) => f(broadcastAt(a, index), broadcastAt(b, index)));
  };
}

export interface Window64 {
  strides?: number[];
  dilations?: number[];
  pads?: number[];
}

const slide = (length: number, kernel: number, axis: number, rank: number, w: Window64) => {
  const padded = length + (w.pads?.[axis] ?? 0) + (w.pads?.[axis + rank] ?? 0);
  return Math.floor((padded - (w.dilations?.[axis] ?? 1) * (kernel - 1) - 1) / (w.strides?.[axis] ?? 1)) + 1;
};
const position = (q: number[], k: number[], w: Window64) =>
  q.map(
    (i, axis) =>
      i * (w.strides?.[axis] ?? 1) + (k[axis] as number) * (w.dilations?.[axis] ?? 1) - (w.pads?.[axis] ?? 0),
  );

export function conv(x: Array64, weight: Array64, bias?: Array64, window: Window64 = {}, group = 1): Array64 {
  const [n, , ...size] = x.dims as [number, number, ...number[]];
  const [o, perGroup, ...kernel] = weight.dims as [number, number, ...number[]];
  const out = size.map((length, axis) => slide(length, kernel[axis] as number, axis, size.length, window));
  return build([n, o, ...out], ([image, channel, ...q]) => {
    const first = Math.floor((channel as number) / (o / group)) * perGroup;
    let sum = bias?.data[channel as number] ?? 0;
    for (let i = 0; i < perGroup; i++)
      for (const k of indices(kernel)) {
        const p = position(q, k, window);
        if (inside(size, p))
          sum += at(weight, [channel as number, i, ...k]) * at(x, [image as number, first + i, ...p]);
      }
    return sum;
  });
}

export function averagePool(
  x: Array64,
  kernel: number[],
  window: Window64 = {},
  includePad = false,
): Array64 {
  const [n, c, ...size] = x.dims as [number, number, ...number[]];
  const out = size.map((length, axis) => slide(length, kernel[axis] as number, axis, size.length, window));
  return build([n, c, ...out], ([image, channel, ...q]) => {
    const positions = indices(kernel).map((k) => position(q, k, window));
    const real = positions.filter((p) => inside(size, p));
    const sum = real.reduce((total, p) => total + at(x, [image as number, channel as number, ...p]), 0);
    return sum / (includePad ? positions : real).length;
  });
}

/** In training mode: with the mean and the biased variance of the batch. */
export function batchNorm(x: Array64, gamma: Array64, beta: Array64, epsilon: number): Array64 {
  const channels = x.dims[1] as number;
  const groups = Array.from({ length: channels }, () => [] as number[]);
  const all = indices(x.dims);
  for (const [i, index] of all.entries()) groups[index[1] as number]?.push(x.data[i] as number);
  const stats = groups.map((values) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
  });
  return build(x.dims, (index) => {
    const c = index[1] as number;
    const { mean, variance } = stats[c] as { mean: number; variance: number };
    const normal = (at(x, index) - mean) / Math.sqrt(variance + epsilon);
    return (gamma.data[c] as number) * normal + (beta.data[c] as number);
  });
}

export function matmul(a: Array64, b: Array64): Array64 {
  const [m, inner] = a.dims.slice(-2) as [number, number];
  const columns = b.dims.at(-1) as number;
  const outer = zip((x) => x)(
    zeros([...a.dims.slice(0, -2), 1]),
    zeros([...b.dims.slice(0, -2), 1]),
  ).dims.slice(0, -1);
  return build([...outer, m, columns], (index) => {
    const [row, column] = index.slice(-2) as [number, number];
    const rest = index.slice(0, -2);
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum += broadcastAt(a, [...rest, row, k]) * broadcastAt(b, [...rest, k, column]);
    return sum;
  });
}

export function transpose(x: Array64, perm: number[]): Array64 {
  const dims = perm.map((axis) => x.dims[axis] as number);
  return build(dims, (index) =>
    at(
      x,
      perm.map((_, axis) => index[perm.indexOf(axis)] as number),
    ),
  );
}

export const reshape = (x: Array64, dims: number[]): Array64 => ({ dims, data: x.data });

export function pad(x: Array64, pads: number[]): Array64 {
  const rank = x.dims.length;
  const dims = x.dims.map((length, i) => length + (pads[i] as number) + (pads[i + rank] as number));
  return build(dims, (index) => {
    const from = index.map((i, axis) => i - (pads[axis] as number));
    return inside(x.dims, from) ? at(x, from) : 0;
  });
}

export function concat(parts: Array64[], axis: number): Array64 {
  const first = parts[0] as Array64;
  const dims = first.dims.map((length, i) =>
    i === axis ? parts.reduce((sum, part) => sum + (part.dims[axis] as number), 0) : length,
  );
  return build(dims, (index) => {
    let i = index[axis] as number;
    for (const part of parts) {
      if (i < (part.dims[axis] as number)) return at(part, index.with(axis, i));
      i -= part.dims[axis] as number;
    }
    return Number.NaN;
  });
}

export function sum(x: Array64, axes: number[], mean = false): Array64 {
  const dims = x.dims.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const result = zeros(dims);
  for (const index of indices(x.dims)) {
    const to = flat(
      dims,
      index.map((i, axis) => (axes.includes(axis) ? 0 : i)),
    );
    result.data[to] = (result.data[to] as number) + at(x, index);
  }
  const divisor = mean ? size(x.dims) / size(dims) : 1;
  return map((value) => value / divisor)(result);
}

/** Σ s·f(…xs) and its gradient with respect to every element of every x, by central differences. */
export function centralDifferences(
  f: (...xs: Array64[]) => Array64,
  xs: Array64[],
  s: Array64,
): Float64Array[] {
  const value = () => f(...xs).data.reduce((total, y, i) => total + y * (s.data[i] as number), 0);
  return xs.map(({ data }) =>
    data.map((centre, i) => {
      const h = 1e-5;
      data[i] = centre + h;
      const above = value();
      data[i] = centre - h;
      const below = value();
      data[i] = centre;
      return (above - below) / (2 * h);
    }),
  );
}
