/** How much of a large progressive file is read for a network that needs 1/8 of its size. */
import { openAsBlob } from "node:fs";
import { type JpegBytes, readCoefficients, readNeeded, writeCoefficients } from "@jpeg-domain/coefficients";
import { Preprocessor, TORCHVISION } from "@jpeg-domain/conversion";
import { MOST_BYTES, withRegularFile } from "@jpeg-domain/node/internal";

export interface BytesRead {
  all: number;
  /** Up to the end of the last scan that is needed: nobody can read less. */
  needed: number;
  byPath: number;
  byBlob: number;
}

/** Counts what is read. The planes must be those of the whole file. */
export async function bytesRead(path: string, bytes: Uint8Array): Promise<BytesRead> {
  const size = { channels: 3, height: 224, width: 224 };
  using preprocessor = new Preprocessor(TORCHVISION, size);
  const planesOf = (file: JpegBytes) => {
    const out = new Float32Array(3 * 224 * 224);
    preprocessor.fill(file, out, { tolerant: true });
    return Buffer.from(out.buffer);
  };
  const expected = planesOf(bytes);
  const check = (planes: Buffer) => {
    if (!planes.equals(expected)) throw new Error(`${path}: other planes than of the whole file`);
  };
  let byPath = 0;
  withRegularFile(path, MOST_BYTES.jpeg, (readOn) => {
    const counting = (length: number) => {
      const beginning = readOn(length);
      byPath = beginning.bytes.length;
      return beginning;
    };
    check(planesOf(counting));
  });
  const options = { tolerant: true, coefficients: preprocessor.coefficientsFor.bind(preprocessor) };
  const beginning = await readNeeded(await openAsBlob(path), options);
  check(planesOf(beginning));
  const needed = await readNeeded(singleBytes(beginning), options);
  return { all: bytes.length, needed: needed.length, byPath, byBlob: beginning.length };
}

async function* singleBytes(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
}

/** The photograph with all of DC in its first scan, as mozjpeg and jpegli write it. libjpeg's own script ends DC later. */
export function dcFirst(bytes: Uint8Array): Uint8Array {
  const image = readCoefficients(bytes);
  const all = image.components.map((_, index) => index);
  const scan = (components: number[], from: number, to: number, high: number, low: number) => ({
    ...{ components, spectralStart: from, spectralEnd: to },
    ...{ approximationHigh: high, approximationLow: low },
  });
  const script = [
    scan(all, 0, 0, 0, 0),
    ...all.flatMap((component) => [scan([component], 1, 63, 0, 1), scan([component], 1, 63, 1, 0)]),
  ];
  return writeCoefficients(image, { progressive: true, script });
}
