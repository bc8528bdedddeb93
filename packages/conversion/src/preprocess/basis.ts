/**
 * The basis of the inverse transform of N points from the first min(N, 8) frequencies:
 *
 *   a(i, α) = √(1/8) · (α = 0 ? 1 : √2) · cos((2i + 1) α π / 2N)
 */
const basis = (points: number): Float64Array[] =>
  Array.from({ length: points }, (_, i) =>
    Float64Array.from(
      { length: Math.min(points, 8) },
      (_, alpha) =>
        (alpha === 0 ? Math.SQRT1_2 / 2 : 0.5) * Math.cos(((2 * i + 1) * alpha * Math.PI) / (2 * points)),
    ),
  );

/** The most points of an inverse transform: scale 7/8 doubled. */
export const MOST_POINTS = 14;

/** `BASES[N][i][α]`, of 0 to {@link MOST_POINTS} points. */
export const BASES: readonly (readonly Float64Array[])[] = Array.from(
  { length: MOST_POINTS + 1 },
  (_, points) => basis(points),
);
