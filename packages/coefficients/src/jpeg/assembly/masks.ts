/** A block's coefficients as 64 bits. biome cannot parse the decorators, and leaves this file out. */

/** Bit k is set where coefficient k is not zero. */
@inline
export function nonZero(block: u32): u64 {
  return ~(
    zeros(v128.load(block), v128.load(block, 16)) |
    (zeros(v128.load(block, 32), v128.load(block, 48)) << 16) |
    (zeros(v128.load(block, 64), v128.load(block, 80)) << 32) |
    (zeros(v128.load(block, 96), v128.load(block, 112)) << 48)
  );
}

/** Bit k is set where `|coefficient k| >= 2^shift`. */
@inline
export function atLeast(block: u32, shift: i32): u64 {
  return ~(
    zeros(shifted(block, shift), shifted(block + 16, shift)) |
    (zeros(shifted(block + 32, shift), shifted(block + 48, shift)) << 16) |
    (zeros(shifted(block + 64, shift), shifted(block + 80, shift)) << 32) |
    (zeros(shifted(block + 96, shift), shifted(block + 112, shift)) << 48)
  );
}

@inline
function shifted(from: u32, shift: i32): v128 {
  return i16x8.shr_u(i16x8.abs(v128.load(from)), shift);
}

/** Narrowing saturates, so what is not zero stays so. */
@inline
function zeros(first: v128, second: v128): u64 {
  return u64(i8x16.bitmask(i8x16.eq(i8x16.narrow_i16x8_s(first, second), i8x16.splat(0))));
}
