/**
 * The inverse transform of a row of blocks, N points in each direction (../../reference/inverse.ts):
 *
 *   sample[i j] = clamp(128 + Σ_α Σ_β a(i, α) a(j, β) X[α β])
 *
 * first over β for every column j, then over α for every row i. Since a(N-1-i, α) = (-1)^α a(i, α), the sums of even and of
 * odd frequencies give two results: added the one, subtracted the other. Numbers are i16 with i32 sums: a in Q15, columns
 * in Q5. Eight points have their own file (./inverse-eight.ts).
 */

import { gatherPairs, gatherRows, gatherSmall } from "./generated/gather";
import { transformRows } from "./inverse-eight";
import {
  AT_RIGHT_EDGE,
  BASIS,
  BLOCK_BYTES,
  BLOCK_FROM,
  BLOCK_TO,
  BLOCKS,
  COLUMNS,
  PAIRS,
  POINTS,
  SAMPLES,
  SAMPLES_ROWS,
  SAMPLES_STRIDE,
  SAMPLES_WIDTH,
  TABLE,
} from "./layout";

/** Makes rows of samples of the row of blocks that the host has stored, `row` in the component. */
export function transformBlocks(component: usize, row: u32): void {
  const points = load<u32>(component + POINTS);
  const stride = load<u32>(component + SAMPLES_STRIDE);
  const top =
    load<u32>(component + SAMPLES) + ((row * points) % load<u32>(component + SAMPLES_ROWS)) * stride;
  const from = load<u32>(component + BLOCK_FROM);
  const to = load<u32>(component + BLOCK_TO);
  const step = load<u32>(component + BLOCK_BYTES);
  const table: usize = load<u32>(component + TABLE);
  const basis: usize = load<u32>(component + BASIS);
  let block: usize = load<u32>(component + BLOCKS);
  let out: usize = top + from * points;
  if (points == 1) means(block, step, to - from, load<i16>(table), out);
  else if (points == 8)
    for (let x = from; x < to; x++, block += step, out += 8) {
      const kind = gatherRows(block, table);
      if (kind != 0) transformRows(kind == 1, out, stride);
      else flat(i32(i16((i32(load<i16>(block)) * load<i16>(table)) << 2)), 8, out, stride);
    }
  else if (points <= 4)
    for (let x = from; x < to; x++, block += step, out += points)
      small(block, table, basis, points, out, stride);
  else
    for (let x = from; x < to; x++, block += step, out += points)
      if (gatherPairs(block, table) != 0) {
        columns(basis, points);
        rows(COLUMNS, basis, points, out, stride);
        if (points > 8) rows(COLUMNS + 128, basis, points, out + 8, stride);
      } else flat((i32(load<i16>(block)) * load<i16>(table)) << 2, points, out, stride);

  // The samples beside the edges, for upsampling.
  const width = load<u32>(component + SAMPLES_WIDTH);
  const isEnd = load<u32>(component + AT_RIGHT_EDGE) != 0;
  for (let i: u32 = 0, at: usize = top; i < points; i++, at += stride) {
    if (from == 0) store<u8>(at - 1, load<u8>(at));
    if (isEnd) v128.store(at + width, v128.load8_splat(at + width - 1));
  }
}

/** One point: 128 plus an eighth of the first coefficient. */
function means(block: usize, step: u32, count: u32, table: i32, out: usize): void {
  let x: u32 = 0;
  if (step == 2) {
    const q = i16x8.splat(i16(table));
    const four = i16x8.splat(4);
    const middle = i16x8.splat(128);
    for (; x < count; x += 8) {
      const mean = i16x8.shr_s(i16x8.add_sat_s(i16x8.mul(v128.load(block + (x << 1)), q), four), 3);
      const samples = i16x8.add(mean, middle);
      v128.store64_lane(out + x, i8x16.narrow_i16x8_u(samples, samples), 0);
    }
    return;
  }
  // As above, 16 bits overflow.
  for (; x < count; x++, block += step)
    store<u8>(out + x, u8(min(255, max(0, ((i32(i16(i32(load<i16>(block)) * table)) + 4) >> 3) + 128))));
}

