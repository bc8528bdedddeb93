/** Half-precision numbers, IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction. */

const BIAS = 15;
const FRACTION = 1024;
/** Halfway between the largest finite number and the one that would follow it. */
const INFINITE = 65520;

/** The number that bits stand for. */
export function fromHalf(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits % FRACTION];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (FRACTION + fraction) * 2 ** (exponent - BIAS - 10));
}

/** The bits of the nearest half-precision number, of two the even one. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= INFINITE) return sign | 0x7c00;
  let exponent = 1 - BIAS;
  while (size >= 2 ** (exponent + 1)) exponent++;
  const steps = size / 2 ** (exponent - 10);
  const down = Math.floor(steps);
  const rest = steps - down;
  const rounded = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  return sign | ((exponent + BIAS) * FRACTION + rounded - FRACTION);
}
