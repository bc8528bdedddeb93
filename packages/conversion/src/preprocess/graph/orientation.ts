/** EXIF orientations as nodes: ../orientation.ts. In the graph all samples and pixels are upright. */
import { flips } from "../orientation.js";
import type { Arithmetic } from "./arithmetic.js";

/** For each orientation from 0: 1 if the file's axis down, and across, runs backwards in the upright image. */
const BACKWARDS = Array.from({ length: 9 }, (_, orientation) => flips(orientation)).flatMap(
  ({ flipY, flipX }) => [Number(flipY), Number(flipX)],
);

/** int64 `[2]` each. */
export interface Turn {
  /** For each axis of the upright image the file's, and the other way round. */
  order: string;
  /** 1 for an axis of the file that runs backwards, else 0. */
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
