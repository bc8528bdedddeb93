import { Command } from "commander";
import { convertGraph } from "../convert/convert.js";
import type { PlanName, Relu } from "../convert/options.js";
import { formatRelu } from "../convert/options.js";
import { loadingBytes } from "../convert/plan.js";
import { writeOnnx } from "../onnx/file.js";
import { formatBytes } from "../report/format.js";
import { conversionLines } from "../report/model-text.js";
import { freeBytes } from "../runtime/classifier.js";
import { planOption, reluOption } from "./arguments.js";
import { readInput, withFile, writeOutput } from "./files.js";
import { parseModel } from "./model-files.js";

interface Flags {
  relu: Relu;
  plan: PlanName;
  json?: boolean;
}

/** `jpeg-domain convert`: a model trained on pixels → a model on JPEG coefficients. */
export function convertCommand(): Command {
  return new Command("convert")
    .description("convert an ONNX model trained on pixels into one that takes JPEG coefficients")
    .argument("<in.onnx>", "the spatial model, one image input")
    .argument("<out.onnx>", "the converted model, one input [N, C, H/8, W/8, 64]")
    .addOption(reluOption())
    .addOption(planOption())
    .option("--json", "print the result as one JSON object")
    .action(run);
}

async function run(input: string, output: string, { relu, plan, json }: Flags): Promise<void> {
  const bytes = await readInput(input);
  const start = performance.now();
  const { graph, cost, report } = await withFile(input, () =>
    convertGraph(parseModel(input, bytes), { relu, plan, memoryLimit: freeBytes() }),
  );
  const file = writeOnnx(graph);
  const milliseconds = performance.now() - start;
  await writeOutput(output, file);
  const loading = loadingBytes(cost);
  if (json) {
    const result = { input, output, plan, relu: formatRelu(relu), milliseconds, fileBytes: file.length };
    console.log(
      JSON.stringify({
        ...result,
        spatialFileBytes: bytes.length,
        ...cost,
        loadingBytes: loading,
        layers: report,
      }),
    );
    return;
  }
  console.log(
    `${output}: plan ${plan}, ReLU ${formatRelu(relu)}, converted in ${milliseconds.toFixed(0)} ms`,
  );
  console.log(`  file      ${formatBytes(file.length)} (spatial model ${formatBytes(bytes.length)})`);
  console.log(`  operators ${formatBytes(cost.operatorBytes)}, about ${formatBytes(loading)} while loading`);
  console.log(`  cost      ${(cost.multiplyAdds / 1e6).toFixed(1)} million multiply-adds an image`);
  for (const line of conversionLines(report)) console.log(`  ${line}`);
}
