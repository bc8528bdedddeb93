import { existsSync } from "node:fs";
import { readCoefficients, readHeader } from "@jpeg-domain/coefficients";
import {
  type Area,
  convertGraph,
  feedsOf,
  type Graph,
  type Preprocess,
  Preprocessor,
  TORCHVISION,
} from "@jpeg-domain/conversion";
import { geometry, jobOf } from "@jpeg-domain/conversion/internal";
import { GraphBuilder } from "@jpeg-domain/conversion/onnx";
import { openSession } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import { median, positiveInteger, print, printJson, say } from "jpeg-domain/internal";
import { Tensor } from "onnxruntime-node";
import type Sharp from "sharp";
import { type Material, material } from "./codec/material.js";
import { checkMaterial, reportUnmeasured } from "./codec/unmeasured.js";

const SIDE = 224;
const AREA = SIDE * SIDE;

const READING = "reading";
const PLANES = "planes";
const OURS = "bytes to planes";
const GRAPH = "graph form";
const SHARP = "sharp";
const JULUSIAN = "@julusian/jpeg-turbo + ORT";

/** Turns last a few milliseconds, so that a clock tick does not matter. */
const TURN_MILLISECONDS = 12;

/** A stage or a peer, ready to run on one file. */
type Runner = () => unknown;

/** A file, and how it is prepared. */
interface Job extends Omit<Material, "path"> {
  preprocess: Preprocess;
  size: Area & { channels: number };
}

/** Sizes at which the two forms of the preprocessing are compared: at half size, and at full size with and without a crop. */
const FORMS: [label: string, geometry: Pick<Preprocess, "resize" | "crop">][] = [
  ["to 320x213, centre 208", { resize: { shortestEdge: 213 }, crop: { height: 208, width: 208 } }],
  ["as it is, centre 224", { crop: { height: SIDE, width: SIDE } }],
  ["to 384x384", { resize: { height: 384, width: 384 } }],
];
const FORMS_FILE = { path: "out/photographs/kleiber.jpg", width: 640, height: 427 };

interface Row {
  file: string;
  megapixels: number;
  progressive: boolean;
  scale: number;
  /** Milliseconds, the median of the rounds. */
  times: Record<string, number>;
  /** Medians of a peer's time divided by ours in the same round. */
  ratios: Record<string, number>;
}

interface Claim {
  name: string;
  over: string;
  required: number;
  files(row: Row): boolean;
}

/** With these ratios the claims of `bench end-to-end` hold for MobileNetV2, whose network takes 2 ms. */
const CLAIMS: Claim[] = [
  {
    name: "sharp's decode, resize, crop and normalise, 0.3 to 2 MP, baseline",
    over: SHARP,
    required: 3.6,
    files: ({ megapixels, progressive }) => megapixels >= 0.3 && megapixels <= 2 && !progressive,
  },
  {
    name: "the same, progressive",
    over: SHARP,
    required: 3,
    files: ({ megapixels, progressive }) => megapixels >= 0.3 && megapixels <= 2 && progressive,
  },
  {
    name: "@julusian/jpeg-turbo's decode and resize in ONNX Runtime, 0.3 to 2 MP",
    over: JULUSIAN,
    required: 1.15,
    files: ({ megapixels }) => megapixels >= 0.3 && megapixels <= 2,
  },
  {
    name: "sharp with shrink-on-load, 12 MP, baseline",
    over: SHARP,
    required: 2,
    files: ({ megapixels, progressive }) => megapixels > 10 && !progressive,
  },
  {
    name: "sharp, 12 MP, progressive",
    over: SHARP,
    required: 4,
    files: ({ megapixels, progressive }) => megapixels > 10 && progressive,
  },
];

