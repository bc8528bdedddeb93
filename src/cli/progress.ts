import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  /** Shows that `value` of the total is done, with a free remark such as the loss. */
  update(value: number, note?: string): void;
  /** Prints a line of its own, above the bar where there is one. */
  line(text: string): void;
  stop(): void;
}

export interface ProgressOptions {
  label: string;
  total: number;
  /** What is counted, for the speed: `steps` gives `20.1 steps/s`. */
  unit: string;
  /** Where to begin, for work that goes on. */
  from?: number;
}

/** Without a terminal: at most one line in this many seconds. */
const LINE_INTERVAL = 5;

/**
 * Progress on standard error: a bar with percentage, speed and time left on a terminal, plain lines a few seconds
 * apart elsewhere (logs), without escape codes.
 */
export function openProgress(options: ProgressOptions): Progress {
  return process.stderr.isTTY ? barProgress(options) : lineProgress(options);
}

/** Speed and time left, from the pace since the start. */
function paceSince(from: number, total: number, unit: string) {
  const start = performance.now();
  return (value: number) => {
    const speed = (value - from) / ((performance.now() - start) / 1000);
    if (!Number.isFinite(speed) || speed <= 0) return { speed: `- ${unit}/s`, eta: "-" };
    return { speed: `${speed.toPrecision(3)} ${unit}/s`, eta: duration((total - value) / speed) };
  };
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function barProgress({ label, total, unit, from = 0 }: ProgressOptions): Progress {
  const pace = paceSince(from, total, unit);
  const bar = new SingleBar(
    {
      format: `${label} {bar} {percentage} % | {speed} | {left} left{note}`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  const payload = (value: number, note: string) => {
    const { speed, eta } = pace(value);
    return { speed, left: eta, note: note && ` | ${note}` };
  };
  bar.start(total, from, payload(from, ""));
  let last = from;
  return {
    update(value, note = "") {
      last = value;
      bar.update(value, payload(value, note));
    },
    line(text) {
      process.stderr.write(`\r\u001b[K${text}\n`);
      bar.update(last);
    },
    stop: () => bar.stop(),
  };
}

function lineProgress({ label, total, unit, from = 0 }: ProgressOptions): Progress {
  const pace = paceSince(from, total, unit);
  let printed = performance.now();
  return {
    update(value, note = "") {
      const now = performance.now();
      if (now - printed < LINE_INTERVAL * 1000 && value < total) return;
      printed = now;
      const { speed, eta } = pace(value);
      const percent = Math.floor((100 * value) / total);
      const parts = [`${label} ${percent} %`, speed, `${eta} left`, ...(note ? [note] : [])];
      process.stderr.write(`${parts.join(" | ")}\n`);
    },
    line: (text) => void process.stderr.write(`${text}\n`),
    stop: () => undefined,
  };
}
