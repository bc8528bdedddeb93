import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { readCoefficients } from "@jpeg-domain/coefficients";
import { Command } from "commander";
import { median, positiveInteger, print, printJson, say } from "jpeg-domain/internal";
import { floor as floorOf } from "./codec/floor.js";
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
import { checkMaterial, reportUnmeasured } from "./codec/unmeasured.js";

interface Row {
  file: string;
  megapixels: number;
  progressive: boolean;
  bytes: number;
  /** Milliseconds by peer: the median of the rounds, and each round. */
  times: Record<string, number>;
  rounds: Record<string, number[]>;
  /** The least milliseconds that a sequential file can take: see codec/floor.ts. */
  floor: number;
}

/**
 * A claim in the README: the geometric mean over some files of a peer's time divided by ours (medians of the rounds), and
 * the required value.
 */
interface Claim {
  name: string;
  over: string;
  under: string;
  required?: number;
  /** The least ratio for any single file. */
  floor?: number;
  files(row: Row): boolean;
}

const photographs = (row: Row) => row.megapixels > 0.01;
const CLAIMS: Claim[] = [
  {
    name: "libjpeg-turbo's coefficients, baseline, 0.05 MP and more, arrays reused",
    over: LIBJPEG,
    under: REUSING,
    required: 1,
    floor: 0.8,
    files: (row) => !row.progressive && row.megapixels >= 0.05,
  },
  {
    name: "the same, new arrays each time",
    over: LIBJPEG,
    under: OURS,
    files: (row) => !row.progressive && row.megapixels >= 0.05,
  },
  {
    name: "libjpeg-turbo's coefficients, progressive, 0.05 MP and more, arrays reused",
    over: LIBJPEG,
    under: REUSING,
    required: 0.8,
    files: (row) => row.progressive && row.megapixels >= 0.05,
  },
  {
    name: "the same, new arrays each time",
    over: LIBJPEG,
    under: OURS,
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
  { name: "jpeg-js's decode", over: JPEG_JS, under: OURS, files: photographs },
  {
    name: "DC only of a progressive file against all of it",
    over: OURS,
    under: DC_ONLY,
    required: 5,
    files: (row) => row.progressive && photographs(row),
  },
  {
    name: "DC only of a baseline file of 12 MP against all of it, arrays reused",
    over: REUSING,
    under: DC_ONLY,
    floor: 1.9,
    files: (row) => !row.progressive && row.megapixels > 10,
  },
];

/** Length of a peer's turn, unless one call is longer. */
const TURN_MILLISECONDS = 20;
/** A peer that takes this long for a file gets fewer turns. */
const SLOW_MILLISECONDS = 300;
const SLOW_ROUNDS = 2;

interface Flags {
  rounds: number;
  only: string;
  native?: boolean;
  json?: boolean;
}

export const command = () =>
  new Command("codec")
    .description("read photographs' coefficients, against libjpeg-turbo, cross-image and full decoders")
    .option("--rounds <n>", "rounds for each file", positiveInteger, 7)
    .option("--only <text>", "only files whose name contains the text, such as 2MP or progressive", "")
    .option("--native", "compare only with libjpeg-turbo, which is faster")
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run(options: Flags): Promise<void> {
  const known = await peers(say);
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => undefined,
  );
  const files = (await material(sharp, say)).filter(({ name }) => name.includes(options.only));
  checkMaterial(files, options.only);
  const chosen = [...known].filter(
    ([name]) => !options.native || [OURS, REUSING, DC_ONLY, LIBJPEG].includes(name),
  );

  const rows: Row[] = [];
  for (const file of files) {
    const row = await measure(file, chosen, options.rounds);
    rows.push(row);
    if (!options.json) await print(line(row));
  }
  const claims = CLAIMS.map((claim) => check(claim, rows));
  reportUnmeasured(claims, options.only === "" && !options.native);
  const [smallest, largest] = [files[0], files.at(-1)];
  const memory = smallest && largest && measureMemory(smallest, largest);
  if (options.json) {
    await printJson({ rows, claims, memory });
    return;
  }
  if (claims.some(({ mean }) => mean !== undefined))
    await print("", "ours is faster by (geometric mean, slowest file, fastest file)");
  for (const { name, mean, least, most, files: count, required, holds } of claims)
    if (mean !== undefined)
      await print(
        `${name.padEnd(76)} ${mean.toFixed(2)}x  ${least?.toFixed(2)} to ${most?.toFixed(2)}  ` +
          `${count} files${required === undefined ? "" : `  required ${required}  ${holds ? "holds" : "DOES NOT HOLD"}`}`,
      );
  await print(
    "libjpeg's program keeps its memory between calls. Ours gets new arrays from the system, which on some machines costs " +
      "more than decoding, unless it may reuse those of an image that is no longer needed.",
  );
  const gaps = rows.filter(({ progressive, megapixels }) => !progressive && megapixels > 0.01);
  if (gaps.length > 0)
    await print(
      `baseline files, arrays reused: ours takes ` +
        `${geometricMean(gaps.map((row) => (row.times[REUSING] as number) / row.floor)).toFixed(2)} times as long as ` +
        `the floor (codec/floor.ts: the chain of symbols, and one copy)`,
    );
  if (memory)
    await print(
      `memory while reading ${memory.file}: the process grows by ${mib(memory.rise)}: coefficients ` +
        `${mib(memory.coefficients)}, file ${mib(memory.input)}, other ${mib(memory.beyond)} (required: at most 4 MiB)`,
    );
}

