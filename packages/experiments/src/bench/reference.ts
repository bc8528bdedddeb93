/** A network exported by PyTorch, converted with every plan: logits and accuracy against PyTorch's numbers for it. */

import { convert, type PlanName, type Relu } from "@jpeg-domain/conversion";
import { compareLogits, evaluate, openClassifier } from "@jpeg-domain/node";
import { Command } from "commander";
import { columns, formatSmall, openProgress, print, printJson } from "jpeg-domain/internal";
import { labelledPlanes, loadSplit } from "../data/mnist.js";
import { readReference, readReferenceFile, readReferenceLogits } from "./peers/reference.js";

const RELUS: Record<string, Relu> = {
  asm14: "exact",
  asm10: { asm: 10 },
  asm6: { asm: 6 },
  apx10: { apx: 10 },
};
const TOLERANCE = 1e-4;
const CLASSES = 10;

export const command = () =>
  new Command("reference")
    .description("logits and accuracy of a converted PyTorch export, against PyTorch's own")
    .option("--no-exploded", "leave out the exploded plan, which needs gigabytes")
    .option("--json", "print the result as one JSON object")
    .action(run);

interface Row {
  relu: string;
  plan: PlanName;
  maxLogitDifference: number;
  /** Of the first 256 images: those whose logits are all within 1e-4, and those with the reference's prediction. */
  within: number;
  samePredictions: number;
  images: number;
  /** Of 10,000; only counted for the plan fused. */
  correct?: number;
  referenceCorrect?: number;
}

async function run({ exploded, json }: { exploded: boolean; json?: boolean }): Promise<void> {
  const model = await readReferenceFile("mnist-resnet-pytorch.onnx");
  const { correct_of_10000 } = await readReference();
  const test = labelledPlanes(await loadSplit(undefined, "test"));
  const plans: PlanName[] = ["fused", "blockwise", ...(exploded ? (["exploded"] as const) : [])];
  const rows: Row[] = [];
  const total = plans.length * Object.keys(RELUS).length;
  const progress = openProgress({ label: "reference", total, unit: "models" });
  for (const plan of plans)
    for (const [relu, option] of Object.entries(RELUS)) {
      const wanted = await readReferenceLogits(relu);
      const images = wanted.length / CLASSES;
      const classifier = await openClassifier(convert(model, { plan, relu: option }));
      const samples = plan === "fused" ? test : { ...test, count: images };
      const { logits, correct } = await evaluate(classifier, samples);
      await classifier.close();
      const found = logits.subarray(0, wanted.length);
      const whole = plan === "fused" && { correct, referenceCorrect: correct_of_10000[relu] as number };
      rows.push({
        relu,
        plan,
        ...compareLogits(found, wanted, CLASSES),
        within: within(found, wanted),
        images,
        ...whole,
      });
      progress.update(rows.length);
    }
  progress.stop();
  if (json) {
    await printJson({ tolerance: TOLERANCE, rows });
    return;
  }
  await print(
    ...columns([
      [
        "plan",
        "ReLU",
        "largest logit difference",
        "images within 1e-4",
        "same class",
        "of 10,000",
        "reference",
      ],
      ...rows.map((row) => [
        row.plan,
        row.relu,
        formatSmall(row.maxLogitDifference),
        `${row.within} of ${row.images}`,
        `${row.samePredictions} of ${row.images}`,
        String(row.correct ?? "-"),
        String(row.referenceCorrect ?? "-"),
      ]),
    ]),
  );
}

/** The number of images whose logits are all within the tolerance. */
function within(found: Float32Array, wanted: Float32Array): number {
  let count = 0;
  for (let from = 0; from < wanted.length; from += CLASSES) {
    const row = wanted.subarray(from, from + CLASSES);
    if (row.every((value, i) => Math.abs(value - (found[from + i] as number)) <= TOLERANCE)) count++;
  }
  return count;
}
