import type { JpegError } from "./errors.js";
import type { JpegDamage } from "./image.js";

/** Others are counted, but not described: a file of a few megabytes can be damaged in a million places. */
const MAX_DESCRIBED = 100;

/** The damage that tolerant reading found. */
export interface DamageList {
  described: JpegDamage[];
  /** Of all places, described or not. */
  count: number;
}

export const noDamage = (): DamageList => ({ described: [], count: 0 });

/**
 * Adds a damaged place. `describe` is not called once the list is full.
 *
 * @param scan - index of the scan it is in
 * @param count - how many places it stands for
 */
export function note(list: DamageList, describe: () => JpegError, scan?: number, count = 1): void {
  list.count += count;
  if (list.described.length === MAX_DESCRIBED) return;
  const { message, offset } = describe();
  const more = count > 1 ? ` (the first of ${count} in this scan)` : "";
  list.described.push({ message: `${message}${more}`, offset, ...(scan !== undefined && { scan }) });
}
