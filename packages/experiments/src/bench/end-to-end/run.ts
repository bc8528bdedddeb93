/** The sections of `bench end-to-end`. */
import { readFile, writeFile } from "node:fs/promises";
import type { Preprocess } from "@jpeg-domain/conversion";
import { evaluate, openClassifier } from "@jpeg-domain/node";
import { openNetwork, openPipeline } from "@jpeg-domain/node/internal";
import { columns, formatBytes, formatPercent, median, print, printJson, say } from "jpeg-domain/internal";
import { labelledPlanes, loadSplit } from "../../data/mnist.js";
import { SHIPPED_MODEL } from "../../data/shipped-model.js";
import { type BytesRead, bytesRead, dcFirst } from "./bytes.js";
import { compareCores } from "./cores.js";
import {
  folder,
  large,
  largeProgressive,
  largeWithRestarts,
  mnist,
  mobilenet,
  type Photograph,
  photographs,
  sampled,
} from "./material.js";
import { memoryOfClassify } from "./memory.js";
import { compareNetworks } from "./networks.js";
import { type Flags, SECTIONS, type Section } from "./options.js";
import { type FilePipeline, filePipelines, OURS, SHARP, type Stages, TURBO } from "./pipelines.js";
import { comparePixels, FORMS, type PixelRow } from "./pixels.js";
import { PLAIN, type Throughput, throughput } from "./throughput.js";

/** A measured number, and the least or the most that it must be. */
interface Claim {
  section: Section;
  name: string;
  value: number;
  bound: "≥" | "≤";
  required: number;
}

/** A section's results: its claims, everything for `--json`, and `lines` for people. */
interface Measured {
  claims: Claim[];
  results: object;
  lines: string[];
}

/** For files of 32x32: the digits already have their padding. */
const NOTEBOOK: Partial<Preprocess> = {
  resize: { height: 32, width: 32 },
  mean: [0.1307],
  std: [0.3081],
};
const QUALITY = 90;

const MEASURE: Record<Section, (flags: Flags) => Promise<Measured | undefined>> = {
  network: measureNetwork,
  single: measureSingle,
  large: measureLarge,
  cores: measureCores,
  bytes: measureBytes,
  folder: measureFolder,
  mnist: measureMnist,
  memory: measureMemory,
  pixels: measurePixels,
};

export async function run(flags: Flags): Promise<void> {
  const claims: Claim[] = [];
  const results: Record<string, object> = {};
  for (const section of SECTIONS.filter((name) => flags.only.includes(name))) {
    const measured = await MEASURE[section](flags);
    if (measured === undefined) {
      say(`not measured, because of the above: ${section}`);
      process.exitCode = 1;
      continue;
    }
    claims.push(...measured.claims);
    results[section] = measured.results;
    if (!flags.json) await print(section, ...measured.lines, "");
  }
  const checked = claims.map((claim) => ({ ...claim, holds: holds(claim) }));
  if (flags.json) {
    await printJson({ claims: checked, ...results });
    return;
  }
  const rows = checked.map(({ section, name, value, bound, required, holds }) => [
    `${section}: ${name}`,
    value.toFixed(3),
    `${bound} ${required}`,
    holds ? "holds" : "DOES NOT HOLD",
  ]);
  if (rows.length > 0) await print(...columns([["", "measured", "required", ""], ...rows]));
}

const holds = ({ value, bound, required }: Claim): boolean =>
  bound === "≥" ? value >= required : value <= required;

type Bound = Pick<Claim, "bound" | "required">;
const atLeast = (required: number): Bound => ({ bound: "≥", required });
const atMost = (required: number): Bound => ({ bound: "≤", required });

async function measureNetwork({ rounds }: Flags): Promise<Measured | undefined> {
  const model = mobilenet(say);
  if (model === undefined) return undefined;
  const rows = await compareNetworks(await readFile(model), [1, 16], rounds);
  const name = (batch: number) => `fused over spatial, batch ${batch}`;
  return {
    claims: rows.map(({ batch, ratio }) => ({
      section: "network",
      name: name(batch),
      value: ratio,
      ...atLeast(0.97),
    })),
    results: rows,
    lines: rows.map(
      ({ batch, spatial, fused, ratio }) =>
        `  batch ${batch}: spatial ${spatial.toFixed(2)} ms, fused ${fused.toFixed(2)} ms per image, ${ratio.toFixed(3)}`,
    ),
  };
}

