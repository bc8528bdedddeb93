/** Formats numbers and text for the report and the command line. */
import type { JpegDamage } from "@jpeg-domain/coefficients";
import { visible } from "./visible.js";

const TWO_DIGITS = { minimumSignificantDigits: 2, maximumSignificantDigits: 2 };
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** `1234.5` as `1,235`; below 10, two significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  return Math.abs(value) < 10
    ? value.toLocaleString("en-US", { maximumSignificantDigits: 2 })
    : Math.round(value).toLocaleString("en-US");
}

/** Whole numbers with thousands separators. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** `0.9912` as `99.12 %`. */
export function formatPercent(fraction: number): string {
  return Number.isFinite(fraction) ? `${(fraction * 100).toFixed(2)} %` : "n/a";
}

/** `0.000021` as `2.1 × 10⁻⁵`; ordinary notation from 0.01 to 1000. */
export function formatSmall(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.01 && size < 1000) return value.toLocaleString("en-US", TWO_DIGITS);
  const [digits = "", exponent = ""] = value.toExponential(1).split("e");
  return `${digits === "1.0" ? "" : `${digits} × `}${formatPowerOfTen(Number(exponent))}`;
}

/** `-5` as `10⁻⁵`; `0` as `1`. */
export function formatPowerOfTen(exponent: number): string {
  if (exponent === 0) return "1";
  if (exponent === 1) return "10";
  const raised = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${raised}`;
}

/** Decimal units: `309025` as `309 kB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (Math.round(value) >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `0.0123` as `12 ms`, `83.4` as `83 s`, `754` as `12 min 34 s`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "n/a";
  if (seconds < 1) return `${formatNumber(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Text made safe inside HTML and XML, in attributes too. */
export function escapeHtml(text: string): string {
  return visible(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** Rows as aligned lines: the first column is aligned left, the others right. */
export function columns(table: string[][]): string[] {
  const rows = table.map((row) => row.map(visible));
  const widths = (rows[0] as string[]).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] as string).length)),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
      .join("  "),
  );
}

/** A file's damage in one line: the first place, and how many more there are. */
export function damageText([first, ...more]: readonly JpegDamage[]): string {
  const others =
    more.length === 0 ? "" : `, and in ${more.length} more ${more.length === 1 ? "place" : "places"}`;
  return `${first?.message ?? ""}${others}`;
}
