/** The benchmark's files and model, made once and kept in out/. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { encodeJpeg } from "@jpeg-domain/coefficients";
import type { Area } from "@jpeg-domain/conversion";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { mersenne } from "pure-rand/generator/mersenne";
import sharp from "sharp";
import { loadSplit } from "../../data/mnist.js";

export interface Photograph {
  name: string;
  path: string;
  bytes: Uint8Array;
  quality: number;
  /** The sampling of luminance, as cjpeg takes it, or "grey". */
  sampling: string;
}

type Say = (line: string) => void;

const PHOTOGRAPHS = "out/photographs";
const FOLDER = "out/end-to-end";
const QUALITIES = [50, 75, 90, 98];
const MODES = ["baseline", "progressive"] as const;
/** cjpeg's options. */
const OPTIONS = { baseline: [], progressive: ["-progressive"], restart: ["-restart", "1"] };
const SIZES = { "0.3MP": [640, 480], "0.8MP": [1024, 768], "2MP": [1632, 1224] } as const;
const LARGE = [4000, 3000] as const;
/** Not a multiple of an MCU's size, for any sampling. */
const ODD = [637, 481] as const;
const GREY = "grey";

const SOURCES = ["kleiber", "garden", "raindrops"];

/** Photographs of 0.3 to 2 MP in every quality, baseline and progressive. */
export async function photographs(say: Say): Promise<Photograph[]> {
  const wanted = SOURCES.flatMap((source) =>
    Object.entries(SIZES).flatMap(([label, size]) =>
      QUALITIES.flatMap((quality) => MODES.map((mode) => ({ source, label, size, quality, mode }))),
    ),
  );
  return make(say, "single", wanted);
}

/** The photograph of 12 MP. */
export const large = (say: Say): Promise<Photograph[]> =>
  make(
    say,
    "large",
    MODES.map((mode) => ({ source: "kleiber", label: "12MP", size: LARGE, quality: 85, mode })),
  );

/** The same, progressive, in two qualities. */
export const largeProgressive = (say: Say): Promise<Photograph[]> =>
  make(
    say,
    "large",
    [85, 95].map((quality) => ({
      source: "kleiber",
      label: "12MP",
      size: LARGE,
      quality,
      mode: "progressive",
    })),
  );

/** The same with a restart marker after every row. */
export const largeWithRestarts = (say: Say): Promise<Photograph[]> =>
  make(say, "large", [{ source: "kleiber", label: "12MP", size: LARGE, quality: 85, mode: "restart" }]);

/** Photographs of one size in every sampling and qualities 50 to 95. */
export async function sampled(say: Say): Promise<{ files: Photograph[]; size: Area }> {
  const wanted = SOURCES.flatMap((source) =>
    ["1x1", "2x1", "2x2", GREY].flatMap((sampling) =>
      [50, 75, 85, 95].map((quality) => ({
        source,
        label: `odd_${sampling}`,
        size: ODD,
        quality,
        mode: "baseline" as const,
        sampling,
      })),
    ),
  );
  return { files: await make(say, "pixels", wanted), size: { width: ODD[0], height: ODD[1] } };
}

interface Wanted {
  source: string;
  label: string;
  size: readonly [width: number, height: number];
  quality: number;
  mode: keyof typeof OPTIONS;
  sampling?: string;
}

async function make(say: Say, part: string, wanted: Wanted[]): Promise<Photograph[]> {
  mkdirSync(`${FOLDER}/${part}`, { recursive: true });
  const made: Photograph[] = [];
  let pixels: { key: string; ppm: Buffer } | undefined;
  for (const { source, label, size, quality, mode, sampling = "2x2" } of wanted) {
    const name = `${source}_${label}_q${quality}_${mode}`;
    const path = `${FOLDER}/${part}/${name}.jpg`;
    if (!existsSync(path)) {
      const from = `${PHOTOGRAPHS}/${source}.jpg`;
      if (!existsSync(from)) {
        say(
          `no photographs in ${PHOTOGRAPHS}: sh packages/experiments/src/bench/codec/photographs.sh downloads them`,
        );
        return [];
      }
      const key = `${source} ${size}`;
      if (pixels?.key !== key) pixels = { key, ppm: await ppmOf(from, size) };
      const colors = sampling === GREY ? ["-grayscale"] : ["-sample", sampling];
      const options = ["-quality", String(quality), ...colors, ...OPTIONS[mode]];
      try {
        writeFileSync(path, execFileSync("cjpeg", options, { input: pixels.ppm, maxBuffer: 2 ** 28 }));
      } catch {
        say("the files cannot be made without cjpeg: apt-get install libjpeg-turbo-progs");
        return [];
      }
    }
    made.push({ name, path, bytes: new Uint8Array(readFileSync(path)), quality, sampling });
  }
  return made;
}

