import { type LabelledImages, loadSplit } from "../src/data/mnist.js";
import { encodeJpeg } from "../src/transform/encode.js";

/** How the notebook's network takes its images. */
export const NOTEBOOK = {
  rescale: 1 / 255,
  mean: [0.1307],
  std: [0.3081],
  channels: "grayscale" as const,
};

/** MNIST's test images as JPEG files of 32x32, the digit in the middle. */
export async function mnistJpegs(count: number, quality: number) {
  const set = await loadSplit(undefined, "test");
  const files = Array.from({ length: count }, (_, i) =>
    encodeJpeg({ width: 32, height: 32, colorSpace: "grayscale", planes: [digit(set, i)] }, { quality }),
  );
  return { set, files };
}

function digit({ images, rows, columns }: LabelledImages, i: number): Uint8Array {
  const plane = new Uint8Array(32 * 32);
  for (let y = 0; y < rows; y++) {
    const from = (i * rows + y) * columns;
    plane.set(images.subarray(from, from + columns), (y + 2) * 32 + 2);
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
