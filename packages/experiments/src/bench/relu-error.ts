/** The error of ASM and APX against ReLU (the paper's figure), with an independent implementation's numbers. */
import { Command } from "commander";
import { columns, openProgress, positiveInteger, print, printJson } from "jpeg-domain/internal";
import { RELU_GRAPHS, reluErrors } from "../report/relu-error.js";
import { readReference } from "./peers/reference.js";

export const command = () =>
  new Command("relu-error")
    .description("error of ASM and APX against ReLU for every n, with the reference's")
    .option("--blocks <n>", "random blocks", positiveInteger, 1_000_000)
    .option("--json", "print the result as one JSON object")
    .action(run);

async function run({ blocks, json }: { blocks: number; json?: boolean }): Promise<void> {
  const progress = openProgress({ label: "relu-error", total: RELU_GRAPHS, unit: "graphs" });
  const onProgress = (done: number) => progress.update(done);
  const points = await reluErrors({ blocks, onProgress }).finally(() => progress.stop());
  const { relu_rmse_asm_apx } = await readReference();
  const rows = points.map((point) => {
    const [asm, apx] = relu_rmse_asm_apx[point.n + 1] ?? [];
    return { ...point, referenceAsm: asm, referenceApx: apx };
  });
  if (json) {
    await printJson({ blocks, points: rows });
    return;
  }
  const digits = (value: number | undefined) => value?.toFixed(5) ?? "-";
  await print(
    ...columns([
      ["n", "frequencies", "ASM", "reference", "APX", "reference"],
      ...rows.map(({ n, asm, apx, referenceAsm, referenceApx }) => [
        String(n),
        String(n + 1),
        ...[asm, referenceAsm, apx, referenceApx].map(digits),
      ]),
    ]),
  );
}
