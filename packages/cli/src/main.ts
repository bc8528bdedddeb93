#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { describeFailure, fileFailure } from "@jpeg-domain/node/internal";
import { Command, CommanderError } from "commander";
import { classifyCommand } from "./classify.js";
import { coefficientsCommand } from "./coefficients.js";
import { compareCommand } from "./compare.js";
import { convertCommand } from "./convert.js";
import { experimentCommands } from "./experiments.js";
import { inspectCommand } from "./inspect.js";
import { BROKEN_PIPE, endWith } from "./interrupt.js";
import { say, sayError, setStatus } from "./print.js";

/** Exit status: the work failed, or the arguments are wrong. */
const [FAILED, MISUSED] = [1, 2];

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("jpeg-domain")
  .description("Neural networks that run straight on JPEG files: read, train, convert, evaluate.")
  .version(version)
  .enablePositionalOptions()
  .configureHelp({ subcommandTerm: (command) => command.name(), minWidthToWrap: 20 })
  .configureOutput({
    outputError: (text) => say(`${text.trim().replaceAll(/\s*\n\s*/g, " ")} (see jpeg-domain help)`),
  });
const experiments = await experimentCommands(process.argv.slice(2));
for (const command of [
  experiments.demo,
  experiments.train,
  convertCommand(),
  experiments.eval,
  classifyCommand(),
  compareCommand(),
  inspectCommand(),
  coefficientsCommand(),
  experiments.bench,
])
  program.addCommand(command.copyInheritedSettings(program).exitOverride());

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that stops early, such as head, is not a failure: end as SIGPIPE would.
  if (error.code === "EPIPE") return endWith(BROKEN_PIPE);
  if (process.exitCode !== FAILED) fail(fileFailure(error, "standard output"));
  endWith(FAILED);
});
// If standard error is closed, messages have nowhere to go.
process.stderr.on("error", () => undefined);

try {
  await program.exitOverride().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : MISUSED;
  else fail(error);
}

function fail(error: unknown): void {
  setStatus("");
  process.exitCode = FAILED;
  const failure = describeFailure(error);
  if (isExpected(failure)) sayError(failure.message);
  else say(...inspect(error).split("\n"));
}

/** Failures of the work or the system are printed as one line; anything else is a bug and is printed with its stack. */
function isExpected(error: unknown): error is Error {
  return error instanceof JpegDomainError || (error instanceof Error && "syscall" in error);
}
