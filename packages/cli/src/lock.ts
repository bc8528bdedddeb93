/** Lets one process at a time use a file: a lock file beside it names the process. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { JpegDomainError } from "@jpeg-domain/coefficients";
import { MOST_BYTES, readRegularFile } from "@jpeg-domain/node/internal";

interface Holder {
  pid: number;
  host: string;
  /** When the process started, if the system says: another process may get the same number later. */
  started?: string;
}

/**
 * Locks a file until the returned function is called or the process ends. A lock whose process has ended is taken over.
 * @throws {JpegDomainError} if another process holds the lock
 */
export function lock(path: string): () => void {
  const name = `${path}.lock`;
  const own = JSON.stringify(self());
  while (!take(name, own)) clearStale(name);
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

/** Removes a lock whose process has ended. */
function clearStale(name: string): void {
  const aside = `${name}.${process.pid}`;
  try {
    refuseAlive(name, textOf(name));
    renameSync(name, aside);
  } catch (error) {
    // It was released, or another process was faster.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = textOf(aside);
  rmSync(aside);
  try {
    refuseAlive(name, moved);
  } catch (error) {
    // Another process had cleared and taken the lock meanwhile: it gets the lock back.
    take(name, moved);
    throw error;
  }
}

const textOf = (name: string): string => Buffer.from(readRegularFile(name, MOST_BYTES.text)).toString("utf8");

/** @throws {JpegDomainError} if the process that wrote the lock is alive, or no process wrote it */
function refuseAlive(name: string, text: string): void {
  const holder = parse(text);
  if (holder === undefined)
    throw new JpegDomainError(`${name} exists and is not a process's lock, expected no such file; delete it`);
  if (!isAlive(holder)) return;
  const where = holder.host === hostname() ? "" : ` on ${holder.host}`;
  throw new JpegDomainError(
    `process ${holder.pid}${where} is writing to it, expected one process at a time (if there is no such process, delete ${name})`,
  );
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1 || typeof host !== "string")
      return undefined;
    return { pid, host, ...(typeof started === "string" && { started }) };
  } catch {
    return undefined;
  }
}

function self(): Holder {
  const started = startOf(process.pid);
  return { pid: process.pid, host: hostname(), ...(started !== undefined && { started }) };
}

/** A process on another machine counts as alive, because it cannot be checked. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return started === undefined || started === startOf(pid);
}

/** Linux only: field 22 of /proc/PID/stat, in ticks since the machine started. It follows a name that may hold spaces. */
function startOf(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
