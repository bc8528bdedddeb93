import { Command, InvalidArgumentError } from "commander";
import { readCoefficients, releasePool } from "../src/index.js";
import { median } from "../src/report/measure.js";
import { type Material, material } from "./codec/material.js";
import {
  CROSS_IMAGE,
  DC_ONLY,
  JPEG_JS,
  JULUSIAN,
  LIBJPEG,
  OURS,
  type Peer,
  peers,
  REUSING,
  SHARP,
} from "./codec/peers.js";

interface Row {
  file: string;
  megapixels: number;
  progressive: boolean;
  bytes: number;
  /** Milliseconds by peer, the median of the rounds. */
  times: Record<string, number>;
}

/** A claim of the README: a geometric mean over some files of a peer's time by ours, and what it must come to. */
interface Claim {
  name: string;
  over: string;
  under: string;
  required: number;
  /** No single file may be below this. */
  floor?: number;
  files(row: Row): boolean;
}

const photographs = (row: Row) => row.megapixels > 0.01;
const CLAIMS: Claim[] = [
  {
    name: "libjpeg-turbo's coefficients, baseline, 0.05 MP and more",
    over: LIBJPEG,
    under: OURS,
    required: 1,
    floor: 0.8,
    files: (row) => !row.progressive && row.megapixels >= 0.05,
  },
  {
    name: "libjpeg-turbo's coefficients, progressive, 0.05 MP and more",
    over: LIBJPEG,
    under: OURS,
    required: 0.8,
    files: (row) => row.progressive && row.megapixels >= 0.05,
  },
  { name: "@julusian/jpeg-turbo's decode", over: JULUSIAN, under: OURS, required: 1.2, files: photographs },
  { name: "sharp's decode", over: SHARP, under: OURS, required: 2, files: photographs },
  {
    name: "sharp's decode, 32x32",
    over: SHARP,
    under: OURS,
    required: 20,
    files: (row) => !photographs(row) && !row.progressive,
  },
  { name: "cross-image's coefficients", over: CROSS_IMAGE, under: OURS, required: 10, files: photographs },
  { name: "jpeg-js's decode", over: JPEG_JS, under: OURS, required: 1, files: photographs },
  {
    name: "DC only of a progressive file against all of it",
    over: OURS,
    under: DC_ONLY,
    required: 5,
    files: (row) => row.progressive && photographs(row),
  },
];

/** Slow peers are not asked for more than one call of a large file in each round. */
const TURN_MILLISECONDS = 30;

/** `jpeg-domain bench codec`: reading coefficients against libjpeg-turbo, and against full decodes. */
export async function run(args: string[]): Promise<void> {
  const command = new Command("codec")
    .description("read photographs' coefficients; against libjpeg-turbo's, cross-image's and full decodes")
    .option("--rounds <n>", "turns of every peer for each file", positive, 7)
    .option("--only <text>", "only files whose name holds the text, such as 2MP or progressive", "")
    .option("--native", "only libjpeg-turbo as a peer, which is quicker")
    .option("--json", "one JSON object on standard output");
  command.parse(args, { from: "user" });
  const options = command.opts<{ rounds: number; only: string; native?: boolean; json?: boolean }>();
  const say = (line: string) => console.error(line);
  const known = await peers(say);
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => undefined,
  );
  const files = (await material(sharp, say)).filter(({ name }) => name.includes(options.only));
  if (files.length === 0) say("no files to read");
  const chosen = [...known].filter(
    ([name]) => !options.native || [OURS, REUSING, DC_ONLY, LIBJPEG].includes(name),
  );

  const rows: Row[] = [];
  for (const file of files) {
    const row = await measure(file, chosen, options.rounds);
    rows.push(row);
    if (!options.json) console.log(line(row));
  }
  const claims = CLAIMS.map((claim) => check(claim, rows));
  const memory = files.length === 0 ? undefined : measureMemory(files.at(-1) as Material);
  if (options.json) {
    console.log(JSON.stringify({ rows, claims, memory }));
    return;
  }
  console.log("\nours is faster by (geometric mean, slowest and fastest file)");
  for (const { name, mean, least, most, files: count, required, holds } of claims)
    if (mean !== undefined)
      console.log(
        `${name.padEnd(60)} ${mean.toFixed(2)}x  ${least?.toFixed(2)} to ${most?.toFixed(2)}  ` +
          `${count} files  required ${required}  ${holds ? "holds" : "DOES NOT HOLD"}`,
      );
  if (memory)
    console.log(
      `memory reading ${memory.file}: coefficients ${mib(memory.coefficients)}, file ${mib(memory.input)}, ` +
        `beyond both ${mib(memory.beyond)} at the peak, kept after releasePool ${mib(memory.kept)}`,
    );
}

async function measure(file: Material, known: [string, Peer][], rounds: number): Promise<Row> {
  const calls = new Map<string, number>();
  for (const [name, peer] of known) {
    // The first calls also compile, and tell how many fill a turn.
    await peer(file, 1);
    const once = await peer(file, 3);
    calls.set(name, Math.max(1, Math.min(400, Math.round(TURN_MILLISECONDS / once))));
    await peer(file, calls.get(name) as number);
  }
  const times = new Map(known.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++)
    for (const [name, peer] of known) times.get(name)?.push(await peer(file, calls.get(name) as number));
  return {
    file: file.name,
    megapixels: file.megapixels,
    progressive: file.progressive,
    bytes: file.bytes.length,
    times: Object.fromEntries([...times].map(([name, values]) => [name, median(values)])),
  };
}

function check(claim: Claim, rows: Row[]) {
  const ratios = rows
    .filter(claim.files)
    .map(({ times }) => (times[claim.over] ?? Number.NaN) / (times[claim.under] ?? Number.NaN))
    .filter((ratio) => Number.isFinite(ratio));
  const { name, required, floor = 0 } = claim;
  if (ratios.length === 0) return { name, required, files: 0, holds: undefined };
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  const least = Math.min(...ratios);
  const most = Math.max(...ratios);
  return {
    name,
    required,
    files: ratios.length,
    mean,
    least,
    most,
    holds: mean >= required && least >= floor,
  };
}

function line({ file, bytes, times }: Row): string {
  const ours = times[OURS] as number;
  const cells = Object.entries(times).map(([name, time]) =>
    name === OURS
      ? `${name} ${time.toFixed(3)} ms`
      : `${name} ${time.toFixed(3)} (${(time / ours).toFixed(2)}x)`,
  );
  return `${file} (${(bytes / 1024).toFixed(0)} KiB): ${cells.join(", ")}`;
}

/** The process's memory before, with the result at hand, and after. */
function measureMemory({ name, bytes }: Material) {
  const { gc } = globalThis as { gc?: () => void };
  const used = () => {
    gc?.();
    const { external, heapUsed } = process.memoryUsage();
    return external + heapUsed;
  };
  releasePool();
  const before = used();
  const image = readCoefficients(bytes);
  const coefficients = image.components.reduce(
    (sum, { coefficients: { byteLength } }) => sum + byteLength,
    0,
  );
  const peak = process.memoryUsage().external + process.memoryUsage().heapUsed;
  releasePool();
  const after = used();
  return {
    file: name,
    input: bytes.length,
    coefficients,
    beyond: peak - before - coefficients - bytes.length,
    kept: Math.max(0, after - before - coefficients),
    width: image.width,
  };
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number from 1");
  return value;
}
