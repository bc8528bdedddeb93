/**
 * From a JPEG file's bytes to logits: our pipeline, sharp and jpeg-turbo in turn, stage by stage, with the required
 * ratios. A section whose files or models are missing says so and is left out.
 */

import { JpegDomainError } from "@jpeg-domain/coefficients";
import { Command, Option } from "commander";
import { positiveInteger } from "jpeg-domain/internal";
import { type Flags, SECTIONS } from "./end-to-end/options.js";

export const command = () =>
  new Command("end-to-end")
    .description("bytes to logits, MobileNetV2 and MNIST, against sharp and jpeg-turbo; pixels against djpeg")
    .addOption(new Option("--only <sections...>", "only these").choices(SECTIONS).default([...SECTIONS]))
    .option("--files <n>", "the most single photographs, and a tenth of each folder", positiveInteger, 1000)
    .option("--rounds <n>", "rounds; the median counts", positiveInteger, 5)
    .option(
      "--threads <n>",
      "threads of the network for single files (default: ONNX Runtime's)",
      positiveInteger,
    )
    .option("--json", "print the result as one JSON object")
    .action(start);

/** The peers are not dependencies of the package, so they are imported only here. */
async function start(flags: Flags): Promise<void> {
  const { run } = await import("./end-to-end/run.js").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new JpegDomainError("a peer is not installed: npm install sharp @julusian/jpeg-turbo");
  });
  await run(flags);
}
