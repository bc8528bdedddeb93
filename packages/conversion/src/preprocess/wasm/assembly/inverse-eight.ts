/**
 * The inverse transform of 8 x 8 points, bit for bit as in libjpeg-turbo's SIMD (jidctint.c, jidctint-sse2.asm; Loeffler,
 * Ligtenberg and Moschytz, ICASSP 1989). That holds for a damaged file's wild numbers too, which overflow 16 bits. Constants
 * are in Q13. The first pass goes down eight columns side by side, to Q2; the second, transposed, along the rows.
 */
import { PAIRS } from "./layout";

/** Two i16 side by side, four times. */
export function pair(first: i32, second: i32): v128 {
  return i32x4.splat((second << 16) | (first & 0xffff));
}

function low(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

function high(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Eight transforms of eight points side by side, PAIRS → PAIRS. Sums in Q13, plus `rounding`, lose 11 bits. */
function transform(rounding: i32): void {
  const half = i32x4.splat(rounding);
  const in0 = v128.load(PAIRS);
  const in1 = v128.load(PAIRS, 16);
  const in2 = v128.load(PAIRS, 32);
  const in3 = v128.load(PAIRS, 48);
  const in4 = v128.load(PAIRS, 64);
  const in5 = v128.load(PAIRS, 80);
  const in6 = v128.load(PAIRS, 96);
  const in7 = v128.load(PAIRS, 112);

  // Even frequencies.
  const zero = i16x8.splat(0);
  const sum = i16x8.add(in0, in4);
  const difference = i16x8.sub(in0, in4);
  const low26 = low(in2, in6);
  const high26 = high(in2, in6);
  const turn2 = pair(4433, -10704);
  const turn3 = pair(10703, 4433);
  const sumLow = i32x4.add(i32x4.shr_s(low(zero, sum), 3), half);
  const sumHigh = i32x4.add(i32x4.shr_s(high(zero, sum), 3), half);
  const differenceLow = i32x4.add(i32x4.shr_s(low(zero, difference), 3), half);
  const differenceHigh = i32x4.add(i32x4.shr_s(high(zero, difference), 3), half);
  const even2Low = i32x4.dot_i16x8_s(low26, turn2);
  const even2High = i32x4.dot_i16x8_s(high26, turn2);
  const even3Low = i32x4.dot_i16x8_s(low26, turn3);
  const even3High = i32x4.dot_i16x8_s(high26, turn3);

  // Odd frequencies.
  const z3 = i16x8.add(in7, in3);
  const z4 = i16x8.add(in5, in1);
  const lowZ = low(z3, z4);
  const highZ = high(z3, z4);
  const turnZ3 = pair(-6436, 9633);
  const turnZ4 = pair(9633, 6437);
  const z3Low = i32x4.dot_i16x8_s(lowZ, turnZ3);
  const z3High = i32x4.dot_i16x8_s(highZ, turnZ3);
  const z4Low = i32x4.dot_i16x8_s(lowZ, turnZ4);
  const z4High = i32x4.dot_i16x8_s(highZ, turnZ4);
  const low71 = low(in7, in1);
  const high71 = high(in7, in1);
  const low53 = low(in5, in3);
  const high53 = high(in5, in3);

  store2(
    0,
    i32x4.add(sumLow, even3Low),
    i32x4.add(sumHigh, even3High),
    i32x4.add(i32x4.dot_i16x8_s(low71, pair(-7373, 4926)), z4Low),
    i32x4.add(i32x4.dot_i16x8_s(high71, pair(-7373, 4926)), z4High),
  );
  store2(
    48,
    i32x4.sub(sumLow, even3Low),
    i32x4.sub(sumHigh, even3High),
    i32x4.add(i32x4.dot_i16x8_s(low71, pair(-4927, -7373)), z3Low),
    i32x4.add(i32x4.dot_i16x8_s(high71, pair(-4927, -7373)), z3High),
  );
  store2(
    16,
    i32x4.add(differenceLow, even2Low),
    i32x4.add(differenceHigh, even2High),
    i32x4.add(i32x4.dot_i16x8_s(low53, pair(-20995, 4177)), z3Low),
    i32x4.add(i32x4.dot_i16x8_s(high53, pair(-20995, 4177)), z3High),
  );
  store2(
    32,
    i32x4.sub(differenceLow, even2Low),
    i32x4.sub(differenceHigh, even2High),
    i32x4.add(i32x4.dot_i16x8_s(low53, pair(-4176, -20995)), z4Low),
    i32x4.add(i32x4.dot_i16x8_s(high53, pair(-4176, -20995)), z4High),
  );
}

/** Even and odd sums to outputs number `at / 16`, and 7 less that. */
function store2(at: usize, evenLow: v128, evenHigh: v128, oddLow: v128, oddHigh: v128): void {
  v128.store(
    PAIRS + at,
    i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.add(evenLow, oddLow), 11),
      i32x4.shr_s(i32x4.add(evenHigh, oddHigh), 11),
    ),
  );
  v128.store(
    PAIRS + 112 - at,
    i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.sub(evenLow, oddLow), 11),
      i32x4.shr_s(i32x4.sub(evenHigh, oddHigh), 11),
    ),
  );
}