/** `jpeg-domain bench preprocess`: from a JPEG file's bytes to a network's planes. */
export const command = () =>
  new Command("preprocess")
    .description(
      "JPEG bytes to a network's planes (256, centre 224), stage by stage, against sharp and libjpeg-turbo",
    )
    .option("--rounds <n>", "rounds for each file", positiveInteger, 9)
    .option("--only <text>", "only files whose name contains the text, such as 2MP or progressive", "")
    .option("--no-graph", "leave out the graph form")
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run(options: { rounds: number; only: string; graph: boolean; json?: boolean }): Promise<void> {
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => undefined,
  );
  if (sharp === undefined) say("no sharp: npm install");
  const files = (await material(sharp, say)).filter(
    ({ name, megapixels }) => name.includes(options.only) && megapixels >= 0.1,
  );
  const size = { height: SIDE, width: SIDE, channels: 3 };
  const jobs: Job[] = files.map((file) => ({ ...file, preprocess: TORCHVISION, size }));
  if (sharp !== undefined && options.graph)
    jobs.push(...(await formsOf(sharp)).filter(({ name }) => name.includes(options.only)));
  checkMaterial(jobs, options.only);
  const rows: Row[] = [];
  for (const job of jobs) {
    const runners = new Map<string, Runner>([...ours(job), ...(options.graph ? await graphForm(job) : [])]);
    if (job.preprocess === TORCHVISION)
      for (const [name, runner] of await peers(sharp, job, say)) runners.set(name, runner);
    const row = await measure(job, runners, options.rounds);
    rows.push(row);
    if (!options.json) await print(line(row));
  }
  const claims = CLAIMS.map((claim) => check(claim, rows));
  reportUnmeasured(claims, options.only === "");
  if (options.json) await printJson({ rows, claims });
  else
    for (const { name, files: count, mean, least, required, holds } of claims)
      if (mean !== undefined)
        await print(
          `${name.padEnd(72)} ${mean.toFixed(2)}x  from ${least?.toFixed(2)}  ${count} files  ` +
            `required ${required.toFixed(2)}  ${holds ? "holds" : "DOES NOT HOLD"}`,
        );
}

/** The photograph at 640x427, 4:2:0, for each of {@link FORMS}. */
async function formsOf(sharp: typeof Sharp): Promise<Job[]> {
  const { path, width, height } = FORMS_FILE;
  if (!existsSync(path)) return [];
  const bytes = new Uint8Array(await sharp(path).resize(width, height, { fit: "fill" }).jpeg().toBuffer());
  const { resize: _resize, crop: _crop, ...rest } = TORCHVISION;
  return FORMS.map(([label, changes]) => {
    const preprocess = { ...rest, ...changes };
    const { crop } = geometry(preprocess, { width, height });
    const size = { height: crop.height, width: crop.width, channels: 3 };
    const megapixels = (width * height) / 1e6;
    return { name: `${width}x${height} ${label}`, megapixels, progressive: false, bytes, preprocess, size };
  });
}

function ours({ bytes, preprocess, size }: Job): [string, Runner][] {
  const out = new Float32Array(size.channels * size.height * size.width);
  const preprocessor = new Preprocessor(preprocess, size);
  const coefficients = preprocessor.coefficientsFor(readHeader(bytes));
  let image = readCoefficients(bytes, { coefficients });
  return [
    [
      READING,
      () => {
        image = readCoefficients(bytes, { coefficients, reuse: image });
      },
    ],
    [PLANES, () => preprocessor.fillFrom(image, out)],
    [OURS, () => preprocessor.fill(bytes, out)],
  ];
}

/** The preprocessing as ONNX nodes, from coefficients that are already read. */
async function graphForm({ bytes, preprocess, size }: Job): Promise<[string, Runner][]> {
  const g = new GraphBuilder("nothing", 17);
  const shape = [1, size.channels, size.height, size.width];
  const x = g.input("image", "float32", shape);
  g.output(g.node("Identity", [x]), "planes", "float32", shape);
  const session = await openSession(convertGraph(g.build(), { input: "jpeg", preprocess }).graph);
  const coefficients = Math.max(...jobOf(readHeader(bytes), preprocess).needed);
  const feeds = feedsOf(readCoefficients(bytes, { coefficients }), preprocess, Tensor);
  return [[GRAPH, () => session.run(feeds)]];
}

async function peers(
  sharp: typeof Sharp | undefined,
  job: Job,
  say: (line: string) => void,
): Promise<[string, Runner][]> {
  const found: [string, Runner][] = sharp === undefined ? [] : [[SHARP, bySharp(sharp, job)]];
  try {
    found.push([JULUSIAN, await byTurbo(job)]);
  } catch (error) {
    say(`no ${JULUSIAN}: ${(error as Error).message.split("\n")[0]}`);
  }
  return found;
}

/** `(pixel · rescale - mean) / std`, from interleaved bytes to planes. */
function normalize(pixels: Uint8Array): Float32Array {
  const planes = new Float32Array(3 * AREA);
  const { rescale, mean, std } = TORCHVISION;
  for (let c = 0; c < 3; c++) {
    const factor = rescale / (std[c] as number);
    const offset = -(mean[c] as number) / (std[c] as number);
    for (let at = 0; at < AREA; at++)
      planes[c * AREA + at] = (pixels[3 * at + c] as number) * factor + offset;
  }
  return planes;
}

