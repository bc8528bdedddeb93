/** EXIF orientations as nodes: ../orientation.ts. Pixels are upright from the first sample on. */
import { flips } from "../orientation.js";
import type { Arithmetic } from "./arithmetic.js";

/** Which axes of the file run backwards in the upright image: down, across for each orientation from 0. */
const BACKWARDS = Array.from({ length: 9 }, (_, orientation) => flips(orientation)).flatMap(
  ({ flipY, flipX }) => [Number(flipY), Number(flipX)],
);

/** int64 `[2]` each. */
export interface Turn {
  /** Of the upright image's down and across the file's axes, and of the file's the upright image's. */
  order: string;
  /** 1 for each of the file's axes that runs backwards. */
  backwards: string;
}

/** @param orientation int64 `[1]` */
export function turnOf(m: Arithmetic, orientation: string): Turn {
  const { int, g } = m;
  return {
    order: int.where(int.less(4, orientation), g.ints([1, 0]), g.ints([0, 1])),
    backwards: m.shape(m.gather(g.ints(BACKWARDS, [9, 2]), orientation, 0), 2),
  };
}
