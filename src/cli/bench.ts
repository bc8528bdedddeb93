import { readdir } from "node:fs/promises";
import { Command } from "commander";
import { JpegDomainError } from "../errors.js";

const FOLDER = new URL("../../bench/", import.meta.url);

/** `jpeg-domain bench`: every speed claim, one module of bench/ each, which exports its `command`. */
export function benchCommand(): Command {
  return new Command("bench")
    .description("measure a claim: ours, the peer's and the ratio, from one run")
    .argument("[name]", "which; without it, the list")
    .argument("[args...]", "passed on; --help lists them")
    .passThroughOptions()
    .helpOption(false)
    .action(run);
}

async function run(name: string | undefined, args: string[]): Promise<void> {
  const names = (await readdir(FOLDER)).flatMap((file) => /^([a-z-]+)\.js$/.exec(file)?.[1] ?? []);
  if (name === undefined || name === "--help") {
    console.log("jpeg-domain bench NAME [options]\n");
    for (const each of names) console.log(`  ${each.padEnd(12)} ${(await load(each)).description()}`);
    return;
  }
  if (!names.includes(name))
    throw new JpegDomainError(`no benchmark "${name}"; there are ${names.join(", ")}`);
  const command = await load(name);
  await command.exitOverride().parseAsync(args, { from: "user" });
}

async function load(name: string): Promise<Command> {
  const { command } = (await import(new URL(`${name}.js`, FOLDER).href)) as { command(): Command };
  return command();
}
