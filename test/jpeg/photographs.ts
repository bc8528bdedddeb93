import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { missing } from "./libjpeg.js";

/** Where Debian's mate-backgrounds installs its photographs, and where packages/experiments/src/bench/codec/photographs.sh puts them. */
const FOLDERS = [
  "/usr/share/backgrounds/mate/nature",
  fileURLToPath(new URL("../../out/photographs", import.meta.url)),
];
const WANTED = /^(dune|freshflower|raindrops)\.jpg$/i;

/** Real photographs from their packages; empty, with a message, if there are none. */
export function photographs(): Uint8Array[] {
  const folder = FOLDERS.find((path) => existsSync(path));
  if (folder === undefined)
    missing("photographs (mate-backgrounds, or sh packages/experiments/src/bench/codec/photographs.sh)");
  return folder === undefined
    ? []
    : readdirSync(folder)
        .filter((name) => WANTED.test(name))
        .map((name) => new Uint8Array(readFileSync(`${folder}/${name}`)));
}

/** Whether cjpeg, djpeg and jpegtran are installed. */
export function hasTools(): boolean {
  const found = ["cjpeg", "djpeg", "jpegtran"].every(
    (tool) => spawnSync(tool, ["-version"]).error === undefined,
  );
  if (!found) missing("cjpeg, djpeg and jpegtran (libjpeg-turbo-progs)");
  return found;
}

/** A libjpeg tool's output for the input. */
export function tool(name: string, options: string[], input: Uint8Array): Uint8Array {
  return new Uint8Array(execFileSync(name, options, { input, maxBuffer: 2 ** 28 }));
}

/** Width, height and the pixels of a PPM or PGM file. */
export function crop(ppm: Uint8Array, width: number, height: number): Uint8Array {
  const header = /^P([56])\s+(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(ppm.subarray(0, 40)).toString("latin1"));
  if (header === null) throw new Error("no PPM file");
  const channels = header[1] === "6" ? 3 : 1;
  const stride = Number(header[2]) * channels;
  const start = header[0].length;
  const rows = Array.from({ length: height }, (_, y) =>
    ppm.subarray(start + y * stride, start + y * stride + width * channels),
  );
  return Buffer.concat([Buffer.from(`P${header[1]}\n${width} ${height}\n255\n`), ...rows]);
}
