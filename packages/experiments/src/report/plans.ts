/** Converts one model with every plan, and compares their throughput. */
import { type ConvertOptions, type Cost, convertGraph, readOnnx, writeOnnx } from "@jpeg-domain/conversion";
import { formatRelu, loadingBytes, spatialMultiplyAdds } from "@jpeg-domain/conversion/internal";
import { type Classifier, openClassifier } from "@jpeg-domain/node";
import { checkMemory } from "@jpeg-domain/node/internal";
import { type Contestant, formatBytes, interleave, median } from "jpeg-domain/internal";
import { labelOf, type PlanMeasurement } from "./results.js";

/** The conversions that are compared. The report also evaluates the first two. */
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
  /** The time from the spatial file's bytes to this file's; 0 for the spatial model itself. */
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
  /** Rounds for each small model; a large one gets a fifth of them. */
  rounds: number;
  onProgress?: (done: number, total: number) => void;
  /** Called before a model is loaded that needs a lot of memory. */
  onLarge?: (message: string) => void;
}

/** Each model's turn lasts about this long, so that all are timed alike. */
const TURN_SECONDS = 0.1;
/** How often the small models are opened anew. */
const OPENINGS = 5;
/** A model that needs more bytes than this to load is announced, and timed only with the spatial model. */
const LARGE = 1e9;

/**
 * Times candidates in turn on one batch of planes. The first is the spatial model. A candidate that does not fit into
 * memory is left out, with a note.
 * @param planes `[N, C, H, W]`
 * @param count N
 */
export async function comparePlans(
  candidates: Candidate[],
  planes: Float32Array,
  count: number,
  { rounds, onProgress, onLarge }: ComparisonOptions,
): Promise<PlanMeasurement[]> {
  const isLarge = ({ cost }: Candidate) => loadingBytes(cost) > LARGE;
  const small = candidates.filter((candidate) => !isLarge(candidate));
  // A large model reads gigabytes in each turn, which slows down the next model, so it gets its own group.
  const groups = [small, ...candidates.filter(isLarge).map((large) => [...small.slice(0, 1), large])];
  const perOpening = Math.ceil(rounds / OPENINGS);
  const openings = (group: Candidate[]) => (group === small ? OPENINGS : 1);
  const total = groups.reduce((sum, group) => sum + group.length * openings(group) * (perOpening + 1), 0);
  const ofSpatial = new Map<Candidate, number>();
  let spatialSpeed = Number.NaN;
  const notes = new Map<Candidate, string>();
  let done = 0;
  for (const group of groups) {
    const last = group.at(-1) as Candidate;
    const refusal = checkMemory(labelOf(last), last.cost);
    if (refusal) {
      notes.set(last, `not run: ${refusal}`);
      continue;
    }
    if (isLarge(last))
      onLarge?.(`${labelOf(last)} needs ${formatBytes(loadingBytes(last.cost))} while it is loaded`);
    const often = { rounds: perOpening, openings: openings(group) };
    const speeds = await timeTogether(group, planes, count, often, () => {
      done++;
      onProgress?.(done, total);
    });
    const spatial = speeds.get(group[0] as Candidate) as number[];
    if (group === small) spatialSpeed = median(spatial);
    for (const [candidate, own] of speeds) {
      const ratios = own.map((speed, round) => speed / (spatial[round] as number));
      if (!ofSpatial.has(candidate)) ofSpatial.set(candidate, median(ratios));
    }
  }
  return candidates.map((candidate) => {
    const { plan, relu, file, cost } = candidate;
    const { operatorBytes, multiplyAdds } = cost;
    const note = notes.get(candidate);
    const share = ofSpatial.get(candidate) ?? Number.NaN;
    return {
      plan,
      relu,
      imagesPerSecond: spatialSpeed * share,
      ofSpatial: share,
      fileBytes: file.length,
      operatorBytes,
      multiplyAdds,
      ...(note && { note }),
    };
  });
}

/**
 * Images per second of each candidate in each round. The models are reopened several times, in a different order each
 * time: where a session's memory happens to be makes it several per cent faster or slower for its whole life.
 */
async function timeTogether(
  candidates: Candidate[],
  planes: Float32Array,
  count: number,
  { rounds, openings }: { rounds: number; openings: number },
  onStep: () => void,
): Promise<Map<Candidate, number[]>> {
  const speeds = new Map(candidates.map((candidate) => [candidate, [] as number[]]));
  for (let opening = 0; opening < openings; opening++) {
    const order = [...candidates.slice(opening), ...candidates.slice(0, opening)];
    const classifiers: Classifier[] = [];
    const contestants: Contestant[] = [];
    for (const candidate of order) {
      const classifier = await openClassifier(candidate.file);
      classifiers.push(classifier);
      contestants.push({ name: labelOf(candidate), amount: count, ...(await paced(classifier, planes)) });
      onStep();
    }
    const found = await interleave(contestants, rounds, onStep);
    for (const candidate of order) speeds.get(candidate)?.push(...(found.get(labelOf(candidate)) ?? []));
    for (const classifier of classifiers) await classifier.close();
  }
  return speeds;
}

/** The call to time, and how many calls make a turn. */
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
