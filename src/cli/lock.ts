/** One process at a time for a file: a file beside it that says whose it is. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { JpegDomainError } from "../errors.js";
import { MOST_BYTES, readRegularFile } from "../runtime/read-file.js";

interface Holder {
  pid: number;
  host: string;
  /** When the process began, where the system tells: another may have its number later. */
  began?: string;
}

/**
 * Takes the lock of a file, until the function that this returns is called or the process ends. A lock of a process that
 * is no more is taken over.
 * @throws {JpegDomainError} where another process has it
 */
export function lock(path: string): () => void {
  const name = `${path}.lock`;
  const own = JSON.stringify(self());
  while (!take(name, own)) clear(name);
  const release = () => rmSync(name, { force: true });
  process.once("exit", release);
  return () => {
    process.removeListener("exit", release);
    release();
  };
}

function take(name: string, own: string): boolean {
  try {
    writeFileSync(name, own, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes away a lock whose process is no more. */
function clear(name: string): void {
  const aside = `${name}.${process.pid}`;
  try {
    refuseLiving(name, textOf(name));
    renameSync(name, aside);
  } catch (error) {
    // It was given up, or another process was faster.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = textOf(aside);
  rmSync(aside);
  try {
    refuseLiving(name, moved);
  } catch (error) {
    // Another process had cleared and taken it in between: it gets it back.
    take(name, moved);
    throw error;
  }
}

const textOf = (name: string): string => Buffer.from(readRegularFile(name, MOST_BYTES.text)).toString("utf8");

/** @throws {JpegDomainError} where the process that wrote the lock lives, or no process did */
function refuseLiving(name: string, text: string): void {
  const holder = parse(text);
  if (holder === undefined)
    throw new JpegDomainError(
      `${name} is there and is no lock of a process, expected no such file; delete it`,
    );
  if (!isAlive(holder)) return;
  const where = holder.host === hostname() ? "" : ` on ${holder.host}`;
  throw new JpegDomainError(
    `process ${holder.pid}${where} writes to it at the moment, expected one at a time (where there is no such process, delete ${name})`,
  );
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, began } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1 || typeof host !== "string")
      return undefined;
    return { pid, host, ...(typeof began === "string" && { began }) };
  } catch {
    return undefined;
  }
}

function self(): Holder {
  const began = beginningOf(process.pid);
  return { pid: process.pid, host: hostname(), ...(began !== undefined && { began }) };
}

/** A process of another machine counts as alive: nothing tells. */
function isAlive({ pid, host, began }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return began === undefined || began === beginningOf(pid);
}

/** Linux only: field 22 of its status, in ticks since the machine began, behind a name that may hold spaces. */
function beginningOf(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