async function measure(file: Material, known: [string, Peer][], rounds: number): Promise<Row> {
  const calls = new Map<string, number>();
  const slow = new Set<string>();
  for (const [name, peer] of known) {
    // The first calls also compile the code, and show how many calls fill a turn.
    const first = await peer(file, 1);
    const once = first > SLOW_MILLISECONDS ? first : await peer(file, 3);
    calls.set(name, Math.max(1, Math.min(400, Math.round(TURN_MILLISECONDS / once))));
    if (once < SLOW_MILLISECONDS) await peer(file, calls.get(name) as number);
    else slow.add(name);
  }
  const times = new Map(known.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++)
    for (const [name, peer] of known)
      if (round < SLOW_ROUNDS || !slow.has(name))
        (times.get(name) as number[]).push(await peer(file, calls.get(name) as number));
  return {
    file: file.name,
    megapixels: file.megapixels,
    progressive: file.progressive,
    bytes: file.bytes.length,
    times: Object.fromEntries([...times].map(([name, values]) => [name, median(values)])),
    rounds: Object.fromEntries(times),
    floor: floorOf(readCoefficients(file.bytes)),
  };
}

function check(claim: Claim, rows: Row[]) {
  const ratios = rows
    .filter(claim.files)
    .map(({ rounds }) => {
      // Turns of the same round are close in time, so a drift of the machine's speed affects both.
      const over = rounds[claim.over] ?? [];
      const under = rounds[claim.under] ?? [];
      const both = Math.min(over.length, under.length);
      return both === 0
        ? Number.NaN
        : median(over.slice(0, both).map((time, round) => time / (under[round] as number)));
    })
    .filter((ratio) => Number.isFinite(ratio));
  const { name, required, floor = 0 } = claim;
  if (ratios.length === 0) return { name, required, files: 0, holds: undefined };
  const mean = geometricMean(ratios);
  const least = Math.min(...ratios);
  const most = Math.max(...ratios);
  return {
    name,
    required,
    files: ratios.length,
    mean,
    least,
    most,
    holds: mean >= (required ?? 0) && least >= floor,
  };
}

function geometricMean(values: number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
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

/** Peak memory of reading a file, measured in a separate process: see codec/memory.ts. */
function measureMemory(small: Material, large: Material) {
  const program = fileURLToPath(new URL("codec/memory.js", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ["--expose-gc", program, small.path, large.path], {
    encoding: "utf8",
  });
  if (status !== 0 || process.platform !== "linux") return undefined;
  const memory = JSON.parse(stdout) as { input: number; coefficients: number; rise: number };
  return { file: large.name, ...memory, beyond: memory.rise - memory.input - memory.coefficients };
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
