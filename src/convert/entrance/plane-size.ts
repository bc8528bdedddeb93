import { ConvertError } from "../errors.js";
import { isSized, type Planes, type Size } from "../layers.js";
import { type Preprocess, toldResize } from "./preprocess.js";

/**
 * The size of a network's planes: its own where it has one, else what the preprocessing comes out at.
 * @throws {ConvertError} where there is none, or where no photograph at all would come out at it.
 */
export function planeSize(network: Planes, preprocess: Preprocess): Size {
  checkCrop(preprocess, network);
  const { crop, resize } = preprocess;
  const area = crop ?? (resize && "height" in resize ? resize : undefined);
  const side = (name: "height" | "width"): number => {
    const own = network[name];
    const made = area?.[name] ?? own;
    if (typeof made !== "number")
      throw new ConvertError(
        `the model takes images of any ${name}, and the preprocessing gives no size; expected a crop or a size of height and width`,
      );
    if (typeof own === "number" && made !== own)
      throw new ConvertError(`the preprocessing gives images of ${name} ${made}, the network takes ${own}`);
    return made;
  };
  return { channels: network.channels, height: side("height"), width: side("width") };
}

/**
 * Refuses a part of the resized image that is larger than any resized image: it accepts no file.
 * @param network What takes the part: of its own size, where the preprocessing has no crop.
 */
function checkCrop({ resize, crop }: Preprocess, network: Planes): void {
  if (resize === undefined) return;
  const isFree = "shortestEdge" in resize;
  const part = crop ?? (isFree && isSized(network) ? network : undefined);
  if (part === undefined) return;
  const { height, width } = part;
  const isLarger = isFree
    ? Math.min(height, width) > resize.shortestEdge
    : height > resize.height || width > resize.width;
  if (isLarger)
    throw new ConvertError(
      `the preprocessing is ${toldResize(resize)}, then the middle ${height}x${width}, which is larger`,
    );
}
