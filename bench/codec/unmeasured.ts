/** A benchmark that lacks files or a peer claims nothing, and ends with status 1. */
import { say } from "../../src/cli/print.js";
import { JpegDomainError } from "../../src/errors.js";

/** @throws {JpegDomainError} where there are no files */
export function checkMaterial(files: readonly unknown[], only: string): void {
  if (files.length > 0) return;
  const which = only === "" ? "" : ` whose names hold "${only}"`;
  throw new JpegDomainError(`nothing is measured: there are no files${which} to read`);
}

interface Claim {
  name: string;
  required?: number | undefined;
  /** `undefined` where it could not be measured. */
  mean?: number | undefined;
}

/** Tells the claims that are not measured, and why; all of them count where nothing was left out on purpose. */
export function tellUnmeasured(claims: readonly Claim[], isWhole: boolean): void {
  const missing = claims.filter(({ mean }) => mean === undefined);
  for (const { name } of missing) say(`not measured, for want of files or of the peer: ${name}`);
  const isFailed = isWhole
    ? missing.some(({ required }) => required !== undefined)
    : missing.length === claims.length;
  if (isFailed) process.exitCode = 1;
}
