/** Runs the command as a separate process. */
import { spawn } from "node:child_process";
import { MAIN } from "./terminal.js";

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
  seconds: number;
}

export interface RunOptions {
  cwd: string;
  /** A file or descriptor for standard output, in place of a pipe. */
  stdout?: number;
  /** Shell words before the command, such as `ulimit -f 8;`. */
  before?: string;
  /** The process is killed after this many milliseconds; `signal` then says so. */
  timeout?: number;
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

export function jpegDomain(args: readonly string[], options: RunOptions): Promise<Ended> {
  const { cwd, stdout = "pipe", before, timeout = 60_000 } = options;
  const words = [MAIN, ...args];
  const start = performance.now();
  const settings = {
    cwd,
    timeout,
    killSignal: "SIGKILL" as const,
    stdio: ["ignore", stdout, "pipe"] as const,
  };
  const child =
    before === undefined
      ? spawn(process.execPath, words, { ...settings, stdio: [...settings.stdio] })
      : spawn("bash", ["-c", `${before} exec ${[process.execPath, ...words].map(quoted).join(" ")}`], {
          ...settings,
          stdio: [...settings.stdio],
        });
  const pieces: Buffer[] = [];
  let stderr = "";
  child.stdout?.on("data", (data: Buffer) => pieces.push(data));
  child.stderr?.on("data", (data: Buffer) => {
    stderr += data;
  });
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code, signal) =>
      done({
        code,
        signal,
        stdout: Buffer.concat(pieces),
        stderr,
        seconds: (performance.now() - start) / 1000,
      }),
    );
  });
}

/** The lines that start with "error"; progress and assumptions may come before them. */
export const errorsIn = ({ stderr }: Pick<Ended, "stderr">): string[] =>
  stderr.split("\n").filter((line) => line.startsWith("error") || /^\s+at |^[A-Z]\w*Error/.test(line));
