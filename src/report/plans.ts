/** One model converted by every plan, and their throughput side by side. */
import { convertGraph, spatialMultiplyAdds } from "../convert/convert.js";
import { type ConvertOptions, formatRelu } from "../convert/options.js";
import { type Cost, loadingBytes } from "../convert/plan.js";
import { readOnnx, writeOnnx } from "../onnx/file.js";
import { type Classifier, checkMemory, openClassifier } from "../runtime/classifier.js";
import { formatBytes } from "./format.js";
import { type Contestant, interleave, median } from "./measure.js";
import { labelOf, type PlanMeasurement } from "./results.js";

/** The conversions that are compared. The story is about the first two. */
export const CONVERSIONS: ConvertOptions[] = [
  { plan: "fused", relu: "exact" },
  { plan: "fused", relu: { asm: 10 } },
  { plan: "fused", relu: { apx: 10 } },
  { plan: "blockwise", relu: "exact" },
  { plan: "blockwise", relu: { asm: 10 } },
  { plan: "exploded", relu: "exact" },
];

/** A model in one of its forms. */
export interface Candidate {
  plan: PlanMeasurement["plan"];
  relu: string;
  file: Uint8Array;
  /** From the spatial file's bytes to this one's; 0 for the spatial model itself. */
  milliseconds: number;
  cost: Cost;
}

export function spatialCandidate(file: Uint8Array): Candidate {
  const graph = readOnnx(file);
  const bytes = [...graph.initializers.values()].map(({ data }) => data.byteLength);
  const operatorBytes = bytes.reduce((sum, n) => sum + n, 0);
  const multiplyAdds = spatialMultiplyAdds(graph);
  const cost = { multiplyAdds, operatorBytes, largestOperatorBytes: Math.max(0, ...bytes) };
  return { plan: "spatial", relu: "exact", file, milliseconds: 0, cost };
}

export function convertedCandidate(spatial: Uint8Array, options: ConvertOptions): Candidate {
  const start = performance.now();
  const { graph, cost } = convertGraph(readOnnx(spatial), options);
  const file = writeOnnx(graph);
  const milliseconds = performance.now() - start;
  return {
    plan: options.plan ?? "fused",
    relu: formatRelu(options.relu ?? "exact"),
    file,
    milliseconds,
    cost,
  };
}

export interface ComparisonOptions {
  rounds: number;
  onProgress?: (done: number, total: number) => void;
  /** Told before a model is loaded that takes a lot of memory. */
  onLarge?: (message: string) => void;
}

/** A turn of each model lasts about this long, so that all are timed alike. */
const TURN_SECONDS = 0.15;
/** From this many bytes on loading is announced. */
const LARGE = 1e9;

/**
 * Times candidates in turn on one batch of planes. One that does not fit into memory is left out, with a note.
 * @param planes `[N, C, H, W]`
 * @param count N
 */
export async function comparePlans(
  candidates: Candidate[],
  planes: Float32Array,
  count: number,
  { rounds, onProgress, onLarge }: ComparisonOptions,
): Promise<PlanMeasurement[]> {
  const total = candidates.length * (rounds + 1);
  const classifiers: Classifier[] = [];
  const contestants: Contestant[] = [];
  const notes = new Map<Candidate, string>();
  for (const candidate of candidates) {
    const [name, needed] = [labelOf(candidate), loadingBytes(candidate.cost)];
    const refusal = checkMemory(name, candidate.cost);
    if (refusal) {
      notes.set(candidate, `not run: ${refusal}`);
      continue;
    }
    if (needed > LARGE) onLarge?.(`${name} needs ${formatBytes(needed)} while it is loaded`);
    const classifier = await openClassifier(candidate.file);
    classifiers.push(classifier);
    contestants.push({ name, amount: count, ...(await paced(classifier, planes)) });
    onProgress?.(contestants.length, total);
  }
  const loaded = contestants.length;
  const speeds = await interleave(contestants, rounds, (turns) => onProgress?.(loaded + turns, total));
  for (const classifier of classifiers) await classifier.close();

  return candidates.map((candidate) => {
    const { plan, relu, file, cost } = candidate;
    const note = notes.get(candidate);
    const imagesPerSecond = note ? Number.NaN : median(speeds.get(labelOf(candidate)) ?? []);
    const { operatorBytes, multiplyAdds } = cost;
    return {
      plan,
      relu,
      imagesPerSecond,
      fileBytes: file.length,
      operatorBytes,
      multiplyAdds,
      ...(note && { note }),
    };
  });
}

/** What one call does, and how many make a turn. */
async function paced(
  classifier: Classifier,
  planes: Float32Array,
): Promise<Pick<Contestant, "run" | "calls">> {
  const input = classifier.prepare(planes);
  const run = () => classifier.run(input);
  const time = async () => {
    const start = performance.now();
    await run();
    return (performance.now() - start) / 1000;
  };
  const first = await time();
  const seconds = first < TURN_SECONDS ? await time() : first;
  return { run, calls: Math.max(1, Math.round(TURN_SECONDS / seconds)) };
}
