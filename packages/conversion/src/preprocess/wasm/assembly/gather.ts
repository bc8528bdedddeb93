/**
 * From zigzag order to what the inverse transform multiplies: coefficient times table, in pairs of columns.
 *
 *   PAIRS + 16 · (4 h + p): columns (0, 2), (4, 6), (1, 3), (5, 7) for p, of rows 0, 2, 4, 6 for h = 0, 1, 3, 5, 7 for h = 1
 *
 * each row giving two numbers side by side, as i32x4.dot_i16x8_s takes them. The swizzles follow from T.81, figure A.6:
 * lane by lane, where in eight coefficients the next one stands, -1 where it is not among them.
 */
import { PAIRS } from "./layout";

/** Eight coefficients, dequantised. As libjpeg-turbo in SIMD, 16 bits and no more. */
export function eight(block: usize, table: usize): v128 {
  return i16x8.mul(v128.load(block), v128.load(table));
}

/** Puts all 64 in place. Returns whether anything but the first differs from 0. */
export function gather(block: usize, table: usize): bool {
  const c0 = eight(block, table);
  const c1 = eight(block + 16, table + 16);
  const c2 = eight(block + 32, table + 32);
  const c3 = eight(block + 48, table + 48);
  const c4 = eight(block + 64, table + 64);
  const c5 = eight(block + 80, table + 80);
  const c6 = eight(block + 96, table + 96);
  const c7 = eight(block + 112, table + 112);
  const high = v128.or(v128.or(c4, c5), v128.or(c6, c7));
  const hasHigh = v128.any_true(high);
  if (!hasHigh) {
    const low = v128.or(v128.or(c1, c2), v128.or(c3, i16x8.replace_lane(c0, 0, 0)));
    if (!v128.any_true(low)) return false;
  }
  // Columns 0 and 2, even rows.
  let p0 = v128.or(
    v128.or(
      i8x16.swizzle(c0, i8x16(0, 1, 10, 11, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
      i8x16.swizzle(c1, i8x16(-1, -1, -1, -1, -1, -1, 8, 9, 4, 5, -1, -1, -1, -1, -1, -1)),
    ),
    i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 14, 15, 10, 11, -1, -1)),
  );
  // Columns 4 and 6, even rows.
  let p1 = v128.or(
    i8x16.swizzle(c1, i8x16(12, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    i8x16.swizzle(c3, i8x16(-1, -1, 6, 7, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 1 and 3, even rows.
  let p2 = v128.or(
    v128.or(
      i8x16.swizzle(c0, i8x16(2, 3, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
      i8x16.swizzle(c1, i8x16(-1, -1, -1, -1, 0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    ),
    i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, 2, 3, 6, 7, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 5 and 7, even rows.
  let p3 = v128.or(
    i8x16.swizzle(c1, i8x16(14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    i8x16.swizzle(c3, i8x16(-1, -1, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 0 and 2, odd rows.
  let p4 = v128.or(
    v128.or(
      i8x16.swizzle(c0, i8x16(4, 5, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
      i8x16.swizzle(c1, i8x16(-1, -1, -1, -1, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    ),
    i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, 4, 5, 8, 9, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 4 and 6, odd rows.
  let p5 = v128.or(
    i8x16.swizzle(c2, i8x16(0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
    i8x16.swizzle(c3, i8x16(-1, -1, 10, 11, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 1 and 3, odd rows.
  let p6 = v128.or(
    v128.or(
      v128.or(
        i8x16.swizzle(c0, i8x16(8, 9, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
        i8x16.swizzle(c1, i8x16(-1, -1, 10, 11, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
      ),
      i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, 12, 13, -1, -1, -1, -1, -1, -1)),
    ),
    i8x16.swizzle(c3, i8x16(-1, -1, -1, -1, -1, -1, 0, 1, -1, -1, -1, -1, -1, -1, -1, -1)),
  );
  // Columns 5 and 7, odd rows.
  let p7 = i8x16.swizzle(c3, i8x16(4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  if (hasHigh) {
    p0 = v128.or(
      p0,
      i8x16.swizzle(c4, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 10, 11)),
    );
    p1 = v128.or(
      p1,
      v128.or(
        v128.or(
          v128.or(
            i8x16.swizzle(c4, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, 14, 15, -1, -1, -1, -1, -1, -1)),
            i8x16.swizzle(c5, i8x16(-1, -1, -1, -1, -1, -1, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1)),
          ),
          i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 8, 9, 4, 5, -1, -1)),
        ),
        i8x16.swizzle(c7, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 6, 7)),
      ),
    );
    p2 = v128.or(
      p2,
      v128.or(
        i8x16.swizzle(c4, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, -1, -1)),
        i8x16.swizzle(c5, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 14, 15)),
      ),
    );
    p3 = v128.or(
      p3,
      v128.or(
        v128.or(
          i8x16.swizzle(c5, i8x16(-1, -1, -1, -1, -1, -1, 6, 7, 10, 11, -1, -1, -1, -1, -1, -1)),
          i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 12, 13, -1, -1, -1, -1)),
        ),
        i8x16.swizzle(c7, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 10, 11)),
      ),
    );
    p4 = v128.or(
      p4,
      v128.or(
        i8x16.swizzle(c4, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 3, 6, 7, -1, -1)),
        i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1)),
      ),
    );
    p5 = v128.or(
      p5,
      v128.or(
        v128.or(
          i8x16.swizzle(c5, i8x16(-1, -1, -1, -1, -1, -1, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1)),
          i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 14, 15, -1, -1, -1, -1)),
        ),
        i8x16.swizzle(c7, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 3, 12, 13)),
      ),
    );
    p6 = v128.or(
      p6,
      v128.or(
        i8x16.swizzle(c4, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 12, 13, 8, 9, -1, -1)),
        i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 3)),
      ),
    );
    p7 = v128.or(
      p7,
      v128.or(
        v128.or(
          i8x16.swizzle(c5, i8x16(-1, -1, 4, 5, 0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1)),
          i8x16.swizzle(c6, i8x16(-1, -1, -1, -1, -1, -1, 10, 11, 6, 7, -1, -1, -1, -1, -1, -1)),
        ),
        i8x16.swizzle(c7, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 8, 9, 4, 5, 14, 15)),
      ),
    );
  }
  v128.store(PAIRS, p0, 0);
  v128.store(PAIRS, p1, 16);
  v128.store(PAIRS, p2, 32);
  v128.store(PAIRS, p3, 48);
  v128.store(PAIRS, p4, 64);
  v128.store(PAIRS, p5, 80);
  v128.store(PAIRS, p6, 96);
  v128.store(PAIRS, p7, 112);
  return true;
}

/** For at most four points: columns (0, 2), then (1, 3), of rows 0, 2, 1, 3. */
export function gatherSmall(block: usize, table: usize): void {
  const c0 = eight(block, table);
  const c1 = eight(block + 16, table + 16);
  const c2 = eight(block + 32, table + 32);
  const c3 = eight(block + 48, table + 48);
  v128.store(
    PAIRS,
    v128.or(
      v128.or(
        i8x16.swizzle(c0, i8x16(0, 1, 10, 11, 6, 7, -1, -1, 4, 5, 14, 15, -1, -1, -1, -1)),
        i8x16.swizzle(c1, i8x16(-1, -1, -1, -1, -1, -1, 8, 9, -1, -1, -1, -1, 2, 3, -1, -1)),
      ),
      i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 4, 5)),
    ),
  );
  v128.store(
    PAIRS,
    v128.or(
      v128.or(
        v128.or(
          i8x16.swizzle(c0, i8x16(2, 3, 12, 13, -1, -1, -1, -1, 8, 9, -1, -1, -1, -1, -1, -1)),
          i8x16.swizzle(c1, i8x16(-1, -1, -1, -1, 0, 1, -1, -1, -1, -1, 10, 11, 6, 7, -1, -1)),
        ),
        i8x16.swizzle(c2, i8x16(-1, -1, -1, -1, -1, -1, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1)),
      ),
      i8x16.swizzle(c3, i8x16(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1)),
    ),
    16,
  );
}
