/** Checks of values from outside, such as JSON. Each error names the field. */
import { PreprocessError } from "./errors.js";

export type Fields = Record<string, unknown>;

/** The longest side. A longer one is a mistake, and would need gigabytes. */
export const MAX_SIDE = 16384;

/** The most characters of a value that an error repeats. */
const SHOWN = 100;

export function shown(value: unknown): string {
  const text = written(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

function written(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "missing";
  } catch {
    // It is nested too deeply, or contains itself.
    return String(typeof value);
  }
}

export const wrong = (name: string, found: unknown, expected: string) =>
  new PreprocessError(`${name} is ${shown(found)}; expected ${expected}`);

export function object(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(name, value, "an object");
  return value as Fields;
}

/** An object that has only these fields. */
export function objectOf(value: unknown, names: readonly string[], name: string): Fields {
  const fields = object(value, name);
  const unknown = Object.keys(fields).find((key) => fields[key] !== undefined && !names.includes(key));
  if (unknown !== undefined)
    throw new PreprocessError(
      `${name}.${unknown.slice(0, SHOWN)} is not known; the fields are ${names.join(", ")}`,
    );
  return fields;
}

export function number(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(name, value, "a number");
  return value;
}

export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw wrong(name, value, "true or false");
  return value;
}

export function whole(value: unknown, name: string, least = 1): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > MAX_SIDE)
    throw wrong(name, value, `a whole number from ${least} to ${MAX_SIDE}`);
  return value;
}

/** A single number stands for all channels. */
export function perChannel(value: unknown, count: number, name: string, divides = false): number[] {
  const list = typeof value === "number" ? Array<number>(count).fill(value) : value;
  const sound = (entry: unknown) => typeof entry === "number" && Number.isFinite(entry);
  if (!Array.isArray(list) || list.length !== count || !list.every(sound) || (divides && list.includes(0)))
    throw wrong(
      name,
      value,
      `${count} ${count === 1 ? "number" : "numbers"}${divides ? ", none of them 0" : ""}`,
    );
  return [...list] as number[];
}

export function oneOf<T extends string>(value: unknown, choices: readonly T[], name: string): T {
  if (!choices.includes(value as T)) throw wrong(name, value, choices.join(", "));
  return value as T;
}
