import { MAX_SIDE } from "../preprocess/fields.js";
import { NO_PAD, type Preprocess, padded, toldResize } from "../preprocess/preprocess.js";
import { ConvertError } from "./errors.js";
import { isSized, type Planes, type Size } from "./layers.js";

/**
 * The size of a network's planes: its own if it has one, else the size that the preprocessing gives.
 * @throws {ConvertError} if there is none, or if the preprocessing gives it for no photograph at all
 */
export function planeSize(network: Planes, preprocess: Preprocess): Size {
  checkResize(preprocess, network);
  const { crop, resize, pad } = preprocess;
  const middle = crop ?? (resize && "height" in resize ? resize : undefined);
  const area = middle && padded(middle, pad);
  const side = (name: "height" | "width"): number => {
    const own = network[name];
    const made = area?.[name] ?? own;
    if (typeof made !== "number")
      throw new ConvertError(
        `the model takes images of any ${name}, and the preprocessing gives no size; expected a crop or a size of height and width`,
      );
    if (typeof own === "number" && made !== own)
      throw new ConvertError(`the preprocessing gives images of ${name} ${made}, the network takes ${own}`);
    if (made > MAX_SIDE)
      throw new ConvertError(`the network takes images of ${name} ${made}, expected at most ${MAX_SIDE}`);
    return made;
  };
  const size = { channels: network.channels, height: side("height"), width: side("width") };
  if (size.channels * size.height * size.width > MOST_PIXELS)
    throw new ConvertError(
      `the preprocessing gives images of ${size.height}x${size.width}; expected ${MOST_PIXELS} pixels of all channels at most`,
    );
  return size;
}

/** A gigabyte of planes. */
const MOST_PIXELS = 2 ** 28;

/** Refuses a resize that gives the network's size for no image. */
function checkResize({ resize, crop, pad = NO_PAD }: Preprocess, network: Planes): void {
  if (crop !== undefined || !isSized(network)) return;
  const [height, width] = [network.height - pad.top - pad.bottom, network.width - pad.left - pad.right];
  if (height < 1 || width < 1)
    throw new ConvertError(
      `the preprocessing pads ${pad.top + pad.bottom} rows and ${pad.left + pad.right} columns, ` +
        `the network takes ${network.height}x${network.width}`,
    );
  if (resize !== undefined && "shortestEdge" in resize && Math.min(height, width) !== resize.shortestEdge)
    throw new ConvertError(
      `the preprocessing is ${toldResize(resize)} and no crop, the network takes ${height}x${width}; expected a crop`,
    );
}