/** All samples alike, of the first coefficient in Q2. */
function flat(dc: i32, points: u32, out: usize, stride: u32): void {
  const sample = i8x16.splat(i8(min(255, max(0, ((dc + 16) >> 5) + 128))));
  for (let i: u32 = 0; i < points; i++, out += stride) {
    v128.store64_lane(out, sample, 0);
    if (points > 8) v128.store64_lane(out + 8, sample, 0);
  }
}

/** PAIRS → COLUMNS, in i16: a column's rows in the order 0, 2, 4, 6, 1, 3, 5, 7. */
function columns(basis: usize, points: u32): void {
  const p0 = v128.load(PAIRS);
  const p1 = v128.load(PAIRS, 16);
  const p2 = v128.load(PAIRS, 32);
  const p3 = v128.load(PAIRS, 48);
  const p4 = v128.load(PAIRS, 64);
  const p5 = v128.load(PAIRS, 80);
  const p6 = v128.load(PAIRS, 96);
  const p7 = v128.load(PAIRS, 112);
  const half = i32x4.splat(1 << 9);
  let last: usize = COLUMNS + ((points - 1) << 4);
  for (let first: usize = COLUMNS; first <= last; first += 16, last -= 16, basis += 16) {
    const a02 = v128.load32_splat(basis);
    const a46 = v128.load32_splat(basis, 4);
    const a13 = v128.load32_splat(basis, 8);
    const a57 = v128.load32_splat(basis, 12);
    const evenLow = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(p0, a02), half), i32x4.dot_i16x8_s(p1, a46));
    const oddLow = i32x4.add(i32x4.dot_i16x8_s(p2, a13), i32x4.dot_i16x8_s(p3, a57));
    const evenHigh = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(p4, a02), half), i32x4.dot_i16x8_s(p5, a46));
    const oddHigh = i32x4.add(i32x4.dot_i16x8_s(p6, a13), i32x4.dot_i16x8_s(p7, a57));
    v128.store(
      last,
      i16x8.narrow_i32x4_s(
        i32x4.shr_s(i32x4.sub(evenLow, oddLow), 10),
        i32x4.shr_s(i32x4.sub(evenHigh, oddHigh), 10),
      ),
    );
    v128.store(
      first,
      i16x8.narrow_i32x4_s(
        i32x4.shr_s(i32x4.add(evenLow, oddLow), 10),
        i32x4.shr_s(i32x4.add(evenHigh, oddHigh), 10),
      ),
    );
  }
}

/** Eight columns from `from` → eight samples of every row. */
function rows(from: usize, basis: usize, points: u32, out: usize, stride: u32): void {
  // Each column is four pairs of rows. Transposed pair by pair, they are in the order of PAIRS.
  const t0 = v128.load(from);
  const t1 = v128.load(from, 16);
  const t2 = v128.load(from, 32);
  const t3 = v128.load(from, 48);
  const t4 = v128.load(from, 64);
  const t5 = v128.load(from, 80);
  const t6 = v128.load(from, 96);
  const t7 = v128.load(from, 112);
  const a0 = v128.shuffle<i32>(t0, t1, 0, 4, 1, 5);
  const a1 = v128.shuffle<i32>(t2, t3, 0, 4, 1, 5);
  const a2 = v128.shuffle<i32>(t0, t1, 2, 6, 3, 7);
  const a3 = v128.shuffle<i32>(t2, t3, 2, 6, 3, 7);
  const b0 = v128.shuffle<i32>(t4, t5, 0, 4, 1, 5);
  const b1 = v128.shuffle<i32>(t6, t7, 0, 4, 1, 5);
  const b2 = v128.shuffle<i32>(t4, t5, 2, 6, 3, 7);
  const b3 = v128.shuffle<i32>(t6, t7, 2, 6, 3, 7);
  const p0 = v128.shuffle<i64>(a0, a1, 0, 2);
  const p1 = v128.shuffle<i64>(a0, a1, 1, 3);
  const p2 = v128.shuffle<i64>(a2, a3, 0, 2);
  const p3 = v128.shuffle<i64>(a2, a3, 1, 3);
  const p4 = v128.shuffle<i64>(b0, b1, 0, 2);
  const p5 = v128.shuffle<i64>(b0, b1, 1, 3);
  const p6 = v128.shuffle<i64>(b2, b3, 0, 2);
  const p7 = v128.shuffle<i64>(b2, b3, 1, 3);
  const middle = i32x4.splat((128 << 20) + (1 << 19));
  let last = out + (points - 1) * stride;
  for (let first = out; first <= last; first += stride, last -= stride, basis += 16) {
    const a02 = v128.load32_splat(basis);
    const a46 = v128.load32_splat(basis, 4);
    const a13 = v128.load32_splat(basis, 8);
    const a57 = v128.load32_splat(basis, 12);
    const evenLow = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(p0, a02), middle), i32x4.dot_i16x8_s(p1, a46));
    const oddLow = i32x4.add(i32x4.dot_i16x8_s(p2, a13), i32x4.dot_i16x8_s(p3, a57));
    const evenHigh = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(p4, a02), middle), i32x4.dot_i16x8_s(p5, a46));
    const oddHigh = i32x4.add(i32x4.dot_i16x8_s(p6, a13), i32x4.dot_i16x8_s(p7, a57));
    const lower = i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.sub(evenLow, oddLow), 20),
      i32x4.shr_s(i32x4.sub(evenHigh, oddHigh), 20),
    );
    const upper = i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.add(evenLow, oddLow), 20),
      i32x4.shr_s(i32x4.add(evenHigh, oddHigh), 20),
    );
    const samples = i8x16.narrow_i16x8_u(upper, lower);
    v128.store64_lane(last, samples, 1);
    v128.store64_lane(first, samples, 0);
  }
}