async function measureSingle(flags: Flags): Promise<Measured | undefined> {
  const files = spread(await photographs(say), flags.files);
  const rows = await oneByOne(files, flags);
  if (rows === undefined) return undefined;
  return {
    claims: [
      { section: "single", name: `ours over ${SHARP}`, value: overall(rows, SHARP), ...atLeast(1.5) },
      { section: "single", name: `ours over ${TURBO}`, value: overall(rows, TURBO), ...atLeast(1.15) },
    ],
    results: rows,
    lines: stageLines(rows),
  };
}

async function measureLarge(flags: Flags): Promise<Measured | undefined> {
  const rows = await oneByOne(await large(say), flags);
  if (rows === undefined) return undefined;
  const [baseline, progressive] = rows.map((row) => overall([row], SHARP)) as [number, number];
  return {
    claims: [
      { section: "large", name: `12 MP baseline, ours over ${SHARP}`, value: baseline, ...atLeast(1.65) },
      { section: "large", name: `12 MP progressive, ours over ${SHARP}`, value: progressive, ...atLeast(4) },
    ],
    results: rows,
    lines: stageLines(rows),
  };
}

/** Percent of the bytes that are read of progressive files for 1/8 of their size. */
async function measureBytes(): Promise<Measured | undefined> {
  const files = await largeProgressive(say);
  if (files.length === 0) return undefined;
  const rows: ({ scans: string; quality: number } & BytesRead)[] = [];
  for (const { path, bytes, quality } of files) {
    rows.push({ scans: "libjpeg's scans", quality, ...(await bytesRead(path, bytes)) });
    const rewritten = dcFirst(bytes);
    const name = path.replace(".jpg", "_dc-first.jpg");
    await writeFile(name, rewritten);
    rows.push({ scans: "DC first", quality, ...(await bytesRead(name, rewritten)) });
  }
  const percent = (part: number, { all }: BytesRead) => (100 * part) / all;
  const claimed = rows.filter(({ scans, quality }) => scans === "DC first" && quality === 95);
  return {
    claims: claimed.map((row) => ({
      section: "bytes",
      name: "12 MP progressive of quality 95, all of DC in the first scan, % of its bytes",
      value: percent(Math.max(row.byPath, row.byBlob), row),
      ...atMost(10),
    })),
    results: rows,
    lines: columns([
      ["  at 1/8, % of the bytes", "needed", "read by path", "by Blob"],
      ...rows.map((row) => [
        `  quality ${row.quality}, ${row.scans} (${formatBytes(row.all)})`,
        ...[row.needed, row.byPath, row.byBlob].map((part) => percent(part, row).toFixed(1)),
      ]),
    ]),
  };
}

async function measureCores({ rounds }: Flags): Promise<Measured | undefined> {
  const [photograph] = await largeWithRestarts(say);
  if (photograph === undefined) return undefined;
  const cores = await compareCores(photograph, rounds);
  const { file, bytes, one, two, ratio, medianRatio } = cores;
  return {
    claims: [
      {
        section: "cores",
        name: "12 MP with restart markers, 2 threads over 1",
        value: ratio,
        ...atLeast(1.6),
      },
    ],
    results: cores,
    lines: [
      `  ${file} (${formatBytes(bytes)}): ${one.toFixed(2)} ms by one thread, ${two.toFixed(2)} by two, ${ratio.toFixed(2)}; median of the turns ${medianRatio.toFixed(2)}`,
    ],
  };
}

interface Row {
  file: string;
  bytes: number;
  /** By pipeline: medians in milliseconds. */
  times: Record<string, Stages>;
  /** By pipeline: the median of its total divided by ours in the same round. */
  ratios: Record<string, number>;
  /** By pipeline: its fastest total divided by our fastest, which other processes disturb least. */
  fastest: Record<string, number>;
}

