/**
 * Writes the AssemblyScript that dequantises a block and puts its coefficients, which come in zigzag order, where the
 * inverse transform takes them from. Each function is made of swizzles: lane by lane, where in eight coefficients the next
 * one stands, -1 if it is not among them.
 */

/** The place in a block, row by row, of each coefficient (T.81, figure A.6). */
const zigzag = Array.from({ length: 15 }, (_, diagonal) =>
  Array.from({ length: diagonal + 1 }, (_, i) =>
    diagonal % 2 === 0 ? [diagonal - i, i] : [i, diagonal - i],
  ),
)
  .flat()
  .flatMap(([row, column]) => (row < 8 && column < 8 ? [8 * row + column] : []));

const pairs = (rows, [a, b]) => rows.flatMap((row) => [8 * row + a, 8 * row + b]);

/** For each function, which places its eights hold. */
const LAYOUTS = [
  [
    "gatherPairs",
    "In pairs of columns (0, 2), (4, 6), (1, 3), (5, 7): of rows 0, 2, 4, 6, then of rows 1, 3, 5, 7.",
    [0, 1].flatMap((odd) =>
      [
        [0, 2],
        [4, 6],
        [1, 3],
        [5, 7],
      ].map((columns) =>
        pairs(
          [0, 2, 4, 6].map((row) => row + odd),
          columns,
        ),
      ),
    ),
  ],
  [
    "gatherRows",
    "Row by row.",
    Array.from({ length: 8 }, (_, row) => Array.from({ length: 8 }, (_, i) => 8 * row + i)),
  ],
  [
    "gatherSmall",
    "Those of at most four points: columns (0, 2), then (1, 3), of rows 0, 2, 1, 3.",
    [
      [0, 2],
      [1, 3],
    ].map((columns) => pairs([0, 2, 1, 3], columns)),
  ],
];

const or = (terms) => terms.reduce((sum, term) => `v128.or(${sum}, ${term})`);

/** The terms of one eight, from the eights `from` to `to` in zigzag order. */
function terms(places, from, to) {
  const eights = Array.from({ length: to - from }, (_, i) => from + i);
  return eights.flatMap((eight) => {
    const lanes = places.flatMap((place) => {
      const lane = zigzag.indexOf(place) - 8 * eight;
      return lane >= 0 && lane < 8 ? [2 * lane, 2 * lane + 1] : [-1, -1];
    });
    return lanes.every((lane) => lane < 0) ? [] : [`i8x16.swizzle(c${eight}, i8x16(${lanes.join(", ")}))`];
  });
}

function gather([name, what, eights]) {
  const isWhole = eights.length === 8;
  const loads = Array.from(
    { length: isWhole ? 8 : 4 },
    (_, i) => `const c${i} = i16x8.mul(v128.load(block, ${16 * i}), v128.load(table, ${16 * i}));`,
  );
  const all = eights.map((_, i) => `r${i}`);
  const check = `
  const hasHigh = v128.any_true(${or(["c4", "c5", "c6", "c7"])});
  if (!hasHigh && !v128.any_true(${or(["i16x8.replace_lane(c0, 0, 0)", "c1", "c2", "c3"])})) return 0;`;
  const high = eights.flatMap((places, i) => {
    const found = terms(places, 4, 8);
    return found.length > 0 ? [`r${i} = ${or([`r${i}`, ...found])};`] : [];
  });
  return `
/** ${what}${isWhole ? " Returns 0 if only the first is not 0 (then nothing is put), 1 if only the first eight are not 0, else 2." : ""} */
export function ${name}(block: usize, table: usize): ${isWhole ? "u32" : "void"} {
  ${loads.join("\n  ")}${isWhole ? check : ""}
  ${eights.map((places, i) => `let r${i} = ${or([...terms(places, 0, 4), ...(terms(places, 0, 4).length ? [] : ["i16x8.splat(0)"])])};`).join("\n  ")}
  ${isWhole ? `if (hasHigh) {\n    ${high.join("\n    ")}\n  }` : ""}
  ${all.map((value, i) => `v128.store(PAIRS, ${value}, ${16 * i});`).join("\n  ")}
  ${isWhole ? `return hasHigh || v128.any_true(${or(all.slice(1))}) ? 2 : 1;` : ""}
}
`;
}

/** Numbers have 16 bits and no more, as in libjpeg-turbo's SIMD. */
export const gatherSource = `import { PAIRS } from "../layout";\n${LAYOUTS.map(gather).join("")}`;
