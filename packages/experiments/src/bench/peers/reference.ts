/** The results of an independent implementation (PyTorch, float32), from the repository's test/reference. */
import { readFile } from "node:fs/promises";
import { JpegDomainError } from "@jpeg-domain/coefficients";

const FOLDER = new URL("../../../../../test/reference/", import.meta.url);

export interface Reference {
  /** Correct predictions on MNIST's 10,000 test images. */
  correct_of_10000: Record<string, number>;
  /** Keyed by the number of spatial frequencies, n + 1. */
  relu_rmse_asm_apx: Record<number, [asm: number, apx: number]>;
}

export async function readReference(): Promise<Reference> {
  return JSON.parse((await readReferenceFile("reference.json")).toString()) as Reference;
}

/** Logits `[256, 10]` of the first 256 test images. */
export async function readReferenceLogits(name: string): Promise<Float32Array> {
  const bytes = await readReferenceFile(`${name}_logits.npy`);
  const header = 10 + bytes.readUInt16LE(8);
  return new Float32Array(new Uint8Array(bytes.subarray(header)).buffer);
}

export async function readReferenceFile(name: string): Promise<Buffer> {
  return readFile(new URL(name, FOLDER)).catch(() => {
    throw new JpegDomainError(`test/reference/${name} is missing: run this in a clone of the repository`);
  });
}
