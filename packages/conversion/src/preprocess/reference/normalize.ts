/** The crop → a plane of the network: what is padded around it, then `(pixel · rescale - mean) / std`. */
import type { Geometry, Part } from "../geometry.js";
import type { Preprocess } from "../preprocess.js";

/** Puts levels around the crop: black up to the frame, `value` around that. */
export function surrounded(
  plane: Float64Array,
  { crop, frame, at, planes }: Geometry,
  value = 0,
): Float64Array {
  return Float64Array.from({ length: planes.height * planes.width }, (_, index) => {
    const [y, x] = [Math.floor(index / planes.width), index % planes.width];
    const lies = ({ top, left, height, width }: Part) =>
      y >= top && y < top + height && x >= left && x < left + width;
    if (lies({ ...crop, ...at })) return plane[(y - at.top) * crop.width + x - at.left] as number;
    return lies(frame) ? 0 : value;
  });
}

export const normalized = (
  plane: Float64Array,
  c: number,
  { rescale, mean, std }: Preprocess,
): Float64Array => plane.map((value) => (value * rescale - (mean[c] as number)) / (std[c] as number));
