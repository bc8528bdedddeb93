/** What rows of every kind of scan share: restarts, the end of the data, MCUs that are skipped. */
import {
  BITS,
  BLOCK_RECORD,
  BLOCKS,
  BUFFER,
  DAMAGE_COUNT,
  DATA_ENDS,
  END_ROW,
  MCUS_PER_ROW,
  MCUS_TO_RESTART,
  NEXT,
  OUT_OF_DATA,
  RESTART_INTERVAL,
  SAFE,
  TOLERANT_AT,
} from "./decode-layout";
import { damaged, nearEnd, restart } from "./decode-segments";

/**
 * Restarts if that is due. Returns how many of the row's MCUs, from `column` on, come before the next restart; or 0 if
 * decoding stops because of damage.
 */
export function mcusUntilRestart(scan: u32, row: u32, column: u32): u32 {
  const count = load<u32>(scan + MCUS_PER_ROW) - column;
  const interval = load<u32>(scan + RESTART_INTERVAL);
  if (interval == 0) return count;
  if (load<u32>(scan + MCUS_TO_RESTART) == 0) {
    restart(scan, row, column);
    if (load<u32>(scan + DAMAGE_COUNT) != 0 && load<u32>(TOLERANT_AT) == 0) return 0;
  }
  const taken = min(count, load<u32>(scan + MCUS_TO_RESTART));
  store<u32>(scan + MCUS_TO_RESTART, load<u32>(scan + MCUS_TO_RESTART) - taken);
  return taken;
}

export function save(scan: u32, buffer: u64, bits: u32, next: u32): void {
  store<u64>(scan + BUFFER, buffer);
  store<u32>(scan + BITS, bits);
  store<u32>(scan + NEXT, next);
}

/** Notes that the segment ended too early. Returns not 0 if decoding stops. */
export function ranOut(scan: u32, row: u32, column: u32, member: u32): u32 {
  damaged(scan, DATA_ENDS, row, column, member);
  store<u32>(scan + OUT_OF_DATA, 1);
  store<u32>(scan + END_ROW, row);
  return load<u32>(TOLERANT_AT) == 0 ? 1 : 0;
}

/** Checks the end of the data after the last block of a row or interval. Returns not 0 if decoding stops. */
export function finish(scan: u32, row: u32, column: u32, member: u32): u32 {
  if (load<u32>(scan + OUT_OF_DATA) != 0 || load<u32>(scan + NEXT) <= load<u32>(scan + SAFE)) return 0;
  return nearEnd(scan) != 0 ? ranOut(scan, row, column, member) : 0;
}

/** Moves the block records past MCUs that are left as they are. */
export function passOver(scan: u32, blocksEnd: u32, count: u32): void {
  for (let record = scan + BLOCKS; record < blocksEnd; record += BLOCK_RECORD)
    store<u32>(record, load<u32>(record) + load<u32>(record + 4) * count);
}
