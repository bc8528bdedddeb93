import { readdir } from "node:fs/promises";
import { Command } from "commander";
import { JpegDomainError } from "../errors.js";

const FOLDER = new URL("../../bench/", import.meta.url);

/** `jpeg-domain bench`: every speed claim, one module of bench/ each. */
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
  const known = (await readdir(FOLDER))
    .filter((file) => /^[a-z-]+\.js$/.test(file))
    .map((file) => file.slice(0, -3));
  if (name === undefined || name === "--help") {
    console.log(`jpeg-domain bench ${known.join(" | ")}`);
    return;
  }
  if (!known.includes(name))
    throw new JpegDomainError(`no benchmark "${name}"; there are ${known.join(", ")}`);
  const bench = (await import(new URL(`${name}.js`, FOLDER).href)) as { run(args: string[]): Promise<void> };
  await bench.run(args);
}
