import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lehmer } from "./reference/lehmer.js";

/** Writes IDX files of random digits with a bright bar at the position of the label, without the code under test. */
export async function writeImageSet(directory: string, train: number, test: number): Promise<string> {
  await mkdir(directory, { recursive: true });
  const random = lehmer(4);
  const file = (dims: number[], data: Uint8Array) => {
    const header = Buffer.alloc(4 + 4 * dims.length);
    header.set([0, 0, 8, dims.length]);
    for (const [i, length] of dims.entries()) header.writeUInt32BE(length, 4 + 4 * i);
    return Buffer.concat([header, data]);
  };
  for (const [prefix, count] of [
    ["train", train],
    ["t10k", test],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
    const images = Uint8Array.from({ length: count * 784 }, (_, at) => {
      const row = Math.floor((at % 784) / 28);
      return Math.floor(row >> 1 === labels[Math.floor(at / 784)] ? 255 : 100 * random());
    });
    await writeFile(join(directory, `${prefix}-images-idx3-ubyte`), file([count, 28, 28], images));
    await writeFile(join(directory, `${prefix}-labels-idx1-ubyte`), file([count], labels));
  }
  return directory;
}
