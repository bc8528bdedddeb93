/**
 * Throughput of the converted networks of every plan, divided by the spatial network's, interleaved, on one batch of
 * MNIST.
 *
 * The floor of a plan is the spatial network's multiplications divided by the plan's: the ratio if every multiplication
 * took the same time and nothing else took any.
 */
import { Command } from "commander";
import {
  columns,
  formatCount,
  openProgress,
  positiveInteger,
  print,
  printJson,
  readInput,
  say,
} from "jpeg-domain/internal";
import { labelledPlanes, loadSplit } from "../data/mnist.js";
import { SHIPPED_MODEL } from "../data/shipped-model.js";
import { CONVERSIONS, comparePlans, convertedCandidate, spatialCandidate } from "../report/plans.js";
import { labelOf, type PlanMeasurement } from "../report/results.js";

interface Flags {
  model: string;
  batch: number;
  rounds: number;
  exploded: boolean;
  json?: boolean;
}

const REQUIRED: Record<string, number> = { "fused, exact": 0.95, "fused, asm:10": 0.45 };
const REQUIRED_OVER_EXPLODED = 50;

export const command = () =>
  new Command("plans")
    .description("throughput of every plan, against the spatial model's")
    .option("--model <file>", "a spatial model of 32x32 planes", SHIPPED_MODEL)
    .option("--batch <n>", "images per batch", positiveInteger, 128)
    .option("--rounds <n>", "rounds", positiveInteger, 30)
    .option("--no-exploded", "leave out the exploded plan, which needs gigabytes")
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run({ model, batch, rounds, exploded, json }: Flags): Promise<void> {
  const file = await readInput(model);
  const conversions = CONVERSIONS.filter(({ plan }) => exploded || plan !== "exploded");
  const converted = conversions.map((options) => convertedCandidate(file, options));
  const planes = labelledPlanes(await loadSplit(undefined, "test")).planes(0, batch);
  const candidates = [spatialCandidate(file), ...converted];
  const progress = openProgress({ label: "plans", total: 1, unit: "of the rounds" });
  const plans = await comparePlans(candidates, planes, batch, {
    rounds,
    onProgress: (done, total) => progress.update(done / total),
    onLarge: (text) => say(text),
  }).finally(() => progress.stop());

  const [spatial] = plans as [PlanMeasurement];
  const rows = plans.map((plan) => ({
    ...plan,
    floor: spatial.multiplyAdds / plan.multiplyAdds,
    required: REQUIRED[labelOf(plan)],
  }));
  const ofSpatial = (label: string) => plans.find((plan) => labelOf(plan) === label)?.ofSpatial ?? Number.NaN;
  const overExploded = ofSpatial("fused, exact") / ofSpatial("exploded, exact");
  if (json) {
    await printJson({
      batch,
      rounds,
      plans: rows,
      overExploded,
      requiredOverExploded: REQUIRED_OVER_EXPLODED,
    });
    return;
  }
  const table = rows.map((row) => [
    labelOf(row),
    row.note ? "not run" : formatCount(Math.round(row.imagesPerSecond)),
    row.note ? "-" : row.ofSpatial.toFixed(3),
    row.floor.toFixed(3),
    row.required?.toFixed(2) ?? "-",
  ]);
  await print(
    ...columns([[`batch ${batch}`, "images/s", "of spatial", "floor by operations", "required"], ...table]),
  );
  for (const row of rows) if (row.note) await print(`${labelOf(row)}: ${row.note}`);
  if (exploded && Number.isFinite(overExploded))
    await print("", `fused over exploded ${overExploded.toFixed(0)}, required ${REQUIRED_OVER_EXPLODED}`);
}