/** Runs every file through every pipeline in turn. */
async function oneByOne(files: Photograph[], { rounds, threads }: Flags): Promise<Row[] | undefined> {
  const model = mobilenet(say);
  if (model === undefined || files.length === 0) return undefined;
  const network = await openNetwork(model);
  const pipeline = await openPipeline(
    network,
    1,
    threads === undefined ? {} : { intraOpNumThreads: threads },
  );
  const all = await filePipelines(network, pipeline);
  // Until the code of all pipelines is compiled.
  for (let i = 0; i < 20; i++)
    for (const { run } of all) await run((files[i % files.length] as Photograph).bytes);
  const rows: Row[] = [];
  for (const file of files) rows.push(await measureFile(file, all, rounds));
  await pipeline.close();
  return rows;
}

async function measureFile({ name, bytes }: Photograph, all: FilePipeline[], rounds: number): Promise<Row> {
  const turns: Record<string, Stages[]> = Object.fromEntries(all.map((pipeline) => [pipeline.name, []]));
  for (let round = 0; round <= rounds; round++)
    for (const pipeline of all) {
      const { planes, network, total } = await pipeline.run(bytes);
      // The first turn fills the caches.
      if (round > 0) turns[pipeline.name]?.push({ planes, network, total });
    }
  const medianOf = (name: string, stage: keyof Stages) =>
    median((turns[name] ?? []).map((turn) => turn[stage]));
  const ours = turns[OURS] as Stages[];
  return {
    file: name,
    bytes: bytes.length,
    times: Object.fromEntries(
      all.map(({ name }) => [
        name,
        {
          planes: medianOf(name, "planes"),
          network: medianOf(name, "network"),
          total: medianOf(name, "total"),
        },
      ]),
    ),
    ratios: Object.fromEntries(
      all.map(({ name }) => [
        name,
        median((turns[name] ?? []).map(({ total }, i) => total / (ours[i] as Stages).total)),
      ]),
    ),
    fastest: Object.fromEntries(all.map(({ name }) => [name, least(turns[name] ?? []) / least(ours)])),
  };
}

const least = (turns: Stages[]): number => Math.min(...turns.map(({ total }) => total));

/** The geometric mean over the files. */
const overall = (rows: Row[], name: string, of: "ratios" | "fastest" = "ratios"): number =>
  Math.exp(rows.reduce((sum, row) => sum + Math.log(row[of][name] as number), 0) / rows.length);

function stageLines(rows: Row[]): string[] {
  const names = [OURS, SHARP, TURBO];
  const cell = ({ planes, network, total }: Stages) =>
    `${planes.toFixed(2)} + ${network.toFixed(2)} = ${total.toFixed(2)}`;
  const table = rows.map(({ file, bytes, times, ratios }) => [
    `  ${file} (${formatBytes(bytes)})`,
    ...names.map((name) => cell(times[name] as Stages)),
    (ratios[SHARP] as number).toFixed(2),
    (ratios[TURBO] as number).toFixed(2),
  ]);
  const fastest = [SHARP, TURBO].map((name) => `${overall(rows, name, "fastest").toFixed(2)} over ${name}`);
  return [
    ...columns([["  ms: to planes + network", ...names, "over sharp", "over turbo"], ...table]),
    `  by the fastest turn of each: ${fastest.join(", ")}`,
  ];
}

/** `count` items from all over the list: steps of the golden ratio reach every kind, whatever the order. */
function spread<T>(items: T[], count: number): T[] {
  if (count >= items.length) return items;
  const step = (Math.sqrt(5) - 1) / 2;
  const places = Array.from({ length: count }, (_, i) => Math.floor(((i * step) % 1) * items.length));
  return [...new Set(places)].map((place) => items[place] as T);
}

async function measureFolder({ files, rounds }: Flags): Promise<Measured | undefined> {
  const model = mobilenet(say);
  const paths = spread(await folder(500, say), 10 * files);
  if (model === undefined || paths.length === 0) return undefined;
  const results = await throughput({ model, preprocess: {}, paths, rounds: Math.min(3, rounds) });
  const value = overBaseline(results);
  return {
    claims: [
      { section: "folder", name: `${paths.length} photographs, ours over ${SHARP}`, value, ...atLeast(1.4) },
    ],
    results,
    lines: throughputLines(results),
  };
}

