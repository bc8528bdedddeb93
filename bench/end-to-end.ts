/**
 * From a JPEG file's bytes to logits: ours beside sharp and jpeg-turbo, stage by stage, in turns, with what is required.
 * A section that lacks its material says so and is left out.
 */
import { Command, Option } from "commander";
import { positiveInteger } from "../src/cli/arguments.js";
import { JpegDomainError } from "../src/errors.js";
import { type Flags, SECTIONS } from "./end-to-end/options.js";

export const command = () =>
  new Command("end-to-end")
    .description("bytes to logits, MobileNetV2 and MNIST: beside sharp and jpeg-turbo; pixels beside djpeg's")
    .addOption(new Option("--only <sections...>", "some of them").choices(SECTIONS).default([...SECTIONS]))
    .option("--files <n>", "photographs one at a time, and tenths of the folders", positiveInteger, 1000)
    .option("--rounds <n>", "turns of each, of which the median counts", positiveInteger, 5)
    .option(
      "--threads <n>",
      "of the network for one file at a time (default: ONNX Runtime's)",
      positiveInteger,
    )
    .option("--json", "print the result as one JSON object")
    .action(start);

/** The peers are no dependencies of the package, so they are asked for no sooner than here. */
async function start(flags: Flags): Promise<void> {
  const { run } = await import("./end-to-end/run.js").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new JpegDomainError("a peer is not installed: npm install sharp @julusian/jpeg-turbo");
  });
  await run(flags);
}
