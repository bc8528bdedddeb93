/** The inputs of a graph that takes JPEG files (./graph/planes.ts), from a file's coefficients. */
import { type JpegComponent, type JpegImage, UnsupportedJpegError } from "@jpeg-domain/coefficients";
import { smoothed } from "@jpeg-domain/coefficients/internal";
import { needed } from "./job.js";
import type { Preprocess } from "./preprocess.js";

/** The class `Tensor` of onnxruntime-node or onnxruntime-web. */
export interface TensorClass<T> {
  new (type: "int16", data: Int16Array, dims: readonly number[]): T;
  new (type: "int32", data: Int32Array, dims: readonly number[]): T;
  new (type: "int64", data: BigInt64Array, dims: readonly number[]): T;
}

/**
 * The feeds of one file for a model that was converted with `input: "jpeg"`.
 *
 * ```ts
 * import { InferenceSession, Tensor } from "onnxruntime-node"; // or onnxruntime-web
 * await session.run(feedsOf(readCoefficients(bytes), preprocess, Tensor));
 * ```
 *
 * @param image What `readCoefficients` made of the file. Fewer than 64 coefficients of each block will do if the
 *   preprocessing shrinks the image enough.
 * @param preprocess Of the model. For a network that sees gray, the colours of the file are left out.
 * @throws {UnsupportedJpegError} if the file's colours are not grayscale, YCbCr or RGB
 */
export function feedsOf<T>(
  image: JpegImage,
  preprocess: Pick<Preprocess, "channels">,
  Tensor: TensorClass<T>,
): Record<string, T> {
  const { components, colorSpace } = needed(smoothed(image), preprocess);
  if (!["grayscale", "ycbcr", "rgb"].includes(colorSpace))
    throw new UnsupportedJpegError(
      `the file's colours are ${colorSpace === "unknown" ? "of no known space" : colorSpace.toUpperCase()}; ` +
        "expected grayscale, YCbCr or RGB, which a graph of input jpeg takes (loadModel runs the same model on CMYK and YCCK files)",
      0,
    );
  const kept = image.coefficientsPerBlock ?? 64;
  const first = components[0] as JpegComponent;
  const gray: JpegComponent = {
    ...first,
    ...{ blocksHigh: 1, blocksWide: 1 },
    coefficients: new Int16Array(kept),
    quantization: new Uint16Array(64).fill(1),
  };
  const three = [first, components[1] ?? gray, components[2] ?? gray];
  const ints = (values: number[], dims: number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  const [y, cb, cr] = three.map(
    ({ coefficients, blocksHigh, blocksWide }) =>
      new Tensor("int16", coefficients, [blocksHigh, blocksWide, kept]),
  ) as [T, T, T];
  const tables = Int32Array.from(three.flatMap(({ quantization }) => Array.from(quantization)));
  const factors = three.flatMap((component) => [component.verticalSampling, component.horizontalSampling]);
  return {
    ...{ y, cb, cr },
    quantization: new Tensor("int32", tables, [3, 64]),
    sampling: ints(factors, [3, 2]),
    size: ints([image.height, image.width], [2]),
    orientation: ints([image.orientation ?? 1], [1]),
    rgb: ints([colorSpace === "rgb" ? 1 : 0], [1]),
  };
}
