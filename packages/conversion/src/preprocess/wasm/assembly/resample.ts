/**
 * Resampling of finished pixels by the taps of ../../taps.ts. Rows come first, because SIMD can add them side by side:
 * pixels → one row of i16 (Q6) → float32 planes, normalised.
 */
import {
  COLUMN_FIRST,
  COLUMN_FROM,
  COLUMN_TAPS,
  COLUMN_TO,
  COLUMN_WEIGHTS,
  IMAGE,
  OUT,
  OUT_PLANE,
  OUT_PLANES,
  OUT_STRIDE,
  OUTPUT_BYTES,
  OUTPUTS,
  PIXELS,
  PIXELS_MASK,
  PIXELS_PLANE,
  PIXELS_STRIDE,
  ROW,
  ROW_FIRST,
  ROW_PLANE,
  ROW_TAPS,
  ROW_WEIGHTS,
} from "./layout";

/** Makes row `y` of the output from so many planes of pixels. */
export function resampleRow(y: u32, planes: u32): void {
  const rowPlane = load<u32>(IMAGE + ROW_PLANE);
  const row: usize = load<u32>(IMAGE + ROW);
  const pixels: usize = load<u32>(IMAGE + PIXELS);
  for (let plane: u32 = 0; plane < planes; plane++)
    sumRows(y, pixels + plane * load<u32>(IMAGE + PIXELS_PLANE), row + plane * rowPlane);
  const outputs = load<u32>(IMAGE + OUT_PLANES);
  const outPlane = load<u32>(IMAGE + OUT_PLANE);
  const stride = load<u32>(IMAGE + OUT_STRIDE);
  for (let index: u32 = 0; index < outputs; index++) {
    const output = IMAGE + OUTPUTS + index * OUTPUT_BYTES;
    sumColumns(
      row + load<u32>(output) * rowPlane,
      load<u32>(IMAGE + OUT) + index * outPlane + ((y * stride) << 2),
      stride,
      load<f32>(output + 4),
      load<f32>(output + 8),
    );
  }
}

function sumRows(y: u32, pixels: usize, out: usize): void {
  const stride = load<u32>(IMAGE + PIXELS_STRIDE);
  const mask = load<u32>(IMAGE + PIXELS_MASK);
  const taps = load<u32>(IMAGE + ROW_TAPS);
  const first = load<u32>(load<u32>(IMAGE + ROW_FIRST) + (y << 2));
  const weights: usize = load<u32>(IMAGE + ROW_WEIGHTS) + ((y * taps) << 1);
  const from = load<u32>(IMAGE + COLUMN_FROM);
  const to = load<u32>(IMAGE + COLUMN_TO);
  const half = i32x4.splat(1 << 7);
  for (let x = from; x < to; x += 16, out += 32) {
    let sum0 = half;
    let sum1 = half;
    let sum2 = half;
    let sum3 = half;
    for (let t: u32 = 0; t < taps; t += 2) {
      const w = v128.load32_splat(weights + (t << 1));
      const a = v128.load(pixels + ((first + t) & mask) * stride + x);
      const b = v128.load(pixels + ((first + t + 1) & mask) * stride + x);
      const low = v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const high = v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), w));
      sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), w));
      sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), w));
      sum3 = i32x4.add(sum3, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), w));
    }
    v128.store(out, i16x8.narrow_i32x4_s(i32x4.shr_s(sum0, 8), i32x4.shr_s(sum1, 8)));
    v128.store(out, i16x8.narrow_i32x4_s(i32x4.shr_s(sum2, 8), i32x4.shr_s(sum3, 8)), 16);
  }
}

/** Sums of 4 outputs, one in each lane. */
function transposedSum(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
}

function sumColumns(row: usize, out: usize, length: u32, factor: f32, offset: f32): void {
  const taps = load<u32>(IMAGE + COLUMN_TAPS);
  const bytes: usize = taps << 1;
  const most = i32x4.splat(255 << 20);
  const none = i32x4.splat(0);
  const factors = f32x4.splat(factor);
  const offsets = f32x4.splat(offset);
  let first: usize = load<u32>(IMAGE + COLUMN_FIRST);
  let weights: usize = load<u32>(IMAGE + COLUMN_WEIGHTS);
  for (const end = out + (length << 2); out < end; out += 16, first += 16, weights += bytes << 2) {
    const at0: usize = row + (load<u32>(first) << 1);
    const at1: usize = row + (load<u32>(first, 4) << 1);
    const at2: usize = row + (load<u32>(first, 8) << 1);
    const at3: usize = row + (load<u32>(first, 12) << 1);
    let sum0 = i32x4.dot_i16x8_s(v128.load(at0), v128.load(weights));
    let sum1 = i32x4.dot_i16x8_s(v128.load(at1), v128.load(weights + bytes));
    let sum2 = i32x4.dot_i16x8_s(v128.load(at2), v128.load(weights + 2 * bytes));
    let sum3 = i32x4.dot_i16x8_s(v128.load(at3), v128.load(weights + 3 * bytes));
    for (let t: usize = 16; t < bytes; t += 16) {
      sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(v128.load(at0 + t), v128.load(weights + t)));
      sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(v128.load(at1 + t), v128.load(weights + bytes + t)));
      sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(v128.load(at2 + t), v128.load(weights + 2 * bytes + t)));
      sum3 = i32x4.add(sum3, i32x4.dot_i16x8_s(v128.load(at3 + t), v128.load(weights + 3 * bytes + t)));
    }
    const sum = i32x4.min_s(most, i32x4.max_s(none, transposedSum(sum0, sum1, sum2, sum3)));
    v128.store(out, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sum), factors), offsets));
  }
}
