/** Runs the command on a pseudo-terminal, and returns what a person would see on the screen. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import xterm from "@xterm/headless";

export const MAIN = fileURLToPath(new URL("../packages/cli/dist/main.js", import.meta.url));

/** util-linux's `script` makes the terminal; other programs of this name have other arguments. */
export const HAS_TERMINAL = /util-linux/.test(
  spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "",
);

export interface Seen {
  code: number | null;
  /** The lines on the screen and above it, up to the last one with text. */
  lines: string[];
  /** The lines that the terminal had to break. */
  broken: string[];
  /** All output, with escape sequences. */
  raw: string;
  isCursorShown: boolean;
}

export interface TerminalOptions {
  cwd: string;
  columns?: number;
  env?: Record<string, string>;
  /** Added to the command line for the shell, such as `>out.txt`. */
  redirect?: string;
  /** When this appears, Ctrl-C is pressed. */
  interrupt?: RegExp;
}

const CTRL_C = "\u0003";
const [HIDE_CURSOR, SHOW_CURSOR] = ["\u001b[?25l", "\u001b[?25h"] as const;
const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Runs `jpeg-domain` with these arguments on a terminal. */
export async function onTerminal(args: readonly string[], options: TerminalOptions): Promise<Seen> {
  const { cwd, columns = 80, env = {}, redirect = "", interrupt } = options;
  const words = [process.execPath, MAIN, ...args].map(quoted).join(" ");
  const line = `stty cols ${columns} rows 24 && exec ${words} ${redirect}`;
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...inherited } = process.env;
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", line, "/dev/null"], {
    cwd,
    env: { ...inherited, TERM: "xterm-256color", SHELL: "/bin/sh", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {});
  const pieces: Buffer[] = [];
  let isPressed = false;
  child.stdout.on("data", (data: Buffer) => {
    pieces.push(data);
    if (interrupt === undefined || isPressed || !interrupt.test(Buffer.concat(pieces).toString())) return;
    isPressed = true;
    child.stdin.write(CTRL_C);
  });
  const code = await new Promise<number | null>((done, failed) => {
    child.on("error", failed);
    child.on("close", done);
  });
  const raw = Buffer.concat(pieces);
  return { code, raw: raw.toString(), ...(await display(raw, columns)) };
}

async function display(
  raw: Uint8Array,
  cols: number,
): Promise<Pick<Seen, "lines" | "broken" | "isCursorShown">> {
  const terminal = new xterm.Terminal({ cols, rows: 24, scrollback: 5000, allowProposedApi: true });
  await new Promise<void>((done) => terminal.write(raw, done));
  const { buffer } = terminal;
  const [lines, broken]: string[][] = [[], []] as [string[], string[]];
  for (let row = 0; row < buffer.active.length; row++) {
    const line = buffer.active.getLine(row);
    const text = line?.translateToString(true) ?? "";
    if (!line?.isWrapped) lines?.push(text);
    else {
      const whole = `${lines?.pop() ?? ""}${text}`;
      lines?.push(whole);
      broken?.push(whole);
    }
  }
  while (lines?.at(-1) === "") lines.pop();
  const written = Buffer.from(raw).toString();
  const isCursorShown = written.lastIndexOf(HIDE_CURSOR) <= written.lastIndexOf(SHOW_CURSOR);
  terminal.dispose();
  return { lines: lines ?? [], broken: broken ?? [], isCursorShown };
}
