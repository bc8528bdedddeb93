/** Starts processes for tests: scripts that use the built package. */
import { spawn } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BUILT = new URL("../packages/cli/dist/index.js", import.meta.url);
export const COMMAND = new URL("../packages/cli/dist/main.js", import.meta.url);

export interface Ended {
  /** Standard output and error together. */
  text: string;
  /** The exit status, or the signal that ended it. */
  end: number | string | null;
}

interface Settings {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Called with all the output so far. */
  onText?(text: string, kill: (signal: NodeJS.Signals) => void): void;
}

export function runProcess(
  program: string,
  args: readonly string[],
  { cwd, env, onText }: Settings = {},
): Promise<Ended> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], cwd, env });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      text += data;
      onText?.(text, (signal) => child.kill(signal));
    });
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => done({ text, end: code ?? signal }));
  });
}

/** Writes a module with `loadModel` and the constants, and returns its path. */
export async function writeScript(script: string, constants: Record<string, string>): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), "jpeg-domain-script-")), "script.mjs");
  const named = Object.entries(constants).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  const start = `import { loadModel } from ${JSON.stringify(BUILT.href)};`;
  await writeFile(file, [start, ...named, script].join("\n"));
  return file;
}

/** The environment without the variables that tell ONNX Runtime of a test, so that it behaves as for users. */
export function usersEnvironment(): NodeJS.ProcessEnv {
  const hidden =
    /^(CI|ORT_.*|TF_BUILD|GITHUB_ACTIONS|GITLAB_CI|CIRCLECI|TRAVIS|JENKINS_URL|BUILDKITE|APPVEYOR)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.test(name)));
}

/** Results in the order of the items; at most `side` items run at a time. */
export async function sideBySide<T, R>(
  items: readonly T[],
  side: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: side }, worker));
  return results;
}
