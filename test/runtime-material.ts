import { encodeJpeg } from "../packages/coefficients/src/transform/encode.js";
import { type LabelledImages, loadSplit } from "../packages/experiments/src/data/mnist.js";

/** The preprocessing of 32x32 images for the notebook's network. */
export const NOTEBOOK = {
  rescale: 1 / 255,
  mean: [0.1307],
  std: [0.3081],
  channels: "grayscale" as const,
};

/** MNIST's test images as JPEG files of 32x32, with the digit in the centre; or with another border around the 28x28. */
export async function mnistJpegs(count: number, quality: number, border = 2) {
  const set = await loadSplit(undefined, "test");
  const side = 28 + 2 * border;
  const files = Array.from({ length: count }, (_, i) =>
    encodeJpeg(
      { width: side, height: side, colorSpace: "grayscale", planes: [digit(set, i, border)] },
      { quality },
    ),
  );
  return { set, files };
}

function digit({ images, rows, columns }: LabelledImages, i: number, border: number): Uint8Array {
  const side = rows + 2 * border;
  const plane = new Uint8Array(side * side);
  for (let y = 0; y < rows; y++) {
    const from = (i * rows + y) * columns;
    plane.set(images.subarray(from, from + columns), (y + border) * side + border);
  }
  return plane;
}

/** A colour picture of a smooth pattern. */
export function picture(
  width: number,
  height: number,
  subsampling: "4:4:4" | "4:2:0" | "4:2:2" = "4:2:0",
  progressive = false,
) {
  const plane = (shift: number) =>
    Uint8Array.from({ length: width * height }, (_, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      return 128 + 100 * Math.sin(x / 9 + shift) * Math.cos(y / 13 - shift);
    });
  const image = { width, height, colorSpace: "rgb" as const, planes: [plane(0), plane(1), plane(2)] };
  return encodeJpeg(image, { quality: 90, subsampling, progressive });
}
