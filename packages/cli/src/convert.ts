import { convertGraph, type PlanName, type Relu, writeOnnx } from "@jpeg-domain/conversion";
import { approximations, formatRelu, loadingBytes } from "@jpeg-domain/conversion/internal";
import { findModel, freeBytes, parseModel } from "@jpeg-domain/node/internal";
import { Command } from "commander";
import { type InputFlag, inputOption, planOption, reluOption } from "./arguments.js";
import { readInput, withFile } from "./files.js";
import { checkOutput, isStandardOutput, KINDS, writeOutput } from "./outputs.js";
import { addPreprocessOptions, type PreprocessFlags, preprocessOf } from "./preprocess.js";
import { print, printJson, say } from "./print.js";
import { formatBytes } from "./views/format.js";
import { conversionLines } from "./views/model-text.js";

interface Flags extends PreprocessFlags {
  relu: Relu;
  plan: PlanName;
  input: InputFlag;
  json?: boolean;
}

/** `jpeg-domain convert`: converts a model trained on pixels into one that takes JPEG coefficients. */
export function convertCommand(): Command {
  const command = new Command("convert")
    .description("convert an ONNX model trained on pixels into one that takes JPEG coefficients")
    .argument(
      "<in.onnx>",
      "the spatial model: an ONNX file or a model hub's folder; its other inputs stay inputs unless --input gives their values",
    )
    .argument("<out.onnx>", "the converted model")
    .addOption(reluOption())
    .addOption(planOption())
    .addOption(inputOption())
    .option("--json", "print the result as one JSON object")
    .action(run);
  return addPreprocessOptions(command);
}

async function run(
  input: string,
  output: string,
  { relu, plan, json, ...flags }: Flags,
  command: Command,
): Promise<void> {
  const preprocess = await preprocessOf(flags);
  if (Object.keys(preprocess).length > 0 && flags.input.kind !== "jpeg")
    command.error("error: options for preparing photographs need --input jpeg");
  if (json && isStandardOutput(output))
    command.error("error: --json prints to standard output, expected another path for the model");
  const found = await withFile(input, () => findModel(input));
  const bytes = await readInput(found.model);
  await checkOutput(output, KINDS.converted, [found.model]);
  const start = performance.now();
  const { graph, cost, report, assumed, renamed } = await withFile(input, () =>
    convertGraph(parseModel(found.model, bytes), {
      relu,
      plan,
      input: flags.input.kind,
      ...(flags.input.values && { inputs: flags.input.values }),
      preprocess: { ...found.preprocess, ...preprocess },
      memoryLimit: freeBytes(),
    }),
  );
  if (assumed) say(`${input}: ${assumed}`);
  for (const [name, now] of renamed ?? [])
    say(`${input}: output "${name}" is renamed "${now}", because converted models have an input "${name}"`);
  const activations = relu === "exact" ? undefined : approximations(report);
  const file = writeOnnx(graph);
  const milliseconds = performance.now() - start;
  await writeOutput(output, file, KINDS.converted, [found.model]);
  const loading = loadingBytes(cost);
  if (json) {
    const result = { input, output, plan, relu: formatRelu(relu), milliseconds, fileBytes: file.length };
    await printJson({
      ...result,
      spatialFileBytes: bytes.length,
      ...cost,
      ...(activations && { activations }),
      loadingBytes: loading,
      layers: report,
    });
    return;
  }
  const write = isStandardOutput(output) ? say : print;
  await write(
    `${output}: plan ${plan}, ReLU ${formatRelu(relu)}, converted in ${milliseconds.toFixed(0)} ms`,
    `  file      ${formatBytes(file.length)} (spatial model ${formatBytes(bytes.length)})`,
    `  operators ${formatBytes(cost.operatorBytes)}, about ${formatBytes(loading)} while loading`,
    `  cost      ${(cost.multiplyAdds / 1e6).toFixed(1)} million multiply-adds per image`,
    ...conversionLines(report).map((line) => `  ${line}`),
  );
}
