#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { JpegDomainError } from "../errors.js";
import { benchCommand } from "./bench.js";
import { coefficientsCommand } from "./coefficients.js";
import { convertCommand } from "./convert.js";
import { demoCommand } from "./demo.js";
import { evalCommand } from "./eval.js";
import { inspectCommand } from "./inspect.js";
import { trainCommand } from "./train.js";

/** Exit status: the work failed, or the arguments are off. */
const [FAILED, MISUSED] = [1, 2];

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("jpeg-domain")
  .description("Convolutional networks straight on JPEG coefficients: train, convert, evaluate.")
  .version(version)
  .enablePositionalOptions()
  .showHelpAfterError("(jpeg-domain help shows how it is used)")
  .configureOutput({ outputError: (text, write) => write(text.replace(/\n(?=.)/g, " ")) });
for (const command of [
  demoCommand(),
  trainCommand(),
  convertCommand(),
  evalCommand(),
  inspectCommand(),
  coefficientsCommand(),
  benchCommand(),
])
  program.addCommand(command.copyInheritedSettings(program).exitOverride());

try {
  await program.exitOverride().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : MISUSED;
  else {
    process.exitCode = FAILED;
    console.error(error instanceof JpegDomainError ? `error: ${error.message}` : error);
  }
}
