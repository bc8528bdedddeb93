/** JFIF's colours (ITU-T T.871, 7), and Adobe's CMYK as PIL makes RGB of it. */
import { pair } from "./inverse-eight";
import {
  COLUMN_FROM,
  COLUMN_TO,
  COMPONENT_BYTES,
  COMPONENT_COUNT,
  COMPONENTS,
  IMAGE,
  IS_YCBCR,
  PIXELS,
  PIXELS_MASK,
  PIXELS_PLANE,
  PIXELS_STRIDE,
} from "./layout";
import { upsampled, widen } from "./upsample";

/** Makes the columns that are needed of row `y` of the pixels. */
export function finishRow(y: u32): void {
  const out: usize =
    load<u32>(IMAGE + PIXELS) + (y & load<u32>(IMAGE + PIXELS_MASK)) * load<u32>(IMAGE + PIXELS_STRIDE);
  const plane = load<u32>(IMAGE + PIXELS_PLANE);
  const from = load<u32>(IMAGE + COLUMN_FROM);
  const to = load<u32>(IMAGE + COLUMN_TO);
  const count = load<u32>(IMAGE + COMPONENT_COUNT);
  const first = upsampled(COMPONENTS, y, from, to);
  if (count == 1) {
    memory.copy(out + from, first + from, to - from);
    return;
  }
  const second = upsampled(COMPONENTS + COMPONENT_BYTES, y, from, to);
  const third = upsampled(COMPONENTS + 2 * COMPONENT_BYTES, y, from, to);
  if (load<u32>(IMAGE + IS_YCBCR) != 0) convert(first, second, third, out, plane, from, to);
  else {
    memory.copy(out + from, first + from, to - from);
    memory.copy(out + plane + from, second + from, to - from);
    memory.copy(out + 2 * plane + from, third + from, to - from);
  }
  if (count != 4) return;
  const black = upsampled(COMPONENTS + 3 * COMPONENT_BYTES, y, from, to);
  const flip: u32 = load<u32>(IMAGE + IS_YCBCR) != 0 ? 0xff : 0;
  for (let index: u32 = 0; index < 3; index++) darken(out + index * plane, black, flip, from, to);
}

/** color · black / 255, rounded. With `flip` 255 the colour is 255 - color. */
function darken(colors: usize, black: usize, flip: u32, from: u32, to: u32): void {
  const flips = i8x16.splat(i8(flip));
  const half = i16x8.splat(128);
  for (let x = from; x < to; x += 8) {
    const color = i16x8.extend_low_i8x16_u(v128.xor(v128.load64_zero(colors + x), flips));
    const sum = i16x8.add(i16x8.mul(color, widen(black + x)), half);
    // (s + s / 256) / 256 is s / 255 rounded, for 128 more than a product of two bytes.
    const product = i16x8.shr_u(i16x8.add(sum, i16x8.shr_u(sum, 8)), 8);
    v128.store64_lane(colors + x, i8x16.narrow_i16x8_u(product, product), 0);
  }
}

/** Rounds down from Q14. */
function toByte(low: v128, high: v128): v128 {
  return i16x8.narrow_i32x4_s(i32x4.shr_s(low, 14), i32x4.shr_s(high, 14));
}

/**
 * R = Y + 1.402 Cr,  G = Y - 0.344136 Cb - 0.714136 Cr,  B = Y + 1.772 Cb, Cb and Cr less 128; rounded once, as libjpeg.
 */
function convert(luma: usize, blue: usize, red: usize, out: usize, plane: usize, from: u32, to: u32): void {
  const middle = i16x8.splat(128);
  const half = i32x4.splat(1 << 13);
  const ones = i16x8.splat(1);
  const redPair = pair(16384, 22970);
  const bluePair = pair(16384, 29032);
  const greenFirst = pair(16384, -11700);
  const greenSecond = pair(-5638, 8192);
  for (let x = from; x < to; x += 8) {
    const y = widen(luma + x);
    const cb = i16x8.sub(widen(blue + x), middle);
    const cr = i16x8.sub(widen(red + x), middle);
    const yCrLow = v128.shuffle<i16>(y, cr, 0, 8, 1, 9, 2, 10, 3, 11);
    const yCrHigh = v128.shuffle<i16>(y, cr, 4, 12, 5, 13, 6, 14, 7, 15);
    const yCbLow = v128.shuffle<i16>(y, cb, 0, 8, 1, 9, 2, 10, 3, 11);
    const yCbHigh = v128.shuffle<i16>(y, cb, 4, 12, 5, 13, 6, 14, 7, 15);
    const cbOneLow = v128.shuffle<i16>(cb, ones, 0, 8, 1, 9, 2, 10, 3, 11);
    const cbOneHigh = v128.shuffle<i16>(cb, ones, 4, 12, 5, 13, 6, 14, 7, 15);
    const r = toByte(
      i32x4.add(i32x4.dot_i16x8_s(yCrLow, redPair), half),
      i32x4.add(i32x4.dot_i16x8_s(yCrHigh, redPair), half),
    );
    const g = toByte(
      i32x4.add(i32x4.dot_i16x8_s(yCrLow, greenFirst), i32x4.dot_i16x8_s(cbOneLow, greenSecond)),
      i32x4.add(i32x4.dot_i16x8_s(yCrHigh, greenFirst), i32x4.dot_i16x8_s(cbOneHigh, greenSecond)),
    );
    const b = toByte(
      i32x4.add(i32x4.dot_i16x8_s(yCbLow, bluePair), half),
      i32x4.add(i32x4.dot_i16x8_s(yCbHigh, bluePair), half),
    );
    const both = i8x16.narrow_i16x8_u(r, g);
    v128.store64_lane(out + x, both, 0);
    v128.store64_lane(out + plane + x, both, 1);
    v128.store64_lane(out + 2 * plane + x, i8x16.narrow_i16x8_u(b, b), 0);
  }
}
