/** ONNX Runtime's own outputs for given planes, which the runtime's outputs must equal. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readOnnx } from "../packages/conversion/src/onnx/file.js";
import type { PlaneSize, Preprocess } from "../packages/conversion/src/preprocess/preprocess.js";
import { fillPlanes } from "../packages/conversion/src/preprocess/preprocessor.js";

export interface Raw {
  data: (number | string)[];
  dims: number[];
  type: string;
}

/** The planes `[C, H, W]` of a file. */
export function planesOf(file: Uint8Array, preprocess: Preprocess, size: PlaneSize): Float32Array {
  const planes = new Float32Array(size.channels * size.height * size.width);
  fillPlanes(file, preprocess, size, planes);
  return planes;
}

/** Runs a model on tensors; whole numbers of 64 bits become numbers. */
export async function answers(
  model: Uint8Array,
  feeds: Record<string, Tensor>,
  fetches?: string[],
): Promise<Record<string, Raw>> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 4 });
  try {
    const made = await session.run(feeds, fetches ?? session.outputNames);
    return Object.fromEntries(
      Object.entries(made).map(([name, value]) => {
        const { data, dims, type } = value as Tensor;
        const list = Array.from(data as ArrayLike<number | bigint | string>, (each) =>
          typeof each === "bigint" ? Number(each) : each,
        );
        return [name, { data: list, dims: [...dims], type }];
      }),
    );
  } finally {
    await session.release();
  }
}

/** The same for one image's planes and a model whose only input is float32 planes `[N, C, H, W]`. */
export function answersTo(model: Uint8Array, planes: Float32Array, size: PlaneSize, fetches?: string[]) {
  const name = readOnnx(model).inputs[0]?.name as string;
  const { channels, height, width } = size;
  return answers(model, { [name]: new Tensor("float32", planes, [1, channels, height, width]) }, fetches);
}