/** One block of two to four points. */
function small(block: usize, table: usize, basis: usize, points: u32, out: usize, stride: u32): void {
  gatherSmall(block, table);
  const p02 = v128.load(PAIRS);
  const p13 = v128.load(PAIRS, 16);
  const half = i32x4.splat(1 << 9);
  const a02 = v128.load32_splat(basis);
  const a13 = v128.load32_splat(basis, 8);
  const even = i32x4.add(i32x4.dot_i16x8_s(p02, a02), half);
  const odd = i32x4.dot_i16x8_s(p13, a13);
  const first = i32x4.shr_s(i32x4.add(even, odd), 10);
  const last = i32x4.shr_s(i32x4.sub(even, odd), 10);
  let inner = first;
  let innerLast = last;
  if (points > 2) {
    const b02 = v128.load32_splat(basis, 16);
    const b13 = v128.load32_splat(basis, 24);
    const innerEven = i32x4.add(i32x4.dot_i16x8_s(p02, b02), half);
    const innerOdd = i32x4.dot_i16x8_s(p13, b13);
    inner = i32x4.shr_s(i32x4.add(innerEven, innerOdd), 10);
    innerLast = i32x4.shr_s(i32x4.sub(innerEven, innerOdd), 10);
  }
  // Columns in order, their rows in pairs (0, 2), (1, 3).
  let left: v128;
  let right: v128;
  if (points == 4) {
    left = i16x8.narrow_i32x4_s(first, inner);
    right = i16x8.narrow_i32x4_s(innerLast, last);
  } else if (points == 3) {
    left = i16x8.narrow_i32x4_s(first, inner);
    right = i16x8.narrow_i32x4_s(last, last);
  } else {
    left = i16x8.narrow_i32x4_s(first, last);
    right = left;
  }
  const q02 = v128.shuffle<i32>(left, right, 0, 2, 4, 6);
  const q13 = v128.shuffle<i32>(left, right, 1, 3, 5, 7);
  const middle = i32x4.splat((128 << 20) + (1 << 19));
  let bottom = out + (points - 1) * stride;
  for (let top = out; top <= bottom; top += stride, bottom -= stride, basis += 16) {
    const rowEven = i32x4.add(i32x4.dot_i16x8_s(q02, v128.load32_splat(basis)), middle);
    const rowOdd = i32x4.dot_i16x8_s(q13, v128.load32_splat(basis, 8));
    const both = i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.add(rowEven, rowOdd), 20),
      i32x4.shr_s(i32x4.sub(rowEven, rowOdd), 20),
    );
    const samples = i8x16.narrow_i16x8_u(both, both);
    v128.store32_lane(bottom, samples, 1);
    v128.store32_lane(top, samples, 0);
  }
}
