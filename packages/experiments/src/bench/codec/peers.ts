import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type JpegImage, readCoefficients } from "@jpeg-domain/coefficients";
import type { Material } from "./material.js";

/** Reads a file `calls` times, and returns the mean milliseconds. */
export type Peer = (file: Material, calls: number) => number | Promise<number>;

export const OURS = "ours";
export const REUSING = "ours, arrays reused";
export const DC_ONLY = "ours, DC only";
export const LIBJPEG = "libjpeg-turbo";
export const CROSS_IMAGE = "cross-image";
export const SHARP = "sharp";
export const JULUSIAN = "@julusian/jpeg-turbo";
export const JPEG_JS = "jpeg-js";

/** The peers that are installed; `say` gets a line for each one that is not. */
export async function peers(say: (line: string) => void): Promise<Map<string, Peer>> {
  const found = new Map<string, Peer>([
    [OURS, timed(({ bytes }) => readCoefficients(bytes))],
    [REUSING, timed(reusing())],
    [DC_ONLY, timed(({ bytes }) => readCoefficients(bytes, { coefficients: 1 }))],
  ]);
  const program = libjpeg(say);
  if (program !== undefined)
    found.set(LIBJPEG, ({ path }, calls) =>
      Number(execFileSync(program, [path, String(calls)], { encoding: "utf8" })),
    );
  const add = async (name: string, load: () => Promise<Peer>) => {
    try {
      found.set(name, await load());
    } catch (error) {
      say(`no ${name}: ${(error as Error).message.split("\n")[0]}`);
    }
  };
  await add(CROSS_IMAGE, async () => {
    const { Image } = await import("cross-image");
    return timed(({ bytes }) => Image.extractCoefficients(bytes, "jpeg"));
  });
  await add(SHARP, async () => {
    const { default: sharp } = await import("sharp");
    return timed(({ bytes }) => sharp(bytes).raw().toBuffer());
  });
  await add(JULUSIAN, async () => {
    const { default: turbo } = await import("@julusian/jpeg-turbo");
    return timed(({ bytes }) =>
      turbo.decompressSync(Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length), {
        format: turbo.FORMAT_RGB,
      }),
    );
  });
  await add(JPEG_JS, async () => {
    const { decode } = await import("jpeg-js");
    return timed(({ bytes }) => decode(bytes, { useTArray: true, maxMemoryUsageInMB: 2048 }));
  });
  return found;
}

function reusing(): (file: Material) => unknown {
  let reuse: JpegImage | undefined;
  return ({ bytes }) => {
    reuse = readCoefficients(bytes, reuse && { reuse });
  };
}

function timed(read: (file: Material) => unknown): Peer {
  return async (file, calls) => {
    // As in libjpeg.c: the first call refills the caches after the peer before.
    if (calls > 1) await read(file);
    const start = performance.now();
    for (let call = 0; call < calls; call++) await read(file);
    return (performance.now() - start) / calls;
  };
}

/** Compiles libjpeg.c against the system's libjpeg-turbo. */
function libjpeg(say: (line: string) => void): string | undefined {
  // This module runs from dist/bench/codec; the C source lies in the clone's src/bench/codec.
  const source = ["libjpeg.c", "../../../src/bench/codec/libjpeg.c"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  mkdirSync("out", { recursive: true });
  const program = "out/bench-libjpeg";
  if (source !== undefined && spawnSync("cc", ["-O2", "-o", program, source, "-ljpeg"]).status === 0)
    return program;
  say(`no ${LIBJPEG}: apt-get install gcc libc6-dev libjpeg62-turbo-dev, and run from the repository's root`);
  return undefined;
}
