import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type Sharp from "sharp";

export interface Material {
  name: string;
  path: string;
  bytes: Uint8Array;
  megapixels: number;
  progressive: boolean;
}

const FOLDER = "out/photographs";
const CACHE = "out/bench-codec";
const SIZES: [label: string, width: number, height: number][] = [
  ["32x32", 32, 32],
  ["0.03MP", 200, 150],
  ["0.05MP", 256, 196],
  ["0.3MP", 640, 480],
  ["2MP", 1632, 1224],
  ["12MP", 4000, 3000],
];
const QUALITIES = [50, 80, 95];
/** A photograph of 20 megapixels for every size, and one of 2 megapixels for the smaller sizes. */
const LARGE = "kleiber";
const SMALL = "raindrops";
const SMALL_SIZES = ["0.05MP", "0.3MP", "2MP"];

/**
 * The benchmark's files, made once and kept in out/bench-codec: photographs scaled by sharp and encoded by libjpeg's cjpeg
 * with its default tables and scans.
 */
export async function material(
  sharp: typeof Sharp | undefined,
  say: (line: string) => void,
): Promise<Material[]> {
  mkdirSync(CACHE, { recursive: true });
  if (!existsSync(`${FOLDER}/${LARGE}.jpg`))
    say(`no photographs in ${FOLDER}: sh packages/experiments/src/bench/codec/photographs.sh downloads them`);
  else if (sharp === undefined) say("photographs cannot be scaled without sharp: npm install");
  else await make(sharp, say);
  return readdirSync(CACHE)
    .filter((name) => /^[a-z]+_[^_]+_q(50|80|95)_(baseline|progressive)\.jpg$/.test(name))
    .map((name) => {
      const path = `${CACHE}/${name}`;
      const [, size = ""] = name.split("_");
      const [, width = 0, height = 0] = SIZES.find(([label]) => label === size) ?? [];
      return {
        name: name.slice(0, -4),
        path,
        bytes: new Uint8Array(readFileSync(path)),
        megapixels: (width * height) / 1e6,
        progressive: name.includes("progressive"),
      };
    })
    .sort((a, b) => a.megapixels - b.megapixels || a.name.localeCompare(b.name));
}

async function make(sharp: typeof Sharp, say: (line: string) => void): Promise<void> {
  for (const photograph of [LARGE, SMALL])
    for (const [label, width, height] of SIZES) {
      if (photograph === SMALL && !SMALL_SIZES.includes(label)) continue;
      let ppm: Buffer | undefined;
      for (const quality of QUALITIES)
        for (const mode of ["baseline", "progressive"]) {
          const path = `${CACHE}/${photograph}_${label}_q${quality}_${mode}.jpg`;
          if (existsSync(path)) continue;
          ppm ??= await pixels(sharp, `${FOLDER}/${photograph}.jpg`, width, height);
          const options = ["-quality", String(quality), ...(mode === "progressive" ? ["-progressive"] : [])];
          try {
            writeFileSync(path, execFileSync("cjpeg", options, { input: ppm, maxBuffer: 2 ** 28 }));
          } catch {
            say("the files cannot be made without cjpeg: apt-get install libjpeg-turbo-progs");
            return;
          }
        }
    }
}

async function pixels(sharp: typeof Sharp, path: string, width: number, height: number): Promise<Buffer> {
  const data = await sharp(path).resize(width, height, { fit: "cover" }).removeAlpha().raw().toBuffer();
  return Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]);
}
