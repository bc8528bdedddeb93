import type { Command } from "commander";
import type { ExperimentName } from "jpeg-domain/internal";
import { benchCommand } from "./commands/bench.js";
import { demoCommand } from "./commands/demo.js";
import { evalCommand } from "./commands/eval.js";
import { trainCommand } from "./commands/train.js";

/** The commands that `jpeg-domain` takes from this package where it is installed. */
export const commands: Record<ExperimentName, () => Command> = {
  demo: demoCommand,
  train: trainCommand,
  eval: evalCommand,
  bench: benchCommand,
};
