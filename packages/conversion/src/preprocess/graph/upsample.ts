/**
 * Chroma upsampling as nodes: ../reference/upsample.ts. If one axis or both are doubled it is libjpeg's triangle, else
 * samples are repeated.
 */
import type { Arithmetic } from "./arithmetic.js";
import type { Axes, Axis, Window } from "./geometry.js";

/** Added to sixteenths before they are rounded to the nearest number, this makes it the next lower one. */
const CUT_OFF = 1 / 32 - 1 / 2;

/**
 * A component's pixels from its samples, both bytes `[1, across · down]` of the window.
 * @param perUnit Samples of a unit, int64 `[2]`, in the file's directions.
 */
export function upsampled(
  m: Arithmetic,
  samples: string,
  perUnit: string,
  { unit, largest, size }: Window,
  [down, across]: Axes,
): string {
  const { int, real, g } = m;
  // A unit has 8 · largest pixels at full size, and `perUnit` samples.
  const length = int.ceilDiv(int.mul(size, perUnit), int.mul(largest, 8));
  const isDoubled = int.equal(unit, int.mul(perUnit, 2));
  const isWhole = int.equal(unit, perUnit);
  const isWide = int.less(2, m.at(length, 1));
  const isBoth = m.all(m.at(isDoubled, 0), m.at(isDoubled, 1), isWide);
  const isAcross = m.all(m.at(isWhole, 0), m.at(isDoubled, 1), isWide);
  const isDown = m.all(m.at(isDoubled, 0), m.at(isWhole, 1));
  const [isFancyDown, isFancyAcross] = [m.any(isBoth, isDown), m.any(isBoth, isAcross)];

  const share = m.list(real.where(isFancyDown, 1 / 4, 0), real.where(isFancyAcross, 1 / 4, 0));
  // What libjpeg adds before it rounds down.
  const even = m.list(
    real.where(isDown, 1 / 4, 0),
    real.where(isBoth, 8 / 16, real.where(isAcross, 1 / 4, 0)),
  );
  const odd = m.list(
    real.where(isDown, 2 / 4, 0),
    real.where(isBoth, 7 / 16, real.where(isAcross, 2 / 4, 0)),
  );
  const along = (plane: string, axis: Axis, shift: number) => {
    const of = (value: string) => m.gather(value, axis.index, 0);
    const last = int.sub(of(length), 1);
    return upsampledAxis(m, plane, axis, {
      ...{ perUnit: of(perUnit), last, share: of(share) },
      ...{ even: real.add(of(even), shift), odd: real.add(of(odd), shift) },
    });
  };
  const turn = (plane: string) => g.node("Transpose", [plane], { perm: [1, 0] });
  const columns = int.mul(m.gather(perUnit, across.index, 0), across.units);
  const wide = turn(along(m.shape(m.toReal(samples), columns, -1), across, 0));
  return m.shape(m.toBytes(turn(along(wide, down, CUT_OFF))), 1, -1);
}

interface Upsampling {
  /** Samples of a unit. */
  perUnit: string;
  /** The last sample. */
  last: string;
  /** The weight of the nearer neighbour. */
  share: string;
  /** What is added to even and to odd pixels. */
  even: string;
  odd: string;
}

/** Upsamples the first axis. One matrix is for all units: it takes their samples, one before and one after. */
function upsampledAxis(
  m: Arithmetic,
  plane: string,
  { unit, units, firstUnit }: Axis,
  { perUnit, last, share, even, odd }: Upsampling,
): string {
  const { int, real, g } = m;
  const inner = m.range(int.add(perUnit, 2));
  const place = int.sub(int.add(int.mul(m.range(units), perUnit), m.shape(inner, -1, 1)), 1);
  const held = int.min(int.sub(last, int.mul(firstUnit, perUnit)), int.sub(int.mul(units, perUnit), 1));
  const sample = int.max(int.min(place, held), 0);
  const index = int.add(int.mul(int.mod(sample, perUnit), units), int.div(sample, perUnit));

  const pixel = m.shape(m.range(unit), -1, 1);
  const isOdd = int.equal(int.mod(pixel, 2), 1);
  const own = int.add(int.div(int.mul(pixel, perUnit), unit), 1);
  const other = int.add(own, int.where(isOdd, 1, -1));
  const weights = real.where(
    int.equal(inner, own),
    real.sub(1, share),
    real.where(int.equal(inner, other), share, 0),
  );
  const rows = m.shape(m.gather(plane, index, 0), int.add(perUnit, 2), -1);
  const product = g.node("Gemm", [weights, rows, real.where(isOdd, odd, even)]);
  return m.shape(product, int.mul(unit, units), -1);
}