async function ppmOf(path: string, [width, height]: Wanted["size"]): Promise<Buffer> {
  const data = await sharp(path).resize(width, height, { fit: "cover" }).removeAlpha().raw().toBuffer();
  return Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]);
}

/** Paths of `count` photographs of 0.3 to 2 MP with random sizes, qualities, codings and samplings. */
export async function folder(count: number, say: Say): Promise<string[]> {
  const present = existsSync(PHOTOGRAPHS) ? readdirSync(PHOTOGRAPHS) : [];
  const sources = present.filter((name) => name.endsWith(".jpg"));
  if (sources.length === 0) {
    say(
      `no photographs in ${PHOTOGRAPHS}: sh packages/experiments/src/bench/codec/photographs.sh downloads them`,
    );
    return [];
  }
  const generator = mersenne(1);
  const draw = (below: number) => Math.floor(uniformFloat64(generator) * below);
  const wanted = Array.from({ length: count }, (_, i): Wanted => {
    const pixels = 300_000 + draw(1_700_000);
    const [a, b] = [
      [4, 3],
      [3, 2],
      [3, 4],
    ][draw(3)] as [number, number];
    const width = Math.round(Math.sqrt((pixels * a) / b));
    return {
      source: (sources[draw(sources.length)] as string).slice(0, -4),
      label: String(i).padStart(3, "0"),
      size: [width, Math.round((width * b) / a)],
      quality: 50 + draw(49),
      mode: MODES[draw(2)] as Wanted["mode"],
      sampling: ["2x2", "2x2", "2x1", "1x1"][draw(4)] as string,
    };
  });
  return (await make(say, "folder", wanted)).map(({ path }) => path);
}

/** MNIST's test images as files of 32x32. */
export async function mnist(
  count: number,
  quality: number,
): Promise<{ paths: string[]; labels: Uint8Array }> {
  const { images, labels } = await loadSplit(undefined, "test");
  const part = `${FOLDER}/mnist-q${quality}`;
  mkdirSync(part, { recursive: true });
  const paths = Array.from({ length: count }, (_, i) => `${part}/${String(i).padStart(5, "0")}.jpg`);
  for (const [i, path] of paths.entries()) {
    if (existsSync(path)) continue;
    const plane = new Uint8Array(32 * 32);
    for (let y = 0; y < 28; y++)
      plane.set(images.subarray((i * 28 + y) * 28, (i * 28 + y + 1) * 28), (y + 2) * 32 + 2);
    writeFileSync(
      path,
      encodeJpeg({ width: 32, height: 32, colorSpace: "grayscale", planes: [plane] }, { quality }),
    );
  }
  return { paths, labels: labels.subarray(0, count) };
}

/** torchvision's MobileNetV2 with random weights. */
export function mobilenet(say: Say): string | undefined {
  const path = `${FOLDER}/mobilenet_v2.onnx`;
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  // This module runs from dist/bench/end-to-end; the script lies in the clone's src/bench/peers.
  const script = ["../peers/mobilenet.py", "../../../src/bench/peers/mobilenet.py"]
    .map((file) => fileURLToPath(new URL(file, import.meta.url)))
    .find((file) => existsSync(file));
  if (script !== undefined && spawnSync("/usr/bin/python3", [script, path]).status === 0) return path;
  say("no MobileNetV2: apt-get install python3-torchvision, and run from the repository's root");
  return undefined;
}
