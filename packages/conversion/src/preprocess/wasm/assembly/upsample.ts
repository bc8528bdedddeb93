/** Upsampling as libjpeg-turbo does it (jdsample.c), rounding included. */
import {
  EXPAND_X,
  EXPAND_Y,
  FANCY,
  SAMPLES,
  SAMPLES_HEIGHT,
  SAMPLES_ROWS,
  SAMPLES_STRIDE,
  SAMPLES_WIDTH,
  UPSAMPLED,
} from "./layout";

function samplesRow(component: usize, row: u32): usize {
  return (
    load<u32>(component + SAMPLES) +
    (row % load<u32>(component + SAMPLES_ROWS)) * load<u32>(component + SAMPLES_STRIDE)
  );
}

/** The address of the component's row `y` at the pixels' own resolution. */
export function upsampled(component: usize, y: u32, from: u32, to: u32): usize {
  const expandX = load<f64>(component + EXPAND_X);
  const expandY = load<f64>(component + EXPAND_Y);
  const last = load<u32>(component + SAMPLES_HEIGHT) - 1;
  const own = min(last, u32(f64(y) / expandY));
  const row = samplesRow(component, own);
  if (expandX == 1 && (expandY == 1 || load<u32>(component + FANCY) == 0)) return row;
  const out: usize = load<u32>(component + UPSAMPLED);
  if (load<u32>(component + FANCY) == 0) {
    const width = load<u32>(component + SAMPLES_WIDTH) - 1;
    for (let x = from; x < to; x++) store<u8>(out + x, load<u8>(row + min(width, u32(f64(x) / expandX))));
    return out;
  }
  if (expandY == 1) {
    rowByTwo(row, out, from, to);
    return out;
  }
  // The nearer neighbour is above for even rows and below for odd ones. At the image's edges it is the row itself.
  const other = (y & 1) == 0 ? (own == 0 ? 0 : own - 1) : min(last, own + 1);
  const otherRow = samplesRow(component, other);
  if (expandX == 1) columnByTwo(row, otherRow, out, from, to, (y & 1) == 0 ? 1 : 2);
  else bothByTwo(row, otherRow, out, from, to);
  return out;
}

/** Eight bytes as i16. */
export function widen(at: usize): v128 {
  return v128.load8x8_u(at);
}

/** (3 own + neighbour + 1 or 2) / 4. */
function rowByTwo(row: usize, out: usize, from: u32, to: u32): void {
  const one = i16x8.splat(1);
  const two = i16x8.splat(2);
  const three = i16x8.splat(3);
  for (let x = from; x < to; x += 16) {
    const at = row + (x >> 1);
    const own = i16x8.mul(widen(at), three);
    const even = i16x8.shr_u(i16x8.add(i16x8.add(own, widen(at - 1)), one), 2);
    const odd = i16x8.shr_u(i16x8.add(i16x8.add(own, widen(at + 1)), two), 2);
    v128.store(out + x, v128.or(even, i16x8.shl(odd, 8)));
  }
}

function columnByTwo(row: usize, other: usize, out: usize, from: u32, to: u32, bias: i32): void {
  const three = i16x8.splat(3);
  const rounding = i16x8.splat(i16(bias));
  for (let x = from; x < to; x += 8) {
    const sum = i16x8.add(i16x8.add(i16x8.mul(widen(row + x), three), widen(other + x)), rounding);
    const mean = i16x8.shr_u(sum, 2);
    v128.store64_lane(out + x, i8x16.narrow_i16x8_u(mean, mean), 0);
  }
}

/** (3 (3 own + other row) + the same of the neighbour + 8 or 7) / 16. */
function bothByTwo(row: usize, other: usize, out: usize, from: u32, to: u32): void {
  const three = i16x8.splat(3);
  const seven = i16x8.splat(7);
  const eight = i16x8.splat(8);
  for (let x = from; x < to; x += 16) {
    const at = row + (x >> 1);
    const otherAt = other + (x >> 1);
    const own = i16x8.mul(i16x8.add(i16x8.mul(widen(at), three), widen(otherAt)), three);
    const before = i16x8.add(i16x8.mul(widen(at - 1), three), widen(otherAt - 1));
    const after = i16x8.add(i16x8.mul(widen(at + 1), three), widen(otherAt + 1));
    const even = i16x8.shr_u(i16x8.add(i16x8.add(own, before), eight), 4);
    const odd = i16x8.shr_u(i16x8.add(i16x8.add(own, after), seven), 4);
    v128.store(out + x, v128.or(even, i16x8.shl(odd, 8)));
  }
}
