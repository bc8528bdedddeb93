import { readdir } from "node:fs/promises";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { type Command, Help } from "commander";
import { experimentCommand, print } from "jpeg-domain/internal";

const FOLDER = new URL("../bench/", import.meta.url);

/** `jpeg-domain bench`: measures the speed claims. Each one is a module in bench/ that exports its `command`. */
export function benchCommand(): Command {
  return experimentCommand("bench")
    .argument("[name]", "the benchmark; without a name, lists them")
    .argument("[args...]", "options of the benchmark; --help lists them")
    .passThroughOptions()
    .helpOption(false)
    .action(run);
}

async function run(
  name: string | undefined,
  args: string[],
  _options: object,
  bench: Command,
): Promise<void> {
  const names = (await readdir(FOLDER)).flatMap((file) => /^([a-z-]+)\.js$/.exec(file)?.[1] ?? []);
  if (name === undefined || name === "--help") {
    const commands = await Promise.all(names.map(load));
    await print("jpeg-domain bench NAME [options]", "", ...list(commands));
    return;
  }
  if (!names.includes(name))
    throw new JpegDomainError(`there is no benchmark "${name}"; expected one of ${names.join(", ")}`);
  const command = await load(name);
  await command.copyInheritedSettings(bench).exitOverride().parseAsync(args, { from: "user" });
}

/** Names and descriptions, in the layout of `--help`. */
function list(commands: readonly Command[]): string[] {
  const help = Object.assign(new Help(), { helpWidth: process.stdout.columns || 80 });
  const width = Math.max(...commands.map((command) => command.name().length));
  return commands.flatMap((command) =>
    help.formatItem(command.name(), width, command.description(), help).split("\n"),
  );
}

async function load(name: string): Promise<Command> {
  const { command } = (await import(new URL(`${name}.js`, FOLDER).href)) as { command(): Command };
  return command();
}
