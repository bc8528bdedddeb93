import { beforeInterrupt } from "./interrupt.js";
import { say, setStatus, statusWidth } from "./print.js";

export interface Progress {
  /** Shows that `value` of the total is done, with a note such as the loss. */
  update(value: number, note?: string): void;
  stop(): void;
}

export interface ProgressOptions {
  label: string;
  total: number;
  /** What is counted, for the speed: `steps` gives `20.1 steps/s`. */
  unit: string;
  /** Where to start, for resumed work. */
  from?: number;
}

/** Without a terminal: seconds between lines, at least. */
const LINE_INTERVAL = 5;
/** On a terminal: seconds between drawings of the bar, at least. */
const BAR_INTERVAL = 0.1;
/** Width of the bar itself in characters; it is left out if there is less room. */
const [LEAST_BAR, MOST_BAR] = [4, 40];

/**
 * Shows progress on standard error. On a terminal this is a bar with percentage, speed and time left; elsewhere (logs)
 * plain lines a few seconds apart, without escape codes.
 */
export function openProgress({ label, total, unit, from = 0 }: ProgressOptions): Progress {
  const pace = paceSince(from, total, unit);
  const partsAt = (value: number, note: string) => [
    `${Math.floor((100 * value) / Math.max(1e-9, total))} %`,
    ...pace(value),
    ...(note ? [note] : []),
  ];
  return process.stderr.isTTY ? bar(label, total, from, partsAt) : lines(label, total, partsAt);
}

/** Percentage, speed, time left and the note, if there is one. */
type PartsAt = (value: number, note: string) => string[];

/** Speed and time left, from the average speed since the start. */
function paceSince(from: number, total: number, unit: string) {
  const start = performance.now();
  return (value: number): [speed: string, left: string] => {
    const speed = (value - from) / ((performance.now() - start) / 1000);
    if (!Number.isFinite(speed) || speed <= 0) return [`- ${unit}/s`, "- left"];
    return [
      `${speed < 100 ? speed.toPrecision(3) : Math.round(speed)} ${unit}/s`,
      `${duration((total - value) / speed)} left`,
    ];
  };
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Calls `work` at most once in `seconds`. `first` is the time that counts as the last call, in milliseconds. */
function throttled<T extends unknown[]>(seconds: number, first: number, work: (...args: T) => void) {
  let last = first;
  return (...args: T) => {
    if (performance.now() - last < 1000 * seconds) return;
    last = performance.now();
    work(...args);
  };
}

function bar(label: string, total: number, from: number, partsAt: PartsAt): Progress {
  const draw = throttled(BAR_INTERVAL, Number.NEGATIVE_INFINITY, (value: number, note: string) => {
    const text = partsAt(value, note).join(" | ");
    const room = statusWidth() - label.length - text.length - 2;
    const length = room < LEAST_BAR ? 0 : Math.min(MOST_BAR, room);
    const full = Math.round(length * Math.min(1, value / total));
    const drawn = length > 0 ? [`${"█".repeat(full)}${"░".repeat(length - full)}`] : [];
    setStatus([label, ...drawn, text].join(" "));
  });
  const clear = () => setStatus("");
  const release = beforeInterrupt(clear);
  draw(from, "");
  return {
    update: (value, note = "") => draw(value, note),
    stop() {
      release();
      clear();
    },
  };
}

function lines(label: string, total: number, partsAt: PartsAt): Progress {
  const sayLine = (value: number, note: string) => say(`${label} ${partsAt(value, note).join(" | ")}`);
  const sometimes = throttled(LINE_INTERVAL, performance.now(), sayLine);
  return {
    update: (value, note = "") => (value < total ? sometimes : sayLine)(value, note),
    stop: () => undefined,
  };
}
