/** A benchmark without its files or a peer makes no claim, and ends with status 1. */

import { JpegDomainError } from "@jpeg-domain/coefficients";
import { say } from "jpeg-domain/internal";

/** @throws {JpegDomainError} if there are no files */
export function checkMaterial(files: readonly unknown[], only: string): void {
  if (files.length > 0) return;
  const which = only === "" ? "" : ` whose names contain "${only}"`;
  throw new JpegDomainError(`nothing is measured: there are no files${which} to read`);
}

interface Claim {
  name: string;
  required?: number | undefined;
  /** `undefined` if it could not be measured. */
  mean?: number | undefined;
}

/** Prints the claims that were not measured. If nothing was left out on purpose, a required one makes the status 1. */
export function reportUnmeasured(claims: readonly Claim[], isWhole: boolean): void {
  const missing = claims.filter(({ mean }) => mean === undefined);
  for (const { name } of missing) say(`not measured, because files or the peer are missing: ${name}`);
  const isFailed = isWhole
    ? missing.some(({ required }) => required !== undefined)
    : missing.length === claims.length;
  if (isFailed) process.exitCode = 1;
}