function bySharp(sharp: typeof Sharp, { bytes }: Job): Runner {
  const { resized, crop } = geometry(TORCHVISION, readHeader(bytes));
  return async () =>
    normalize(
      await sharp(bytes)
        .resize(resized.width, resized.height, { fit: "fill", kernel: "linear" })
        .extract(crop)
        .removeAlpha()
        .raw()
        .toBuffer(),
    );
}

async function byTurbo({ bytes }: Job): Promise<Runner> {
  const { default: turbo } = await import("@julusian/jpeg-turbo");
  const { width, height } = readHeader(bytes);
  const session = await openSession(resizeGraph({ width, height }));
  const buffer = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  return async () => {
    const { data } = turbo.decompressSync(buffer, { format: turbo.FORMAT_RGB });
    const pixels = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, 3 * width * height);
    return session.run({ pixels: new Tensor("uint8", pixels, [height, width, 3]) });
  };
}

/** ONNX's own antialiased Resize, crop and normalisation of decoded pixels. */
function resizeGraph(file: Area): Graph {
  const { resized, crop } = geometry(TORCHVISION, file);
  const { rescale, mean, std } = TORCHVISION;
  const g = new GraphBuilder("resize", 18);
  const pixels = g.input("pixels", "uint8", [file.height, file.width, 3]);
  const planar = g.node("Transpose", [g.node("Cast", [pixels], { to: 1 })], { perm: [2, 0, 1] });
  const image = g.node("Reshape", [planar, g.ints([1, 3, file.height, file.width])]);
  const small = g.node("Resize", [image, "", "", g.ints([1, 3, resized.height, resized.width])], {
    mode: "linear",
    antialias: 1,
  });
  const ends = [crop.top + crop.height, crop.left + crop.width];
  const middle = g.node("Slice", [small, g.ints([crop.top, crop.left]), g.ints(ends), g.ints([2, 3])]);
  const factors = g.floats(
    std.map((deviation) => rescale / deviation),
    [1, 3, 1, 1],
  );
  const offsets = g.floats(
    std.map((deviation, c) => -(mean[c] as number) / deviation),
    [1, 3, 1, 1],
  );
  const planes = g.node("Add", [g.node("Mul", [middle, factors]), offsets]);
  g.output(planes, "planes", "float32", [1, 3, SIDE, SIDE]);
  return g.build();
}

async function measure(job: Job, runners: Map<string, Runner>, rounds: number): Promise<Row> {
  const turn = async (run: Runner, calls: number): Promise<number> => {
    const start = performance.now();
    for (let call = 0; call < calls; call++) await run();
    return (performance.now() - start) / calls;
  };
  const calls = new Map<string, number>();
  for (const [name, run] of runners) {
    await turn(run, 2);
    calls.set(name, Math.max(1, Math.min(30, Math.round(TURN_MILLISECONDS / (await turn(run, 2))))));
  }
  const times = new Map([...runners.keys()].map((name) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of runners)
      (times.get(name) as number[]).push(await turn(run, calls.get(name) as number));
  const own = times.get(OURS) as number[];
  const entries = [...times];
  return {
    file: job.name,
    megapixels: job.megapixels,
    progressive: job.progressive,
    scale: jobOf(readHeader(job.bytes), job.preprocess).scale,
    times: Object.fromEntries(entries.map(([name, values]) => [name, median(values)])),
    ratios: Object.fromEntries(
      entries.map(([name, values]) => [name, median(values.map((value, i) => value / (own[i] as number)))]),
    ),
  };
}

function check({ name, over, required, files }: Claim, rows: Row[]) {
  const ratios = rows.filter(files).flatMap((row) => row.ratios[over] ?? []);
  if (ratios.length === 0) return { name, required, files: 0, holds: undefined };
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  return {
    name,
    required,
    files: ratios.length,
    mean,
    least: Math.min(...ratios),
    holds: mean >= required,
  };
}

function line({ file, scale, times, ratios }: Row): string {
  const cells = Object.entries(times).map(([name, time]) =>
    [SHARP, JULUSIAN].includes(name)
      ? `${name} ${time.toFixed(2)} (${ratios[name]?.toFixed(2)}x)`
      : `${name} ${time.toFixed(2)}`,
  );
  return `${file} at ${scale}/8: ${cells.join(", ")}`;
}