async function measureMnist({ files, rounds }: Flags): Promise<Measured> {
  const { paths, labels } = await mnist(Math.min(10_000, 10 * files), QUALITY);
  const options = { model: SHIPPED_MODEL, preprocess: NOTEBOOK, paths, labels, rounds: Math.min(3, rounds) };
  const results = await throughput(options);
  const classifier = await openClassifier(await readFile(SHIPPED_MODEL));
  const samples = { ...labelledPlanes(await loadSplit(undefined, "test")), count: paths.length };
  const { correct } = await evaluate(classifier, samples);
  await classifier.close();
  const [onPixels, ours] = [correct / paths.length, results[0]?.accuracy as number];
  return {
    claims: [
      {
        section: "mnist",
        name: `${paths.length} files, ours over ${PLAIN}`,
        value: speed(results, OURS) / speed(results, PLAIN),
        ...atLeast(8),
      },
      {
        section: "mnist",
        name: "accuracy on files and on pixels, difference in %",
        value: 100 * Math.abs(onPixels - ours),
        ...atMost(0.1),
      },
    ],
    results: { pipelines: results, onPixels, overBestBaseline: overBaseline(results) },
    lines: [
      ...throughputLines(results),
      `  accuracy on pixels ${formatPercent(onPixels)}; ours over the fastest pipeline with sharp ${overBaseline(results).toFixed(2)}`,
    ],
  };
}

const speed = (results: Throughput[], wanted: string): number =>
  results.find(({ name }) => name === wanted)?.filesPerSecond ?? Number.NaN;

/** Ours over the fastest of the others. */
function overBaseline([ours, ...others]: Throughput[]): number {
  return (ours?.filesPerSecond ?? 0) / Math.max(...others.map(({ filesPerSecond }) => filesPerSecond));
}

const throughputLines = (results: Throughput[]): string[] =>
  results.map(
    ({ name, filesPerSecond, cpuMilliseconds, accuracy }) =>
      `  ${name.padEnd(30)} ${filesPerSecond.toFixed(0).padStart(7)} files/s, ${cpuMilliseconds.toFixed(2)} ms of processor time each` +
      (accuracy === undefined ? "" : `, accuracy ${formatPercent(accuracy)}`),
  );

/** Growth after the warm-up that still counts as none: garbage collection varies that much. */
const FLAT_MIB = 16;

async function measureMemory({ files }: Flags): Promise<Measured> {
  const { paths } = await mnist(Math.min(10_000, 10 * files), QUALITY);
  const parent = (paths[0] as string).replace(/\/[^/]*$/, "");
  const memory = await memoryOfClassify(SHIPPED_MODEL, parent, [
    "--batch",
    "16",
    "--mean",
    "0.1307",
    "--std",
    "0.3081",
  ]);
  return {
    claims: [
      { section: "memory", name: "growth in MiB", value: memory.growth / 2 ** 20, ...atMost(FLAT_MIB) },
    ],
    results: memory,
    lines: [`  ${paths.length} files, resident by quarter: ${memory.quarters.map(formatBytes).join(", ")}`],
  };
}

/** cjpeg's names of samplings, and the common ones. */
const SAMPLINGS: Record<string, string> = { "1x1": "4:4:4", "2x1": "4:2:2", "2x2": "4:2:0" };

async function measurePixels(): Promise<Measured | undefined> {
  const { files, size } = await sampled(say);
  if (files.length === 0) return undefined;
  const rows = await comparePixels(files, size);
  const worst = (of: (row: PixelRow) => number) => Math.max(...rows.map(of));
  return {
    claims: FORMS.flatMap((form): Claim[] => [
      {
        section: "pixels",
        name: `${form}, mean difference in levels`,
        value: worst((row) => row[form].mean),
        ...atMost(0.5),
      },
      {
        section: "pixels",
        name: `${form}, largest difference in levels`,
        value: worst((row) => row[form].largest),
        ...atMost(3),
      },
    ]),
    results: rows,
    lines: columns([
      ["  levels of 255 from djpeg's", "quality", ...FORMS.map((form) => `${form}: mean, largest`)],
      ...rows.map((row) => [
        `  ${row.files} photographs of ${size.width}x${size.height}, ${SAMPLINGS[row.sampling] ?? row.sampling}`,
        String(row.quality),
        ...FORMS.map((form) => `${row[form].mean.toFixed(4)}, ${row[form].largest.toFixed(2)}`),
      ]),
    ]),
  };
}
