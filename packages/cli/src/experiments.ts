import { JpegDomainError } from "@jpeg-domain/coefficients";
import { Command } from "commander";

const PACKAGE = "@jpeg-domain/experiments";

/** The commands of the package with the experiments, and what they do. */
const EXPERIMENTS = {
  demo: "repeat the notebook: a network trained on pixels classifies images from their JPEG coefficients",
  train: "train the notebook's ResNet on pixels (MNIST) and write it as ONNX",
  eval: "evaluate a spatial or converted model on the test images",
  bench: "measure a claim: ours, the peer's and the ratio, from one run",
} as const;

export type ExperimentName = keyof typeof EXPERIMENTS;

/** What the package's entry `commands` exports. */
interface Experiments {
  commands: Record<ExperimentName, () => Command>;
}

/** A command of the experiments by its name, with its description alone. */
export const experimentCommand = (name: ExperimentName): Command =>
  new Command(name).description(EXPERIMENTS[name]);

/**
 * The experiments' commands as `--help` lists them. The package that holds them is loaded only where one of them is
 * named: it is large, and need not be installed.
 */
export async function experimentCommands(args: readonly string[]): Promise<Record<ExperimentName, Command>> {
  // The second word is the command in `help NAME`.
  const isNamed = args.slice(0, 2).some((word) => Object.hasOwn(EXPERIMENTS, word));
  const experiments = isNamed ? await load() : undefined;
  const command = (name: ExperimentName) => experiments?.commands[name]() ?? absent(name);
  return { demo: command("demo"), train: command("train"), eval: command("eval"), bench: command("bench") };
}

async function load(): Promise<Experiments | undefined> {
  try {
    // By a variable: this package builds and bundles without that one.
    return (await import(`${PACKAGE}/commands`)) as Experiments;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" && message.includes(`'${PACKAGE}'`)) return undefined;
    throw error;
  }
}

/** A command that says what has to be installed. */
const absent = (name: ExperimentName): Command =>
  experimentCommand(name)
    .argument("[args...]")
    .allowUnknownOption()
    .action(() => {
      throw new JpegDomainError(`${name} is in a package of its own: npm install ${PACKAGE}`);
    });