/** Makes samples of what `gatherRows` (./generated/gather.ts) stored. `isOneRow`: rows 1 to 7 are 0. */
export function transformRows(isOneRow: bool, out: usize, stride: u32): void {
  if (isOneRow) {
    // Every row is the first in Q2; transposed, every column one of its numbers.
    const row = i16x8.shl(v128.load(PAIRS), 2);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 1, 1, 1, 1, 1, 1, 1, 1), 16);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 2, 2, 2, 2, 2, 2, 2, 2), 32);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 3, 3, 3, 3, 3, 3, 3, 3), 48);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 4, 4, 4, 4, 4, 4, 4, 4), 64);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 5, 5, 5, 5, 5, 5, 5, 5), 80);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 6, 6, 6, 6, 6, 6, 6, 6), 96);
    v128.store(PAIRS, v128.shuffle<i16>(row, row, 7, 7, 7, 7, 7, 7, 7, 7), 112);
  } else {
    transform(1 << 10);
    transpose();
  }
  // The result loses 18 bits: 11 here, and the other 7 in samples, which clamps the same numbers.
  transform(1 << 17);
  samples(out, stride);
}

/** 8 x 8 numbers at PAIRS. */
function transpose(): void {
  const v0 = v128.load(PAIRS);
  const v1 = v128.load(PAIRS, 16);
  const v2 = v128.load(PAIRS, 32);
  const v3 = v128.load(PAIRS, 48);
  const v4 = v128.load(PAIRS, 64);
  const v5 = v128.load(PAIRS, 80);
  const v6 = v128.load(PAIRS, 96);
  const v7 = v128.load(PAIRS, 112);
  const a0 = low(v0, v1);
  const a1 = high(v0, v1);
  const a2 = low(v2, v3);
  const a3 = high(v2, v3);
  const a4 = low(v4, v5);
  const a5 = high(v4, v5);
  const a6 = low(v6, v7);
  const a7 = high(v6, v7);
  const b0 = v128.shuffle<i32>(a0, a2, 0, 4, 1, 5);
  const b1 = v128.shuffle<i32>(a0, a2, 2, 6, 3, 7);
  const b2 = v128.shuffle<i32>(a1, a3, 0, 4, 1, 5);
  const b3 = v128.shuffle<i32>(a1, a3, 2, 6, 3, 7);
  const b4 = v128.shuffle<i32>(a4, a6, 0, 4, 1, 5);
  const b5 = v128.shuffle<i32>(a4, a6, 2, 6, 3, 7);
  const b6 = v128.shuffle<i32>(a5, a7, 0, 4, 1, 5);
  const b7 = v128.shuffle<i32>(a5, a7, 2, 6, 3, 7);
  v128.store(PAIRS, v128.shuffle<i64>(b0, b4, 0, 2), 0);
  v128.store(PAIRS, v128.shuffle<i64>(b0, b4, 1, 3), 16);
  v128.store(PAIRS, v128.shuffle<i64>(b1, b5, 0, 2), 32);
  v128.store(PAIRS, v128.shuffle<i64>(b1, b5, 1, 3), 48);
  v128.store(PAIRS, v128.shuffle<i64>(b2, b6, 0, 2), 64);
  v128.store(PAIRS, v128.shuffle<i64>(b2, b6, 1, 3), 80);
  v128.store(PAIRS, v128.shuffle<i64>(b3, b7, 0, 2), 96);
  v128.store(PAIRS, v128.shuffle<i64>(b3, b7, 1, 3), 112);
}

function bytes(a: v128, b: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.shr_s(a, 7), i16x8.shr_s(b, 7));
}

/** Columns of numbers at PAIRS to rows of bytes, 128 more. */
function samples(out: usize, stride: u32): void {
  const v04 = bytes(v128.load(PAIRS), v128.load(PAIRS, 64));
  const v15 = bytes(v128.load(PAIRS, 16), v128.load(PAIRS, 80));
  const v26 = bytes(v128.load(PAIRS, 32), v128.load(PAIRS, 96));
  const v37 = bytes(v128.load(PAIRS, 48), v128.load(PAIRS, 112));
  const v01 = v128.shuffle<i8>(v04, v15, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const v45 = v128.shuffle<i8>(v04, v15, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const v23 = v128.shuffle<i8>(v26, v37, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const v67 = v128.shuffle<i8>(v26, v37, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const middle = i8x16.splat(-128);
  const left0 = v128.xor(low(v01, v23), middle);
  const left4 = v128.xor(high(v01, v23), middle);
  const right0 = v128.xor(low(v45, v67), middle);
  const right4 = v128.xor(high(v45, v67), middle);
  store2Rows(v128.shuffle<i32>(left0, right0, 0, 4, 1, 5), out, stride);
  store2Rows(v128.shuffle<i32>(left0, right0, 2, 6, 3, 7), out + 2 * stride, stride);
  store2Rows(v128.shuffle<i32>(left4, right4, 0, 4, 1, 5), out + 4 * stride, stride);
  store2Rows(v128.shuffle<i32>(left4, right4, 2, 6, 3, 7), out + 6 * stride, stride);
}

function store2Rows(rows: v128, out: usize, stride: u32): void {
  v128.store64_lane(out, rows, 0);
  v128.store64_lane(out + stride, rows, 1);
}
